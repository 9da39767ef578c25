package interop_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// tunnelless is the configuration of a pyshv broker: one user may do all.
const tunnelless = `
listen = ["tcp://127.0.0.1:0"]
[user.all]
password = "all"
role = "all"
[role.all]
mountPoints = ["**"]
access.su = ["**:*"]
`

// inBand is shvrsh with a command for our agent behind a pyshv broker, which knows
// no tunnels; not started.
func inBand(t *testing.T) func(words ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "broker.toml")
	if err := os.WriteFile(config, []byte(tunnelless), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(inVenv("pyshvbroker"), "-c", config)
	cmd.Env = environment(dir)
	s := start(t, cmd)
	port := 0
	s.await(t, "it listens", func() bool {
		port = listensAt(cmd.Process.Pid)
		return port != 0
	})
	url := fmt.Sprintf("tcp://127.0.0.1:%d", port)
	startAgent(t, url, "all", "all")
	return func(words ...string) *exec.Cmd {
		cmd := exec.Command(program("shvrsh"), append([]string{"--url", url, "--user", "all", "test/agent"}, words...)...)
		cmd.Env = environment(dir, "SHV_PASSWORD=all")
		return cmd
	}
}

func TestCommandThroughThePyshvBroker(t *testing.T) {
	covers(t, "pyshv broker", "shvrsh and shvagent", "a command in band: output, errors, exit code")
	cmd := inBand(t)("echo out; echo err >&2; exit 7")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || string(out) != "out\n" || stderr.String() != "err\n" {
		t.Errorf("%v, %q, %q", err, out, stderr.String())
	}
}

func TestTenMegabytesThroughThePyshvBroker(t *testing.T) {
	covers(t, "pyshv broker", "shvrsh and shvagent", "10 MB each way in band, whole")
	data := make([]byte, 10<<20)
	rand.New(rand.NewSource(1)).Read(data)
	sum := sha256.Sum256(data)
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	shvrsh := inBand(t)
	up := shvrsh("sha256sum")
	up.Stdin = bytes.NewReader(data)
	if out, err := up.Output(); err != nil || !strings.HasPrefix(string(out), hex.EncodeToString(sum[:])) {
		t.Errorf("to the device: %v, %s", err, out)
	}
	if out, err := shvrsh("cat " + file).Output(); err != nil || sha256.Sum256(out) != sum {
		t.Errorf("from the device: %v, %d bytes", err, len(out))
	}
}

func TestShellThroughThePyshvBroker(t *testing.T) {
	covers(t, "pyshv broker", "shvrsh and shvagent", "a shell on a terminal in band: size, Ctrl-C, exit code")
	cmd := inBand(t)()
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 31, Cols: 91})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	screen := make(chan []byte)
	go func() {
		defer close(screen)
		for {
			b := make([]byte, 4096)
			n, err := terminal.Read(b)
			if n > 0 {
				screen <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	late := time.After(patience)
	seen := ""
	expect := func(text string) {
		t.Helper()
		for !strings.Contains(seen, text) {
			select {
			case b, ok := <-screen:
				if !ok {
					t.Fatalf("shvrsh ended without %q: %q", text, seen)
				}
				seen += string(b)
			case <-late:
				t.Fatalf("no %q: %q", text, seen)
			}
		}
		_, seen, _ = strings.Cut(seen, text)
	}
	for _, step := range [][2]string{
		{"stty size\r", "31 91"},
		// In one process, which has the terminal: a Ctrl-C before that finds the shell.
		{"sh -c 'echo begin''ning; exec sleep 1000'\r", "beginning"},
		{"\x03", "^C"},
		{"exit 5\r", "closed."},
	} {
		if _, err := io.WriteString(terminal, step[0]); err != nil {
			t.Fatal(err)
		}
		expect(step[1])
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("shvrsh: %v, want exit code 5", err)
	}
}
