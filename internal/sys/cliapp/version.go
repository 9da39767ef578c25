package cliapp

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is the version of all four programs: that of a release, or with -dev the next
// one. scripts/last-release names the last release.
const release = "1.1.0-dev"

// unknownCommit is the commit if neither the Makefile nor the toolchain recorded one.
const unknownCommit = "unknown"

// commit is set by the Makefile:
//
//	-ldflags "-X shvtools/internal/sys/cliapp.commit=abc1234-dirty"
var commit string

// Version returns the version of the suite, such as "1.1.0".
func Version() string { return release }

// Commit returns the commit that the program was built from, or "unknown".
func Commit() string {
	info, _ := debug.ReadBuildInfo()
	return commitText(commit, info)
}

// versionText returns the line that `program --version` prints, such as
// "shvrsh 1.1.0 (commit abc1234, go1.26.8)".
func versionText(program string) string {
	return fmt.Sprintf("%s %s (commit %s, %s)", program, release, Commit(), runtime.Version())
}

// commitText returns the commit given at link time or, for a program built with
// a plain `go build`, what the toolchain recorded. info may be nil.
func commitText(linked string, info *debug.BuildInfo) string {
	if linked != "" {
		return linked
	}
	if info == nil {
		return unknownCommit
	}
	var revision, dirty string
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return unknownCommit
	}
	// As long as the Makefile's, so that one commit has one name.
	const abbreviated = 12
	return revision[:min(len(revision), abbreviated)] + dirty
}
