package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// baseHelperEnv makes the test binary act as a helper.
const baseHelperEnv = "E2E_BASE_HELPER"

// baseHelper is a helper with the base protocol alone, like the C++ helper: it does not
// accept offers, knows the channels 0 to 2 and no end of stdin, and reports no exit
// status. It reports everything else that it receives on channel 1.
func baseHelper() error {
	text, err := bufio.NewReader(os.Stdin).ReadSlice('\n')
	if err != nil {
		return err
	}
	line, err := helperline.ParseLine(text)
	if err != nil {
		return err
	}
	c, err := client.Dial(context.Background(), client.Options{
		URL:   transport.URL{Scheme: "tcp", Host: line.Find.Host, Port: strconv.FormatInt(line.Find.Port, 10)},
		Login: client.Login{Tunnel: line.Find.Secret},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the agent is gone
	}()
	h := &base{client: c, opened: make(chan struct{}), typed: make(chan string, 1000)}
	id := c.NewID()
	c.Expect(id, h.receive)
	ctl := line.Find
	ctl.State, ctl.RequestID = rpc.CreateTunnelRequest, id
	caller := rpc.Address{ID: line.Find.RequestID, Callers: line.Find.CallerIDs}
	h.to = caller
	create := rpc.AppendTunnel(nil, caller, rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, 0, chainpack.Value{})
	if err := c.Send(create); err != nil {
		return err
	}
	select {
	case <-h.opened:
	case <-c.Done():
		return c.Err()
	}
	return h.run(line.Call)
}

// base is the tunnel of a baseHelper.
type base struct {
	client *client.Client
	to     rpc.Address
	opened chan struct{}
	typed  chan string // input of the process
}

func (h *base) receive(m *rpc.Message, _ *link.Frame) {
	content, err := m.Content()
	if err != nil {
		return
	}
	channel, isData := content.Value.At(0).AsInt()
	text, _ := content.Value.At(1).AsString()
	switch {
	case m.Tunnel().State == rpc.CreateTunnelResponse:
		h.to.Callers = append(rpc.CallerIDs(nil), m.RevCallers()...)
		close(h.opened)
	case m.Tunnel().State == rpc.CloseTunnel: // the C++ helper does not know it
	case isData && channel == 0 && content.Value.Len() == 2:
		h.typed <- text
	default:
		go h.send(1, fmt.Appendf(nil, "helper does not know channel %d\n", channel))
	}
}

func (h *base) send(channel int64, data []byte) {
	v := chainpack.List(chainpack.Int(channel), chainpack.String(string(data)))
	_ = h.client.SendNow(rpc.AppendTunnel(nil, h.to, rpc.Meta{}, rpc.KeyResult, v)) // waits for queue space
}

func (h *base) run(call helperline.Call) error {
	program, onPty := call.Params, call.Method == "runPtyCmd"
	if onPty {
		program = call.Params.At(0)
	}
	var argv []string
	if text, ok := program.AsString(); ok {
		argv = []string{text}
	}
	for _, item := range program.Items() {
		text, _ := item.AsString()
		argv = append(argv, text)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = os.Environ()
	if err := h.carry(cmd, onPty); err != nil {
		return err
	}
	ctl := rpc.TunnelCtl{State: rpc.CloseTunnel}
	_ = h.client.SendNow(rpc.AppendTunnel(nil, h.to, rpc.Meta{Tunnel: &ctl}, rpc.KeyResult, chainpack.Null()))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h.client.Finish(ctx)
	return nil
}

// carry runs the process, with its streams in the tunnel, to its end.
func (h *base) carry(cmd *exec.Cmd, onPty bool) error {
	var stdin io.Writer
	outputs := make([]io.Reader, 1, 2)
	var err error
	if onPty {
		master, started := pty.Start(cmd)
		stdin, outputs[0], err = master, master, started
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdin, _ = cmd.StdinPipe()
		outputs[0], _ = cmd.StdoutPipe()
		stderr, _ := cmd.StderrPipe()
		outputs = append(outputs, stderr)
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	go func() {
		for text := range h.typed {
			_, _ = io.WriteString(stdin, text)
		}
	}()
	go func() {
		<-h.client.Done()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)
	}()
	var reading sync.WaitGroup
	for i, output := range outputs {
		reading.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, err := output.Read(buf)
				if n > 0 {
					h.send(int64(1+i), buf[:n])
				}
				if err != nil {
					return
				}
			}
		})
	}
	reading.Wait()
	_ = cmd.Wait() // the base protocol has no exit status
	return nil
}

// startWithBaseHelper starts a world whose device has a baseHelper.
func startWithBaseHelper(t *testing.T) *world {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return setup{helper: self, agentEnv: []string{baseHelperEnv + "=1", "PS1=" + prompt}}.start(t)
}

