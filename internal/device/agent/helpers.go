package agent

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/sys/lograte"
	"shvtools/internal/sys/timerslack"
)

// groupGrace is the time between HUP and KILL for the processes of a killed helper.
const groupGrace = 5 * time.Second

const (
	// lineWait is how long a helper may take to read its line.
	lineWait = 5 * time.Second
	// orderWait is how long it may take to read an order.
	orderWait = time.Second
)

// stoppedText is the reason that users get when their session ends with the agent.
const stoppedText = "the agent on the device was stopped"

// helpers are the running helpers of an agent. They outlive the agent's connection to the
// broker, since they have their own.
type helpers struct {
	opts   Options
	often  *lograte.Lines
	waiter sync.WaitGroup

	mu      sync.Mutex
	running map[*helper]struct{}
	calls   map[string]int // by user: running calls of runCmd and runScript
	refusal error          // error of new sessions once the agent stops; nil: none
	none    chan struct{}  // closed when no helper runs any more; nil: nobody waits
}

// deadlineWriter is the pipe to a helper's stdin.
type deadlineWriter interface {
	io.WriteCloser
	SetWriteDeadline(time.Time) error
}

// helper is one running shvrexec.
type helper struct {
	cmd   *exec.Cmd
	stdin deadlineWriter // its end tells the helper that the agent is lost
	user  string         // whose session it is
	use   policy.Use
	name  string       // of the session
	since time.Time    // has a monotonic clock reading
	group atomic.Int64 // process group of the session; 0: not started

	begun  chan struct{} // closed when the session may begin, or was refused
	record *account      // set before begun is closed; nil: the session was refused

	mu      sync.Mutex
	told    bool        // it has its line, or will never have it
	over    string      // why it must end as soon as it has its line; "": it need not
	killing *time.Timer // kills it; nil: it need not end
}

// job is what a helper is started for.
type job struct {
	line   helperline.Line
	owner  string // the user whose quota counts
	permit permit
	record audit.Record // of its start, as far as the caller knows it
	socket *os.File     // for an in-band session; nil: none; start does not close it
	// failed is called if the helper ends before its session begins and has not told the
	// caller why.
	failed func(error)
}

// start starts a helper and waits for its end in the background. An error is for the caller.
func (h *helpers) start(j job) (err error) {
	// The search may have taken long enough for a reload.
	if j.permit, err = h.opts.InForce.renew(j.permit); err != nil {
		return err
	}
	j.line.Policy = *j.permit.grant
	text := j.line.Append(nil)
	if len(text) > helperline.MaxLine {
		return rpc.Errorf(rpc.CodeInvalidParam,
			"the command is too long: %d bytes with its environment and policy (at most %d)",
			len(text), helperline.MaxLine)
	}
	p, err := h.spawn(j)
	if err != nil {
		return err
	}
	// The helper does nothing before it has its line, and gets none if the session must not begin.
	p.record, err = begin(h.opts.Audit, j.started(), &j.line.Policy)
	close(p.begun)
	if err != nil {
		_ = p.cmd.Process.Kill()
		return err
	}
	// A helper that does not read its line has ended, or is ended here; watch tells the
	// caller then.
	_ = p.stdin.SetWriteDeadline(time.Now().Add(lineWait))
	if _, err := p.stdin.Write(text); errors.Is(err, os.ErrDeadlineExceeded) {
		_ = p.cmd.Process.Kill()
	}
	p.hasLine()
	return nil
}

// hasLine lets the helper end if it had to before it had its line.
func (p *helper) hasLine() {
	p.mu.Lock()
	p.told = true
	over := p.over
	p.mu.Unlock()
	if over != "" {
		p.end(errors.New(over))
	}
}

// end ends the session, and its user reads why. A helper that does not end is killed.
func (p *helper) end(why error) {
	p.mu.Lock()
	p.over = why.Error()
	told := p.told
	if told {
		p.killing = time.AfterFunc(stopGrace, func() { _ = p.cmd.Process.Kill() })
	}
	p.mu.Unlock()
	if told {
		p.order(why.Error())
	}
}

// order orders the helper to stop. A helper that knows no orders ends with its stdin.
func (p *helper) order(why string) {
	_ = p.stdin.SetWriteDeadline(time.Now().Add(orderWait))
	_, _ = p.stdin.Write(helperline.Order{Stop: why}.Append(nil))
	_ = p.stdin.Close()
}

// ended stops what would kill the helper.
func (p *helper) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killing != nil {
		p.killing.Stop()
	}
}

// started returns the record of the start of the session.
func (j *job) started() audit.Record {
	r := j.record
	r.Session, r.Use = j.line.Session, j.permit.ask.Use.String()
	if wanted, err := j.line.Call.Wanted(); err == nil {
		r.Command = commandOf(wanted)
	}
	return r
}

// spawn starts the program.
func (h *helpers) spawn(j job) (*helper, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.admitLocked(j.owner); err != nil {
		return nil, err
	}
	p := &helper{
		user: j.owner, use: j.permit.ask.Use, name: j.line.Session, since: time.Now(), begun: make(chan struct{}),
	}
	leave, err := h.opts.InForce.begin(j.permit, p.end)
	if err != nil {
		return nil, rpc.AsError(err) // the policy has changed since the call came
	}
	stdout, err := p.launch(h.opts, j)
	if err != nil {
		leave()
		return nil, err
	}
	h.running[p] = struct{}{}
	h.waiter.Go(func() {
		defer leave()
		h.watch(p, stdout, j.failed)
	})
	return p, nil
}

