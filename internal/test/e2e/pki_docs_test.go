package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// commandsIn returns the shell commands of a section of a document, block by block.
func commandsIn(t *testing.T, document, heading string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", document))
	if err != nil {
		t.Fatal(err)
	}
	level, _, _ := strings.Cut(heading, " ")
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", document, heading)
	}
	section, _, _ = strings.Cut(section, "\n"+level+" ")
	for _, rest := range strings.Split(section, "\n```sh\n")[1:] {
		block, _, _ := strings.Cut(rest, "```\n")
		blocks = append(blocks, block)
	}
	if len(blocks) == 0 {
		t.Fatalf("%s: no commands in %q", document, heading)
	}
	return blocks
}

// documented is a machine with the name broker.example in a network of its own, on which
// the commands of documents run as they stand there.
type documented struct {
	*world
	ns    namespace
	hosts string
	path  string // of programs
	dir   string
}

func newDocumented(t *testing.T) *documented {
	t.Helper()
	d := &documented{world: newWorld(t), ns: newNamespace(t, "docs")}
	d.dir = d.place("here")
	d.hosts = filepath.Join(d.world.dir, "hosts")
	write(t, d.hosts, []byte("127.0.0.1 localhost broker.example\n"), 0o644)
	d.path = d.place("bin")
	for _, name := range []string{"shvbroker", "shvagent", "shvrsh"} {
		if err := os.Symlink(program(name), filepath.Join(d.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(d.path, filepath.Join(d.dir, "bin")); err != nil { // as after make build
		t.Fatal(err)
	}
	return d
}

// shell returns a command line in the directory, not started.
func (d *documented) shell(line string) *exec.Cmd {
	const script = `mount --bind "$1" /etc/hosts && exec sh -ec "$2"`
	inside := exec.Command(tool(d.t, "unshare", "util-linux"), "-m", "sh", "-c", script, "sh", d.hosts, line)
	inside.Env = append(environment("PATH="+d.path+":"+os.Getenv("PATH")), d.shellSettings()...)
	cmd := d.ns.in(inside)
	cmd.Dir = d.dir
	return cmd
}

// stays starts a line that goes on, and waits for what its program says then.
func (d *documented) stays(line, says string) *process {
	d.t.Helper()
	p := d.launch(d.shell("exec " + line))
	p.says(d.t, says)
	return p
}

func TestTheReadmesSafeSetUpWorks(t *testing.T) {
	d := newDocumented(t)
	blocks := commandsIn(t, "README.md", "## Set it up safely")
	var broker *process
	for line := range strings.Lines(strings.Join(blocks, "")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "bin/shvbroker --config"):
			broker = d.stays(line, "INF listening")
		case strings.HasPrefix(line, "bin/shvagent"):
			d.stays(line+" --socket none", "INF connected ")
		default:
			r := d.finish(d.shell(line))
			r.wantsOK(t)
			if strings.HasPrefix(line, "bin/shvrsh") && !r.stdoutHas("Linux") {
				t.Errorf("%s: %s", line, r.stdout)
			}
		}
	}
	if broker == nil {
		t.Fatal("no broker was started")
	}
	broker.signal(t, syscall.SIGHUP)
	broker.says(t, "the certificate of CN=pump7,OU=device was revoked")
}

func TestTheCommandsOfTheAuthorityInTheDocumentsWork(t *testing.T) {
	d := newDocumented(t)
	for _, block := range commandsIn(t, "docs/install.md", "## 2. Certificates")[:1] {
		d.finish(d.shell(block)).wantsOK(t)
	}
	broker := d.stays("shvbroker --config site/broker/shvbroker.yaml", "INF listening")
	d.stays("shvagent --config site/devices/pump7/shvagent.yaml --socket none", "INF connected ")
	d.finish(d.shell("shvrsh -F site/users/eva/config.yaml site/pump7 true")).wantsOK(t)

	// The broker runs where its files are made, so copies are made to nowhere.
	fake := func(name, script string) {
		write(t, filepath.Join(d.path, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755)
	}
	fake("install", "exit 0")
	fake("scp", "exit 0")
	fake("systemctl", fmt.Sprintf(`test "$*" = "reload shvbroker" && kill -HUP %d`, broker.pid()))
	reloads := 0
	for i, block := range commandsIn(t, "docs/admin.md", "## Certificates") {
		r := d.finish(d.shell(block))
		if r.wantsOK(t); strings.Contains(block, "systemctl reload") {
			reloads++
			eventually(t, patience, "the broker reloads", func() bool {
				return strings.Count(broker.log.String(), "configuration reloaded") == reloads
			})
		}
		switch i {
		case 0: // a new device
			d.stays("shvagent --config site/devices/pump8/shvagent.yaml --socket none", "INF connected ")
			d.finish(d.shell("shvrsh -F site/users/ida/config.yaml site/pump8 true")).wantsOK(t)
		case 2: // another certificate of the broker
			d.finish(d.shell("shvrsh -F site/users/ida/config.yaml site/pump8 true")).wantsOK(t)
		}
		if strings.Contains(block, "--issued") && strings.Count(string(r.stdout), "revoked on") < 3 {
			t.Errorf("issued:\n%s", r.stdout) // pump8 before and after the renewal, and ida
		}
	}
	broker.says(t, "the certificate of CN=pump8,OU=device was revoked")
	d.finish(d.shell("shvrsh -F site/users/eva/config.yaml site/pump7 true")).wantsOK(t)
	if r := d.finish(d.shell("shvrsh -F site/users/ida/config.yaml site/pump7 true")); r.code != 255 {
		t.Errorf("ida is still let in: %d, %s", r.code, r.stderr)
	}
}