func TestShellOfABaseHelper(t *testing.T) {
	t.Parallel()
	w := startWithBaseHelper(t)
	term := w.shell(80, 24)
	term.resize(100, 30) // the base protocol has no message for it
	if got := term.run("echo $((40+2))"); got != "42\r\n" {
		t.Errorf("it shows %q", got)
	}
	term.typeKeys("sh -c 'echo be''gun; exec cat'\r")
	term.expect("begun\r\n") // a Ctrl-C before that would reach the shell
	term.typeKeys("\x03")
	term.expect("^C")
	term.expect(prompt)
	term.typeKeys("exit 3\r")
	term.ends(0)
	if got := term.stderr(); got != "Session on test/agent closed.\n" {
		t.Errorf("stderr %q", got)
	}
	if shown := term.screen.String(); strings.Contains(shown, "does not know") {
		t.Errorf("the helper was sent too much: %q", shown)
	}
}

func TestCommandsOfABaseHelper(t *testing.T) {
	t.Parallel()
	w := startWithBaseHelper(t)
	const unknown = "shvrsh: test/agent: exit status unknown: the device is too old to report it; " +
		"--allow-unknown-status takes it for 0\n"
	w.rsh("echo out; exit 3").wants(t, 255, "out\n", unknown)
	w.rsh("true").wants(t, 255, "", unknown)
	w.rsh("echo out; echo err >&2").wants(t, 255, "out\n", "err\n"+unknown)
	w.on(opts("--allow-unknown-status"), "echo out; exit 3").wants(t, 0, "out\n", "")
	w.on(opts("-n"), "echo out").wants(t, 255, "out\n", unknown)

	// The base protocol cannot end a stdin, so a stdin with content is refused.
	w.rshWith(strings.NewReader("text"), "cat").wantsFailure(t, device, "</dev/null")
	w.rshWith(strings.NewReader("text"), "true").wantsFailure(t, device)
	w.on(opts("-n", "--allow-unknown-status"), "echo out").wants(t, 0, "out\n", "")

	// A command on a terminal ends by itself too.
	r := w.on(opts("-tt", "-n", "--allow-unknown-status"), "tty")
	if r.code != 0 || !strings.HasPrefix(string(r.stdout), "/dev/pts/") {
		t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
	eventually(t, patience, "all helpers end", func() bool { return len(w.sessionsLeft()) == 0 })
}

// The base protocol has no windows that limit the output.
func TestMuchOutputOfABaseHelper(t *testing.T) {
	t.Parallel()
	w := startWithBaseHelper(t)
	const size = 20_000_000
	r := w.on(opts("--allow-unknown-status"), fmt.Sprintf("head -c %d /dev/zero", size))
	if r.code != 0 || len(r.stdout) != size {
		t.Errorf("exit code %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
	}
}

// The base protocol has no signals, so a signal ends shvrsh alone. So does a lost link.
func TestEndsWithABaseHelper(t *testing.T) {
	t.Parallel()
	w := startWithBaseHelper(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		command := marker()
		p, _ := w.started("echo ready; exec " + command)
		awaitStart(t, command)
		p.signal(t, sig)
		if code := p.code(t); code != 255 {
			t.Errorf("exit code %d", code)
		}
		wantsLine(t, p.log.String(), sig.String())
		awaitEnd(t, patience, command)
	}
	term := w.shell(80, 24)
	command := term.sleeps()
	w.kill(w.broker)
	term.ends(255)
	wantsLine(t, term.stderr(), "connection closed by the peer")
	awaitEnd(t, patience, command)
}

// Programs that call ssh need an exit status and the end of stdin. They must fail with
// the reason, instead of taking half a copy for a whole one.
func TestToolsWithABaseHelper(t *testing.T) {
	t.Parallel()
	w := startWithBaseHelper(t)
	for _, words := range [][]string{
		{"rsync", "rsync", "-e", program("shvrsh"), "-a", deviceHost + ":/etc/hostname", w.dir + "/rsynced"},
		{"scp", "openssh-client", "-S", program("shvrsh"), deviceHost + ":/etc/hostname", w.dir + "/copied"},
		{"scp", "openssh-client", "-O", "-S", program("shvrsh"), deviceHost + ":/etc/hostname", w.dir + "/copied"},
	} {
		r := w.use(tool(t, words[0], words[1]), words[2:]...)
		reports := strings.Count(string(r.stderr), "shvrsh: ")
		if r.code == 0 || reports != 1 || !r.stderrHas("too old to be told the end of input") {
			t.Errorf("%q: exit code %d, stderr %q", words, r.code, r.stderr)
		}
	}
}
