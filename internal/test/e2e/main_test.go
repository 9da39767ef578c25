package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"shvtools/internal/device/ptyproc"
	"shvtools/internal/test/testbin"
)

const (
	// commit is the commit in the version of the programs under test.
	commit = "e2e0c0ffee00-dirty"
	// binEnv names a directory with programs that are already built.
	binEnv = "E2E_BIN"
)

var (
	bin  string // the directory of the four programs
	race = os.Getenv("SHV_RACE") == "1"
	long = os.Getenv("SHV_LONG") == "1"
)

func TestMain(m *testing.M) {
	if os.Getenv(baseHelperEnv) != "" {
		if err := baseHelper(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	ptyproc.DefaultSignals() // of the programs under test
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if bin = os.Getenv(binEnv); bin != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "shv-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Sessions that run as other users start shvrexec from this directory.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	if err := testbin.Build(dir, commit, race); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func program(name string) string { return filepath.Join(bin, name) }
