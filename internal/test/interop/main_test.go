package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shvtools/internal/test/proctest"
	"shvtools/internal/test/testbin"
)

const (
	// venvEnv names the virtual environment with pyshv and shvcli.
	venvEnv = "SHV_INTEROP_VENV"
	// commitEnv names the commit from which our programs are built.
	commitEnv = "SHV_INTEROP_COMMIT"
	// tableEnv names the file for the results.
	tableEnv = "SHV_INTEROP_TABLE"
)

const patience = proctest.Patience

var (
	venv    = os.Getenv(venvEnv)
	bin     string // the directory of our programs
	results table
)

func TestMain(m *testing.M) {
	if venv == "" {
		os.Exit(m.Run()) // the tests say why they are skipped
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		code = 1
	}
	os.Exit(code)
}

// run builds our programs, runs the tests and writes their results.
func run(m *testing.M) (code int, err error) {
	if bin, err = os.MkdirTemp("", "shv-interop-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(bin)
	commit := os.Getenv(commitEnv)
	if commit == "" {
		commit = "unknown"
	}
	if err := testbin.Build(bin, commit, os.Getenv("SHV_RACE") == "1"); err != nil {
		return 0, err
	}
	versions, err := findVersions(commit)
	if err != nil {
		return 0, err
	}
	file := os.Getenv(tableEnv)
	if file == "" {
		return m.Run(), nil
	}
	// A run that is cut short must not leave the table of an earlier run.
	if err := os.WriteFile(file, []byte(unfinished), 0o644); err != nil {
		return 0, err
	}
	code = m.Run()
	return code, os.WriteFile(file, []byte(results.text(time.Now(), versions)), 0o644)
}

func program(name string) string { return filepath.Join(bin, name) }

// inVenv returns the path of a program of the virtual environment.
func inVenv(name string) string { return filepath.Join(venv, "bin", name) }

// covers begins each test. It adds a row to the table: which of their programs meets
// which of ours, and in what.
func covers(t *testing.T, theirs, ours, what string) {
	t.Helper()
	if venv == "" {
		t.Skipf("%s names no virtual environment with pyshv and shvcli: run `make interop`", venvEnv)
	}
	t.Parallel()
	t.Cleanup(func() {
		results.add(row{theirs: theirs, ours: ours, what: what, test: t.Name(), failed: t.Failed()})
	})
}
