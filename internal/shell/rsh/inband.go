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
	// tunnelGrace is how long a tunnel is waited for when the device refuses to
	// do without: it may have got one in the meantime.
	tunnelGrace = 2 * time.Second
	// leaveWait is how long the last call may take to reach the broker.
	leaveWait = time.Second
)

// refusedInBand is the error of the call that takes the offer of a session in
// band.
type refusedInBand struct{ err error }

func (e refusedInBand) Error() string { return e.err.Error() }

// attach takes the device's offer of a session in band; the read loop calls it.
func (s *session) attach(id string) {
	if s.inBand != nil {
		return // the offer comes twice
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

// elsewise gives the error of a call that failed. A tunnel may still come where
// the device only refuses the session in band.
func (s *session) elsewise(err error) error {
	var inBand refusedInBand
	if !errors.As(err, &inBand) {
		return err
	}
	var refused *rpc.Error
	switch {
	case !errors.As(inBand.err, &refused):
		return inBand.err
	case refused.Code == rpc.CodeException:
		return errors.New(refused.Message) // of the device: it cannot start the session
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
	return fmt.Errorf("the broker knows no tunnels and does not let us call %s/*:attach (%v): its rules for this user must allow attach, write and close on %s/**",
		node, refused, node)
}

// leave tells the device that we go, where no broker does it for us.
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
