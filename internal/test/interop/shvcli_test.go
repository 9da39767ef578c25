package interop_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"shvtools/internal/test/proctest"
)

// shvcli is a shvcli on a terminal. Without a terminal it lists nothing.
type shvcli struct {
	t      *testing.T
	master *os.File
	output *proctest.Record
	ended  chan struct{} // closed when all of its output is read
}

// settings keep shvcli from calling the broker for completions while the test types.
const settings = "[option]\nautoprobe = \"false\"\n"

func startShvcli(t *testing.T, url string, more ...string) *shvcli {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "shvcli.toml")
	if err := os.WriteFile(config, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(inVenv("shvcli"), append([]string{"-c", config, url}, more...)...)
	cmd.Env = environment(dir)
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	c := &shvcli{t: t, master: master, output: proctest.NewRecord(), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_, _ = io.Copy(c.output, master) // until the last program on the terminal has ended
	}()
	t.Cleanup(func() {
		c.awaitReading()
		_, _ = master.Write([]byte{4}) // Ctrl-D
		select {
		case <-c.ended:
		case <-time.After(patience):
			t.Error("shvcli did not end on Ctrl-D")
			_ = cmd.Process.Signal(syscall.SIGKILL)
		}
		_ = cmd.Wait() // it ended by Ctrl-D, or was killed
		_ = master.Close()
		if t.Failed() {
			t.Logf("shvcli showed:\n%s", c.output)
		}
	})
	c.await("its prompt", 0, func(text string) bool { return prompt.MatchString(text) })
	return c
}

// prompt matches the end of the output of a shvcli that waits for a line.
var prompt = regexp.MustCompile(`(^|\n)[^\n>]*> $`)

// colours matches escape sequences and carriage returns.
var colours = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\r`)

// await waits until enough accepts the text from an offset on, and returns that text.
func (c *shvcli) await(what string, from int, enough func(string) bool) (text string) {
	c.t.Helper()
	shown := c.output.Await(func(output []byte) bool {
		text = colours.ReplaceAllString(string(output[from:]), "")
		return enough(text)
	}, c.ended)
	if !shown {
		c.t.Fatalf("shvcli did not show %s", what)
	}
	return text
}

// awaitReading waits until the terminal is out of line mode. In line mode the kernel
// handles what is typed, and keeps a Ctrl-D.
func (c *shvcli) awaitReading() {
	reading := proctest.Until(patience, func() bool {
		modes, err := unix.IoctlGetTermios(int(c.master.Fd()), unix.TCGETS)
		return err != nil || modes.Lflag&unix.ICANON == 0
	})
	if !reading {
		c.t.Error("shvcli does not read keys")
	}
}

// run enters a line and returns the output until the next prompt. It enters the line with
// Ctrl-O, which also works for lines that shvcli considers wrong, such as calls of nodes
// that it has not seen.
func (c *shvcli) run(line string) string {
	c.t.Helper()
	from := len(c.output.Bytes())
	c.awaitReading()
	if _, err := c.master.WriteString(line + "\x0f"); err != nil {
		c.t.Fatal(err)
	}
	text := c.await("a prompt after "+line, from, func(text string) bool {
		_, behind, entered := strings.Cut(text, "\n")
		return entered && prompt.MatchString("\n"+behind)
	})
	_, text, _ = strings.Cut(text, "\n")
	return prompt.ReplaceAllString("\n"+text, "")
}

// shows runs a line and checks that its output has each of the texts, whatever the white
// space.
func (c *shvcli) shows(line string, wanted ...string) {
	c.t.Helper()
	text := c.run(line)
	for _, want := range wanted {
		if !strings.Contains(strings.Join(strings.Fields(text), " ")+" ", want+" ") {
			c.t.Errorf("%s shows\n%s\nwithout %s", line, text, want)
		}
	}
}

func TestShvcliBrowsesOurBroker(t *testing.T) {
	covers(t, "shvcli", "shvbroker and shvagent", "ls, dir with values, calls, errors, cd, scan")
	b := startBroker(t)
	startAgent(t, b.listens[0], "iot", "lub42DUB")
	c := startShvcli(t, b.login())
	c.shows("ls", ".app .broker test")
	c.shows(".app:dir", "dir ls", "shvVersionMajor 3", "shvVersionMinor 0", `name "shvbroker"`, "ls:lsmod")
	c.shows(".broker:ls", "app currentClient") // clients are for administrators
	c.shows(".broker/currentClient:info", `"userName":"iot"`, `"mountPoint":null,`)
	c.shows("test:ls", "agent")
	c.shows("test/agent:dir", `appName "shvagent"`, `deviceId "interop"`, "launchRexec")
	c.shows("test/agent:appName", `"shvagent"`)
	c.shows("test/agent/.app:ping", "null")
	c.shows("test/nosuch:get", "RpcMethodNotFoundError:")
	c.shows("test/agent:nosuch", "RpcMethodNotFoundError:")
	c.shows("test/nosuch/", "Invalid path: test/nosuch")
	c.run("test/")
	c.shows("ls", "agent")
	c.shows("agent:deviceType", `"ShvAgent"`)
	c.run("!scan")
	c.shows("!tree", "agent", ".app")
}

func TestShvcliShowsSignals(t *testing.T) {
	covers(t, "shvcli and pyshv device", ours, "subscribe, subscriptions, signals, set, unsubscribe, signals of mounts")
	b := startBroker(t)
	c := startShvcli(t, b.login(), "--subscribe", "**:ls:lsmod")
	d := mounted(t, b)
	c.await("the mount", 0, func(text string) bool { return strings.Contains(text, `:ls:lsmod: {"test":true}`) })
	// shvcli 0.8.1 drops the second part of a pattern with three parts.
	c.run("!sub test/**:get")
	c.shows("!subs", "test/**:get:*", "**:*:lsmod")
	c.run("test/device/value:set 7")
	c.await("the signal", 0, func(text string) bool { return strings.Contains(text, "test/device/value:get:chng: 7") })
	c.shows("test/device/value:get", "7")
	c.run("!usub test/**:get")
	if text := c.run("!subs"); strings.Contains(text, "test") {
		t.Errorf("subscriptions after !usub: %s", text)
	}
	d.must("disconnect", nil, nil)
	c.await("the end of the mount", 0, func(text string) bool {
		return strings.Contains(text, `:ls:lsmod: {"test":false}`)
	})
}
