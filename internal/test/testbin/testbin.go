// Package testbin builds the project's programs for tests that run them as
// their users do. It is for tests alone; bin/ is made by the Makefile.
package testbin

import (
	"fmt"
	"os/exec"
)

// Names are the programs.
var Names = []string{"shvbroker", "shvagent", "shvrexec", "shvrsh"}

// tags are those of the Makefile.
const tags = "urfave_cli_no_docs"

// Build puts the programs into a directory. They call themselves built from a
// commit; race gives them the race detector. What the compiler says is in the
// error.
func Build(dir, commit string, race bool) error {
	args := []string{
		"build", "-buildvcs=false", "-tags=" + tags, "-o", dir,
		"-ldflags", "-X shvtools/internal/sys/cliapp.commit=" + commit,
	}
	cgo := "CGO_ENABLED=0"
	if race {
		args = append(args, "-race")
		cgo = "CGO_ENABLED=1"
	}
	for _, name := range Names {
		args = append(args, "shvtools/cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(cmd.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
