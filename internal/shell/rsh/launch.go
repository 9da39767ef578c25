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

// call is the param of launchRexec. What helpers of the base protocol
// understand stands before the offer.
func (s *session) call() chainpack.Value {
	o := &s.opts
	line := strings.Join(o.Command, " ")
	offer := tunnel.Ext{Version: tunnel.Version, Window: s.window(), Env: o.Env, Features: []string{inband.Feature}}
	shell := o.Shell
	program := chainpack.List(chainpack.String("/bin/sh"), chainpack.String("-c"), chainpack.String(line))
	switch {
	case o.Subsystem:
		offer.Run = tunnel.Run{Kind: tunnel.RunSubsystem, Text: line}
		program = chainpack.String("/usr/lib/openssh/sftp-server") // where a Debian has it
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

// window is how much of a channel the device may send ahead: little to a
// terminal, so that Ctrl-C soon shows.
func (s *session) window() int64 {
	if s.opts.TTY {
		return tunnel.PtyWindow
	}
	return tunnel.CommandWindow
}

// open calls launchRexec and waits for the CreateTunnelRequest.
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
	if err := s.client.Send(rpc.AppendIdentified(nil, s.readID, s.opts.Path, method, s.call())); err != nil {
		return err
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-s.opened:
		return nil
	case err := <-s.failed:
		return s.elsewise(err)
	case <-s.client.Done():
		select {
		case err := <-s.failed: // the answer came just before the end
			return err
		default:
			return s.client.Err()
		}
	case <-late.C:
		return fmt.Errorf("no answer within %v", wait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive takes the responses to the call. The end of the tunnel is made in the
// read loop, so that nothing that follows is missed.
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
		err = fmt.Errorf("unreadable answer: %w", err)
	case content.Error != nil:
		err = content.Error
	case m.Tunnel().State == rpc.FindTunnelRequest:
		// Which is for a broker; one that does not know it takes it for a result.
		err = errors.New("the broker knows no tunnels, and the agent there cannot do without them")
	default:
		err = errors.New("what answers there is no agent: it offered no tunnel")
	}
	select {
	case s.failed <- err:
	default:
	}
}

// create makes our end of the tunnel that m asks for.
func (s *session) create(m *rpc.Message, content rpc.Content) {
	writeID := m.Tunnel().RequestID
	if writeID == 0 {
		writeID = s.readID
	}
	to := rpc.Address{ID: writeID, Callers: append(rpc.CallerIDs(nil), m.RevCallers()...)}
	s.byTunnel = true
	s.makeEnd(s.client.Link(), to, content.Value)
}

// makeEnd makes our end of a session whose helper answered the offer.
func (s *session) makeEnd(carrier tunnel.Carrier, to rpc.Address, answer chainpack.Value) {
	ext, extended := tunnel.ExtOf(answer)
	s.extended = extended
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

// accept sends the CreateTunnelResponse, upon which the helper starts.
func (s *session) accept() error {
	if !s.byTunnel {
		s.inBand.Begin()
		return nil
	}
	ctl := rpc.TunnelCtl{State: rpc.CreateTunnelResponse}
	return s.client.Send(rpc.AppendTunnel(nil, s.end.To(), rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, 0, chainpack.Null()))
}

// openWait is how long a device may take to open the tunnel.
const openWait = 15 * time.Second
