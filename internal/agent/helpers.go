package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"shvtools/internal/launch"
	"shvtools/internal/ptyproc"
	"shvtools/internal/rpc"
	"shvtools/internal/slack"
)

// groupGrace is how long the processes of a killed helper may take after HUP
// before KILL.
const groupGrace = 5 * time.Second

// lineWait is how long a helper may take to read its line.
const lineWait = 5 * time.Second

// helpers are the running helpers of an agent. They outlive a connection to the
// broker, for they have their own.
type helpers struct {
	opts   Options
	waiter sync.WaitGroup

	mu      sync.Mutex
	running map[*helper]struct{}
	stopped bool
}

// deadlineWriter is the pipe to a helper's stdin.
type deadlineWriter interface {
	io.WriteCloser
	SetWriteDeadline(time.Time) error
}

// helper is one running shvrexec.
type helper struct {
	cmd   *exec.Cmd
	stdin deadlineWriter // its end tells the helper that the agent is gone
	group atomic.Int64   // process group of its session, 0 before that began
}

// start starts a helper for line and watches over it. A socket, if there is one,
// is for the helper; start does not close it. failed is called when it
// ended before its session began, without having told the caller why.
func (h *helpers) start(line launch.Line, socket *os.File, failed func(error)) error {
	text := line.Append(nil)
	if len(text) > launch.MaxLine {
		return rpc.Errorf(rpc.CodeInvalidParam, "the command is too long: %d bytes with all that belongs to it, %d are allowed", len(text), launch.MaxLine)
	}
	p, err := h.spawn(socket, failed)
	if err != nil {
		return err
	}
	// A helper that cannot be written to has ended, or is ended here. Its watch
	// tells the caller, and one answer is enough.
	_ = p.stdin.SetWriteDeadline(time.Now().Add(lineWait))
	if _, err := p.stdin.Write(text); errors.Is(err, os.ErrDeadlineExceeded) {
		_ = p.cmd.Process.Kill()
	}
	return nil
}

// spawn starts the program.
func (h *helpers) spawn(socket *os.File, failed func(error)) (*helper, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return nil, errors.New("the agent is stopping")
	case len(h.running) >= maxSessions:
		return nil, rpc.Errorf(rpc.CodeTryAgainLater, "%d sessions are open on this device, no more are allowed", len(h.running))
	}
	cmd := exec.Command(h.opts.Helper)
	cmd.Env = h.opts.Environ
	cmd.Stderr = os.Stderr
	if socket != nil {
		cmd.ExtraFiles = []*os.File{socket} // launch.InBandFD
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C for us is not for it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdin, ok := pipe.(deadlineWriter)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := slack.Start(slack.Calm, cmd.Start); err != nil {
		return nil, fmt.Errorf("cannot start the helper on the device: %w", err)
	}
	p := &helper{cmd: cmd, stdin: stdin}
	h.running[p] = struct{}{}
	h.waiter.Go(func() { h.watch(p, stdout, failed) })
	return p, nil
}

// watch reads what the helper says, waits for its end and cleans up behind it.
func (h *helpers) watch(p *helper, stdout io.Reader, failed func(error)) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if group, ok := launch.ParseStarted(lines.Bytes()); ok {
			p.group.Store(int64(group))
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // a line that was too long must not stop the helper
	err := p.cmd.Wait()
	_ = p.stdin.Close()
	h.mu.Lock()
	delete(h.running, p)
	h.mu.Unlock()
	if err == nil {
		return // the C++ helper tells no more than that of a session that went well
	}
	h.opts.Log.Warn().Err(err).Int("pid", p.cmd.Process.Pid).Msg("helper ended badly")
	if group := int(p.group.Load()); group != 0 {
		ptyproc.HangupGroup(group, groupGrace)
		return
	}
	failed(fmt.Errorf("the helper on the device ended before the session began: %w", err))
}

// stop ends all helpers and waits for them, for grace at the most.
func (h *helpers) stop(grace time.Duration) {
	h.mu.Lock()
	h.stopped = true
	for p := range h.running {
		_ = p.stdin.Close()
	}
	h.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		h.waiter.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-time.After(grace):
	}
	h.mu.Lock()
	for p := range h.running {
		_ = p.cmd.Process.Kill()
	}
	h.mu.Unlock()
	<-ended
}
