package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/test/testbin"
)

// releaseEnv names a directory with the programs of the last release. Tests with them
// are skipped without it; make upgrade-test sets it.
const releaseEnv = "SHV_RELEASE_BIN"

var releaseBin = os.Getenv(releaseEnv)

// program returns the program of this world.
func (w *world) program(name string) string {
	if slices.Contains(w.setup.released, name) {
		return filepath.Join(releaseBin, name)
	}
	return program(name)
}

// lastRelease returns the commit of the last release. It skips the test where there
// are no programs of it, and fails it where they are of another commit.
func lastRelease(t *testing.T) (commit string) {
	t.Helper()
	if releaseBin == "" {
		t.Skip(releaseEnv + " names no directory with the programs of the last release; see make upgrade-test")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "scripts", "last-release"))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(text))
	if len(words) != 2 {
		t.Fatalf("scripts/last-release is %q, want a version and a commit", text)
	}
	return words[1]
}

func TestReleasedProgramsAreThoseOfTheLastRelease(t *testing.T) {
	t.Parallel()
	commit := lastRelease(t)
	for _, name := range testbin.Names {
		out, err := exec.Command(filepath.Join(releaseBin, name), "--version").Output()
		if err != nil || !strings.Contains(string(out), " (commit "+commit[:12]+",") {
			t.Errorf("%s --version: %q, %v; want commit %s", name, out, err, commit[:12])
		}
	}
}

// A fleet is upgraded piece by piece: each program works with those of the last release
// and of today.
func TestMixturesWithTheLastRelease(t *testing.T) {
	t.Parallel()
	lastRelease(t)
	for mixture := range 1 << len(testbin.Names) {
		var released, names []string
		for i, name := range testbin.Names {
			age := "new "
			if mixture>>i&1 == 1 {
				released = append(released, name)
				age = "old "
			}
			names = append(names, age+strings.TrimPrefix(name, "shv"))
		}
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			t.Parallel()
			s := setup{released: released}
			s.helper = (&world{setup: s}).program("shvrexec")
			w := s.start(t)
			w.rsh("echo out; echo err >&2; exit 7").wants(t, 7, "out\n", "err\n")
			w.rshWith(strings.NewReader("a\nb\n"), "wc -l; exit 3").wants(t, 3, "2\n", "")
			w.rsh("kill -TERM $$").wants(t, 143, "", "")
			command := w.open(80, 24, w.shvrsh("-t", device, "stty size; exit 4"))
			command.expect("24 80\r\n")
			command.ends(4)

			term := w.shell(80, 24)
			if got := term.run("echo $((40+2))"); got != "42\r\n" {
				t.Errorf("the shell printed %q", got)
			}
			term.resize(77, 21)
			term.typeKeys(`until [ "$(stty size)" = "21 77" ]; do sleep 0.02; done; echo is $((40+2))` + "\r")
			term.expect("is 42\r\n")
			term.expect(prompt)
			term.typeKeys("exit 5\r")
			term.ends(5)
		})
	}
}

// So are the brokers of a tree, from either end.
func TestTreesWithTheLastRelease(t *testing.T) {
	t.Parallel()
	lastRelease(t)
	for _, oldChild := range []bool{false, true} {
		name := "old parent, new child"
		if oldChild {
			name = "new parent, old child"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var here namespace
			loopback := "tcp://127.0.0.1:0"
			_, w.url = w.startTreeBroker(treeBroker{name: "parent", listen: loopback, released: !oldChild})
			_, url := w.startTreeBroker(treeBroker{name: "child", listen: loopback, up: w.url, mount: "m", released: oldChild})
			w.startTreeAgent(here, url)
			w.awaitTree(here, "m/"+device)
			stdin := w.eva(here, "m/"+device, "wc -l; exit 3")
			stdin.Stdin = strings.NewReader("a\nb\n")
			w.finish(stdin).wants(t, 3, "2\n", "")
			term := w.open(80, 24, w.eva(here, "m/"+device))
			term.expect(prompt)
			if got := term.run("echo $((40+2))"); got != "42\r\n" {
				t.Errorf("the shell printed %q", got)
			}
			term.typeKeys("exit 5\r")
			term.ends(5)
		})
	}
}
