package interop_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"shvtools/internal/test/proctest"
)

// tunnelless is the configuration of a pyshv broker with one user, who has all rights.
const tunnelless = `
listen = ["tcp://127.0.0.1:0"]
[user.all]
password = "all"
role = "all"
[role.all]
mountPoints = ["**"]
access.su = ["**:*"]
`

// inBand starts a pyshv broker, which knows no tunnels, with our agent. It returns a
// function that makes a shvrsh with a command for that agent; it is not started.
func inBand(t *testing.T) func(words ...string) *exec.Cmd {
	t.Helper()
	_, url := startTheirBroker(t, tunnelless)
	startAgent(t, url, "all", "all")
	return func(words ...string) *exec.Cmd {
		cmd := exec.Command(program("shvrsh"), append([]string{"--url", url, "--user", "all", device}, words...)...)
		cmd.Env = environment(t.TempDir(), "SHV_PASSWORD=all")
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
	screen, ended := proctest.NewRecord(), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(screen, terminal)
	}()
	seen := 0
	expect := func(text string) {
		t.Helper()
		shown := screen.Await(func(b []byte) bool {
			i := bytes.Index(b[seen:], []byte(text))
			if i >= 0 {
				seen += i + len(text)
			}
			return i >= 0
		}, ended)
		if !shown {
			t.Fatalf("no %q: %q", text, screen.Bytes()[seen:])
		}
	}
	for _, step := range [][2]string{
		{"stty size\r", "31 91"},
		// exec, so that the Ctrl-C cannot reach the shell before sleep runs.
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