// launch starts the process, and returns what it writes.
func (p *helper) launch(o Options, j job) (stdout io.Reader, err error) {
	p.cmd = exec.Command(o.Helper)
	p.cmd.Env = o.Environ
	if j.permit.grant.Commands != nil { // an older or C++ helper does not set it itself
		p.cmd.Env = append(slices.Clip(o.Environ), policy.SecureEnv()...)
	}
	p.cmd.Stderr = os.Stderr
	if j.socket != nil {
		p.cmd.ExtraFiles = []*os.File{j.socket} // helperline.InBandFD
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C for the agent is not for it
	pipe, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdin, ok := pipe.(deadlineWriter)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	p.stdin = stdin
	if stdout, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := timerslack.Start(timerslack.Calm, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("cannot start a session on the device: %w", err)
	}
	return stdout, nil
}

// admitLocked returns an error, for the caller, if owner may not have one more session.
func (h *helpers) admitLocked(owner string) error {
	if h.refusal != nil {
		return h.refusal
	}
	all, own := len(h.running), h.calls[owner]
	for _, n := range h.calls {
		all += n
	}
	for p := range h.running {
		if p.user == owner {
			own++
		}
	}
	switch limits := h.opts.InForce.now().Sessions; {
	case all >= limits.Total:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"%d sessions are open on this device, no more are allowed (sessions.total)", all)
	case all >= limits.Total-limits.Reserve && owner == "":
		return rpc.Errorf(rpc.CodeUserIDRequired,
			"the last %d sessions of this device are for users who have none, and the call has no user id; "+
				"repeat it with one", limits.Reserve)
	case all >= limits.Total-limits.Reserve && own > 0:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"%d sessions are open on this device, and the last %d are for users who have none (sessions.per-user)",
			all, limits.Reserve)
	case limits.PerUser > 0 && own >= limits.PerUser:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"%d sessions of user %q are open on this device, no more are allowed (sessions.per-user)", own, owner)
	}
	return nil
}

// enter counts a call of runCmd or runScript as a session until leave.
func (h *helpers) enter(owner string) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.admitLocked(owner); err != nil {
		return nil, err
	}
	h.calls[owner]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.calls[owner]--; h.calls[owner] == 0 {
			delete(h.calls, owner)
		}
	}, nil
}

// watch reads the helper's lines, waits for its end and cleans up after it.
func (h *helpers) watch(p *helper, stdout io.Reader, failed func(error)) {
	var ended *helperline.Ended
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if group, ok := helperline.ParseStarted(lines.Bytes()); ok {
			p.group.Store(int64(group))
		}
		if e, ok := helperline.ParseEnded(lines.Bytes()); ok {
			ended = &e
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // after a line that is too long, so that the helper does not block
	err := p.cmd.Wait()
	p.ended()
	_ = p.stdin.Close()
	h.mu.Lock()
	delete(h.running, p)
	if h.none != nil && len(h.running) == 0 {
		close(h.none)
		h.none = nil
	}
	h.mu.Unlock()
	<-p.begun
	if p.record == nil {
		return // the caller knows
	}
	p.record.reported(ended, err)
	if err == nil {
		return // also the C++ helper returns 0 after its session
	}
	if h.often.Pass(provoked("shvrexec failed", p.user, err)) {
		h.opts.Log.Warn().Err(err).Int("pid", p.cmd.Process.Pid).Str("user", p.user).Msg("shvrexec failed")
	}
	if group := int(p.group.Load()); group != 0 {
		ptyproc.HangupGroup(group, groupGrace)
		return
	}
	failed(fmt.Errorf("cannot start a session on the device: shvrexec failed: %w; see the log of shvagent", err))
}

// orderLocked writes a line to all helpers.
func (h *helpers) orderLocked(o helperline.Order) {
	for p := range h.running {
		_ = p.stdin.SetWriteDeadline(time.Now().Add(orderWait))
		_, _ = p.stdin.Write(o.Append(nil)) // a helper that does not read ends with its stdin
	}
}

// refuse refuses new sessions from now on. It returns how many helpers run, and a channel
// that is closed when they have ended.
func (h *helpers) refuse() (running int, none <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusal = rpc.Errorf(rpc.CodeTryAgainLater, "the agent on this device is stopping and accepts no new sessions")
	ended := make(chan struct{})
	if len(h.running) == 0 {
		close(ended)
	} else {
		h.none = ended
	}
	return len(h.running), ended
}

// warn shows a text to the users of all sessions.
func (h *helpers) warn(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orderLocked(helperline.Order{Notice: text})
}

// stop ends all helpers and waits for them. After grace it kills them.
func (h *helpers) stop(grace time.Duration) {
	h.mu.Lock()
	if h.refusal == nil {
		h.refusal = errors.New("the agent is stopping")
	}
	h.orderLocked(helperline.Order{Stop: stoppedText})
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

// free reports whether the lock is free.
func (h *helpers) free() bool {
	if !h.mu.TryLock() {
		return false
	}
	h.mu.Unlock()
	return true
}

// list returns the running sessions, the oldest first.
func (h *helpers) list() []Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Session, 0, len(h.running))
	for p := range h.running {
		all = append(all, Session{
			User: p.user, Use: p.use.String(), Name: p.name, Helper: p.cmd.Process.Pid, For: time.Since(p.since),
		})
	}
	slices.SortFunc(all, func(a, b Session) int { return cmp.Compare(b.For, a.For) })
	return all
}
