package agent

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/device/runas"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
)

// account is a session for the record of who did what: it has a start and one end.
type account struct {
	trail *audit.Trail
	start audit.Record
	since time.Time

	mu    sync.Mutex
	end   audit.End
	ended bool
}

// commandOf returns the command that somebody wants to run, for records.
func commandOf(w policy.Wanted) string {
	if w.Line != "" || len(w.Argv) == 0 {
		return w.Line
	}
	return audit.CommandText(w.Argv)
}

// recordOf returns the record of what a user, who is the last of a chain, does on this connection.
func (c *connection) recordOf(event audit.Event, chain, user, method string) audit.Record {
	return audit.Record{
		Event: event, User: chain, By: cmp.Or(user, "(unknown)"), Method: method,
		Peer: c.broker.URL.String(), Path: c.broker.MountPoint,
	}
}

// begin records the start of a call that is a session by itself. An error is for the caller.
func (c *connection) begin(r *node.Request, use policy.Use, g *policy.Grant, command string) (*account, error) {
	record := c.recordOf(audit.SessionStart, policy.UserChain(r.UserID), rpc.UserOf(r.UserID), r.Method)
	record.Session, record.Use, record.Command = r.From.CallName(), use.String(), command
	if r.Path != "" {
		record.Path += "/" + r.Path
	}
	return begin(c.agent.opts.Audit, record, g)
}

// begin records the start of a session under a grant; nil: no rule is about it. It may wait for the disk.
func begin(trail *audit.Trail, start audit.Record, g *policy.Grant) (*account, error) {
	if g != nil {
		start.Rule = g.Rule
		if account, err := runas.Lookup(g); err == nil {
			start.RunAs = account.Name
		}
	}
	if err := trail.Begin(start); err != nil {
		return nil, rpc.Errorf(rpc.CodeException, "%v", err)
	}
	return &account{trail: trail, start: start, since: time.Now()}, nil
}

// exited notes how the program of the session ended, and how much it wrote.
func (a *account) exited(exit ptyproc.Exit, out int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end.Signal, a.end.BytesOut = exit.Name(), int64(out)
	if exit.Signal == 0 {
		a.end.Exit = &exit.Code
	}
}

// over records the end of the session. The cause is nil if its program ended by itself.
func (a *account) over(in int64, cause error) {
	a.mu.Lock()
	end := a.end
	a.mu.Unlock()
	end.BytesIn = in
	a.write(end, cause)
}

// reported records the end of a session as its helper reports it; nil: it did not.
func (a *account) reported(e *helperline.Ended, cause error) {
	if e == nil {
		a.write(audit.End{}, cause)
		return
	}
	if e.Cause != "" {
		cause = errors.New(e.Cause)
	}
	a.write(audit.End{Exit: e.Exit, Signal: e.Signal, BytesIn: e.In, BytesOut: e.Out}, cause)
}

// lost records the end of a call that panicked.
func (a *account) lost() { a.over(0, node.ErrInternal) }

// write records the end, once.
func (a *account) write(end audit.End, cause error) {
	a.mu.Lock()
	before := a.ended
	a.ended = true
	a.mu.Unlock()
	if before {
		return
	}
	end.Took = time.Since(a.since)
	record := a.start
	record.Event, record.Command, record.End = audit.SessionEnd, "", &end
	if cause != nil {
		record.Cause = cause.Error()
	}
	a.trail.Write(record)
}

// denied records a call of something that the policy, or the level of the caller, does not allow.
func (c *connection) denied(r *node.Request, use, command string, why error) {
	record := c.recordOf(audit.CallDenied, policy.UserChain(r.UserID), rpc.UserOf(r.UserID), r.Method)
	record.Use, record.Command, record.Cause = use, command, why.Error()
	if r.Path != "" {
		record.Path += "/" + r.Path
	}
	c.agent.opts.Audit.Write(record)
}

// recorded returns files whose changes are recorded, each call as a session of its own.
func (c *connection) recorded(files *fsnode.FS, g *policy.Grant) *fsnode.FS {
	return files.Around(func(r *node.Request, change func() (chainpack.Value, error)) (chainpack.Value, error) {
		a, err := c.begin(r, policy.Files, g, "")
		if err != nil {
			return chainpack.Value{}, err
		}
		defer a.lost()
		result, err := change()
		a.over(int64(r.Size), err)
		return result, err
	})
}

// causeOf returns why a call ended before its program; nil: it did not.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
