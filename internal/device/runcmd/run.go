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
	// MaxOutput is the highest limit of output, in bytes: the answer must fit a frame.
	MaxOutput = 8 << 20
	// endGrace is the time between HUP and KILL for the processes of a call that is
	// ended.
	endGrace = 2 * time.Second
)

// Host is how programs are run. It may be copied and used concurrently.
type Host struct {
	Environ []string // environment of calls that bring none
	Search  string   // PATH in which programs are looked up; "": that of their environment
	Output  int      // limit of stdout and stderr together, in bytes; at most MaxOutput
	// Foreign says that programs run as a user who cannot read the files of this
	// process: scripts are handed over as open files.
	Foreign bool
	// Under, if set, puts a process that is about to start under a policy.
	Under func(*ptyproc.Spec)
	// Ended, if set, is told how the program of a call ended, and how many bytes it has written.
	Ended func(exit ptyproc.Exit, out int)
	Guard *Guard // ends the programs if this process is killed; nil: nothing does
}

// Run runs the program of c and returns the result for the caller. If ctx ends or the
// output exceeds the limit, Run ends all processes of the program's process group and
// returns the cause. Background jobs of a program that ended by itself keep running.
func (h Host) Run(ctx context.Context, c Call) (chainpack.Value, error) {
	return h.run(ctx, c, c.Text, c.Args, nil)
}

// Exit runs the program of c, as Run does, and returns its exit code only.
func (h Host) Exit(ctx context.Context, c Call) (code int, err error) {
	c.wants, c.list = []want{wantExit}, true
	result, err := h.Run(ctx, c)
	n, _ := result.At(0).AsInt()
	return int(n), err
}

// run runs a program. The program has handed, if set, as descriptor ptyproc.HandedFD.
func (h Host) run(
	ctx context.Context, c Call, program string, args []string, handed *os.File,
) (chainpack.Value, error) {
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
		return chainpack.Value{}, rpc.Errorf(rpc.CodeException,
			"the output is longer than %d bytes, the limit on this device; the program was ended", h.Output)
	}
	exit := p.Wait()
	if h.Ended != nil {
		h.Ended(exit, len(out.stdout)+len(out.stderr))
	}
	if exit.Signal != 0 {
		return chainpack.Value{}, errCrashed
	}
	return c.result(exit.Code, out.stdout, out.stderr), nil
}

// StartError is the error of a program that could not be started. Callers get the error of
// the C++ agent; its text, for logs, is the cause.
type StartError struct{ Err error }

// Error returns the text of the cause.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the error for callers, then the cause.
func (e *StartError) Unwrap() []error { return []error{errNotStarted, e.Err} }

// notFound reports whether the program itself does not exist.
func (e *StartError) notFound() bool {
	var start *ptyproc.StartError
	return errors.As(e.Err, &start) && start.Code == 127
}

// output is what a program has written so far.
type output struct {
	readers        sync.WaitGroup
	stdout, stderr []byte        // owned by the readers until they have ended
	left           atomic.Int64  // bytes that may still come
	over           chan struct{} // closed when left is used up
	once           sync.Once
}

// collect reads all streams of p, and drops those that c does not want.
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

// isOver reports whether the output exceeded the limit.
func (o *output) isOver() bool {
	select {
	case <-o.over:
		return true
	default:
		return false
	}
}

// end ends the remaining processes and the readers. It does not wait for a process that
// cannot be killed.
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
