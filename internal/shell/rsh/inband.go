package rsh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shvtools/internal/session/inband"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

const (
	// tunnelGrace is how long to wait for a tunnel when the device refuses an in-band
	// session: a broker may have found one meanwhile.
	tunnelGrace = 2 * time.Second
	// leaveWait is how long the last call may take to reach the broker.
	leaveWait = time.Second
)

// refusedInBand is the error of the call that attaches to an in-band session.
type refusedInBand struct{ err error }

func (e refusedInBand) Error() string { return e.err.Error() }

// attach accepts the device's offer of an in-band session. The read loop calls it.
func (s *session) attach(id string) {
	if s.inBand != nil {
		return // the offer is repeated
	}
	batch := inband.CommandBatch
	if s.opts.TTY {
		batch = inband.PtyBatch
	}
	user := inband.Attach(inband.UserOptions{
		Client: s.client,
		Path:   shvpath.Join(s.opts.Path, inband.Node+"/"+id),
		Ext:    tunnel.Ext{Version: tunnel.Version, Window: s.window()},
		Batch:  batch,
		Opened: func(answer chainpack.Value) {
			if s.end == nil {
				s.makeEnd(s.inBand, rpc.Address{ID: s.readID}, answer)
			}
		},
		Failed: func(err error) {
			select {
			case s.failed <- refusedInBand{err}:
			default:
			}
		},
		Deliver: func(m *rpc.Message, f *link.Frame) { s.end.Receive(m, f) },
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inBand = user
}

// afterFailure returns the error of a call that failed. If only the in-band session was
// refused, a tunnel may still come; the error then is nil.
func (s *session) afterFailure(err error) error {
	var inBand refusedInBand
	if !errors.As(err, &inBand) {
		return err
	}
	var refused *rpc.Error
	switch {
	case !errors.As(inBand.err, &refused):
		return inBand.err
	case refused.Code == rpc.CodeException:
		return errors.New(refused.Message) // the device cannot start the session
	}
	if refused.Code == rpc.CodeMethodNotFound {
		select {
		case <-s.opened:
			return nil
		case <-time.After(tunnelGrace):
		case <-s.client.Done():
		}
	}
	node := shvpath.Join(s.opts.Path, inband.Node)
	return fmt.Errorf("cannot open a session: the broker has no tunnels and refuses calls of %s/*:attach (%v); "+
		"its rules must allow this user attach, write and close on %s/**", node, refused, node)
}

// leave tells the device that the user leaves an in-band session: no broker does.
func (s *session) leave() {
	s.mu.Lock()
	user := s.inBand
	s.mu.Unlock()
	if user == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	user.Leave(ctx)
}
