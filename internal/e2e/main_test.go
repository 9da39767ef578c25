package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	// commit is the one that the programs under test are built with.
	commit = "e2e0c0ffee00-dirty"
	// binEnv names a directory with programs that are built already.
	binEnv = "E2E_BIN"
)

var (
	bin  string // where the four programs are
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
	bin = dir
	if out, err := build(dir).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func build(dir string) *exec.Cmd {
	args := []string{"build", "-buildvcs=false", "-o", dir, "-ldflags", "-X shvtools/internal/cliapp.commit=" + commit}
	cgo := "CGO_ENABLED=0"
	if race {
		args = append(args, "-race")
		cgo = "CGO_ENABLED=1"
	}
	for _, name := range programs {
		args = append(args, "shvtools/cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), cgo)
	return cmd
}

var programs = []string{"shvbroker", "shvagent", "shvrexec", "shvrsh"}

func program(name string) string { return filepath.Join(bin, name) }
