package rsh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"shvtools/internal/session/inband"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// param returns the param of launchRexec. Keys that every shvrexec understands come
// before the offer, which older ones ignore (spec.md 8.10).
func (s *session) param() chainpack.Value {
	o := &s.opts
	line := strings.Join(o.Command, " ")
	offer := tunnel.Ext{Version: tunnel.Version, Window: s.window(), Env: o.Env, Features: []string{inband.Feature}}
	shell := o.Shell
	program := chainpack.List(chainpack.String("/bin/sh"), chainpack.String("-c"), chainpack.String(line))
	switch {
	case o.Subsystem:
		offer.Run = tunnel.Run{Kind: tunnel.RunSubsystem, Text: line}
		program = chainpack.String("/usr/lib/openssh/sftp-server") // where Debian has it
	case len(o.Command) > 0:
		offer.Run = tunnel.Run{Kind: tunnel.RunExec, Text: line}
	default:
		offer.Run = tunnel.Run{Kind: tunnel.RunShell, Text: shell}
		if shell == "" {
			shell = "/bin/bash"
		}
		program = chainpack.String(shell)
	}
	method, params := "runCmd", program
	if o.TTY {
		method = "runPtyCmd"
		params = chainpack.List(program, chainpack.Int(int64(s.size.Cols)), chainpack.Int(int64(s.size.Rows)))
	}
	return chainpack.Map(
		chainpack.F("method", chainpack.String(method)),
		chainpack.F("params", params),
		chainpack.F("ext", offer.Value()),
	)
}

// window is how many bytes of a channel the device may send ahead: few to a terminal,
// so that Ctrl-C takes effect soon.
func (s *session) window() int64 {
	if s.opts.TTY {
		return tunnel.PtyWindow
	}
	return tunnel.CommandWindow
}

// open calls launchRexec and waits until the device opens the session.
func (s *session) open(ctx context.Context) error {
	s.opened, s.failed = make(chan struct{}), make(chan error, 1)
	s.readID = s.client.NewID()
	s.client.Expect(s.readID, s.receive)
	method, wait := s.opts.Method, s.opts.OpenTimeout
	if method == "" {
		method = "launchRexec"
	}
	if wait == 0 {
		wait = openWait
	}
	if err := s.client.Send(rpc.AppendIdentified(nil, s.readID, s.opts.Path, method, s.param())); err != nil {
		return err
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-s.opened:
		return nil
	case err := <-s.failed:
		return s.afterFailure(err)
	case <-s.client.Done():
		select {
		case err := <-s.failed: // the answer came just before the end
			return err
		default:
			return fmt.Errorf("cannot open a session: connection to the broker lost: %w", s.client.Err())
		}
	case <-late.C:
		return fmt.Errorf("cannot open a session: no answer within %v", wait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive takes the responses to the call. It runs in the read loop and makes the end
// of the tunnel there, so that no message that follows is missed.
func (s *session) receive(m *rpc.Message, f *link.Frame) {
	switch {
	case s.end != nil && s.inBand != nil && !s.byTunnel:
		s.inBand.Receive(m, f)
		return
	case s.end != nil:
		s.end.Receive(m, f)
		return
	}
	content, err := m.Content()
	if err == nil && content.Key == rpc.KeyDelay {
		return
	}
	if m.Tunnel().State == rpc.CreateTunnelRequest && m.Has(rpc.TagRevCallerIDs) {
		s.create(m, content)
		return
	}
	if id, ok := inband.OfferOf(content.Value); ok && content.Key == rpc.KeyResult {
		s.attach(id)
		return
	}
	switch {
	case err != nil:
		err = fmt.Errorf("cannot open a session: invalid answer: %w", err)
	case content.Error != nil:
		err = content.Error
	case m.Tunnel().State == rpc.FindTunnelRequest:
		// The request is for a broker. A broker without tunnels passes it on as a result.
		err = errors.New("cannot open a session: the broker has no tunnels, and this device needs one")
	default:
		err = errors.New("not a shvagent: it did not offer a session")
	}
	select {
	case s.failed <- err:
	default:
	}
}

// create makes our end of the tunnel that m requests.
func (s *session) create(m *rpc.Message, content rpc.Content) {
	writeID := m.Tunnel().RequestID
	if writeID == 0 {
		writeID = s.readID
	}
	to := rpc.Address{ID: writeID, Callers: append(rpc.CallerIDs(nil), m.RevCallers()...)}
	s.byTunnel = true
	s.makeEnd(s.client.Link(), to, content.Value)
}

// makeEnd makes our end of the session that the device opened with answer.
func (s *session) makeEnd(carrier tunnel.Carrier, to rpc.Address, answer chainpack.Value) {
	ext, extended := tunnel.ExtOf(answer)
	s.extended = extended
	if ext.NoTerminal {
		s.local, s.opts.TTY = false, false
	}
	watch := s.opts.Watch
	if s.local {
		watch.Stuck = s.stuck
	}
	s.end = tunnel.New(tunnel.Options{
		Link:       carrier,
		To:         to,
		ErrorEnds:  true,
		Extended:   extended,
		Window:     s.window(),
		PeerWindow: ext.Window,
		Direct:     s.show,
		Watch:      watch,
	})
	close(s.opened)
}

// accept answers that the session is accepted, upon which the device starts the program.
func (s *session) accept() error {
	if !s.byTunnel {
		s.inBand.Begin()
		return nil
	}
	meta := rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.CreateTunnelResponse}}
	return s.client.Send(rpc.AppendTunnel(nil, s.end.To(), meta, 0, chainpack.Null()))
}

// openWait is the default time for a device to open the session.
const openWait = 15 * time.Second
