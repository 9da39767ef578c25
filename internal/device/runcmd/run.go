package runcmd

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/device/ptyproc"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

const (
	// MaxOutput is the highest limit of output: the answer must fit a frame.
	MaxOutput = 8 << 20
	// endGrace is how long the processes of a call that is ended may take after HUP
	// before KILL.
	endGrace = 2 * time.Second
)

// Host is where programs run.
type Host struct {
	Environ []string // of those that bring none
	Search  string   // PATH in which programs are looked up; "": a usual one
	Output  int      // bytes of stdout and stderr together, MaxOutput at the most
	// Foreign tells that programs run as a user who cannot read what is ours:
	// scripts are handed over.
	Foreign bool
	// Under, if set, puts what is about to start under a policy.
	Under func(*ptyproc.Spec)
	Guard *Guard // of what runs here; nil: none
}

// Run runs the program of c and gives the result for its caller. When ctx ends,
// or the output is longer than allowed, the processes are ended, and none of their
// process group is left; the error then is the cause. A job that the program left
// in the background when it ended by itself runs on.
func (h Host) Run(ctx context.Context, c Call) (chainpack.Value, error) {
	return h.run(ctx, c, c.Text, c.Args, nil)
}

// Exit is Run for the exit code alone.
func (h Host) Exit(ctx context.Context, c Call) (code int, err error) {
	c.wants, c.list = []want{wantExit}, true
	result, err := h.Run(ctx, c)
	n, _ := result.At(0).AsInt()
	return int(n), err
}

// run runs a program, which has handed, if set, as ptyproc.HandedFD.
func (h Host) run(ctx context.Context, c Call, program string, args []string, handed *os.File) (chainpack.Value, error) {
	if ctx.Err() != nil {
		return chainpack.Value{}, context.Cause(ctx)
	}
	env := c.Env
	if env == nil {
		env = h.Environ
	}
	spec := ptyproc.Spec{
		Path:   program,
		Search: h.Search,
		Argv:   append([]string{program}, args...),
		Env:    env,
		Handed: handed,
	}
	if h.Under != nil {
		h.Under(&spec)
	}
	var guarded *watch
	if h.Guard != nil {
		guarded = h.Guard.watch()
		defer guarded.release()
	}
	p, err := ptyproc.Start(spec)
	if err != nil {
		return chainpack.Value{}, &StartError{err}
	}
	defer p.Close()
	if guarded != nil {
		guarded.over(p.Pid())
	}
	_ = p.CloseStdin()
	out := h.collect(p, c)
	select {
	case <-p.Done():
	case <-out.over:
	case <-ctx.Done():
		out.end(p)
		return chainpack.Value{}, context.Cause(ctx)
	}
	if !out.isOver() {
		out.readers.Wait() // the end of what it wrote
	}
	if out.isOver() {
		out.end(p)
		return chainpack.Value{}, rpc.Errorf(rpc.CodeException, "the output is longer than %d bytes, the limit on this device; the program was ended", h.Output)
	}
	exit := p.Wait()
	if exit.Signal != 0 {
		return chainpack.Value{}, errCrashed
	}
	return c.result(exit.Code, out.stdout, out.stderr), nil
}

// StartError tells why a program was not started. It is the error of the C++ agent
// to callers, and the cause to logs.
type StartError struct{ Err error }

// Error is the cause.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap makes it the error of the C++ agent on the wire.
func (e *StartError) Unwrap() []error { return []error{errNotStarted, e.Err} }

// notFound tells whether the program itself was missing.
func (e *StartError) notFound() bool {
	var start *ptyproc.StartError
	return errors.As(e.Err, &start) && start.Code == 127
}

// output is what a program has written so far.
type output struct {
	readers        sync.WaitGroup
	stdout, stderr []byte // of the readers, until they have ended
	left           atomic.Int64
	over           chan struct{} // closed when left is used up
	once           sync.Once
}

// collect reads all streams; those that are not wanted are passed over.
func (h Host) collect(p *ptyproc.Proc, c Call) *output {
	o := &output{over: make(chan struct{})}
	o.left.Store(int64(h.Output))
	for i, to := range []struct {
		buffer *[]byte
		want   want
	}{{&o.stdout, wantStdout}, {&o.stderr, wantStderr}} {
		from, copies := p.Outputs()[i], c.copies(to.want)
		o.readers.Go(func() { o.read(from, to.buffer, copies) })
	}
	return o
}

// isOver tells whether the output was longer than allowed.
func (o *output) isOver() bool {
	select {
	case <-o.over:
		return true
	default:
		return false
	}
}

// end ends what is left of the processes, and the readers: a process that cannot be
// killed must not hold us up.
func (o *output) end(p *ptyproc.Proc) {
	p.Hangup(endGrace)
	_ = p.Close()
	o.readers.Wait()
}

func (o *output) read(from *ptyproc.Output, to *[]byte, copies int) {
	defer from.Close()
	chunk := make([]byte, 32<<10)
	if copies == 0 {
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{from}, chunk)
		return
	}
	for {
		n, err := from.Read(chunk)
		if o.left.Add(int64(-n*copies)) < 0 {
			o.once.Do(func() { close(o.over) })
			return
		}
		*to = append(*to, chunk[:n]...)
		if err != nil {
			return
		}
	}
}
