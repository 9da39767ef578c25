package core

import (
	"github.com/rs/zerolog"

	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// response passes a response back along its reply route (spec.md 7.1c, design.md 5). It
// drops and counts what nobody asked for.
func (s *session) response(m *rpc.Message, f *link.Frame) {
	stats := &s.broker.stats
	state := m.Tunnel().State
	with, allowed, misplaced := s.mayAnswer(m, state)
	if len(m.Callers()) == 0 && (s.pings.Answered(m) || s.child != nil && s.child.Answered(m)) {
		return
	}
	toID, ok := m.PopCaller()
	switch {
	case !ok:
		stats.unaddressed.Add(1)
		return
	case !allowed:
		if stats.forged.Add(1); s.login.done {
			s.log.Debug().Int64("to", toID).Str("reason", "nobody asked for it").Msg("response dropped")
		}
		return
	}
	switch state {
	case rpc.FindTunnelRequest:
		if !s.findTunnel(m, toID, with) {
			return
		}
	case rpc.FindTunnelResponse:
		s.foundTunnel(m, toID)
	}
	s.pass(m, f, toID, state, misplaced)
}

// mayAnswer reports whether there is a reply route for m, whether the id of m is misplaced
// on that unless it is a tunnel's, and for a FindTunnelRequest the right that its call was
// made with. A secret is given only for a call that this link was asked. Otherwise a device
// that somebody once called could have its own helper answer the call of a shell on another
// device.
func (s *session) mayAnswer(m *rpc.Message, state rpc.TunnelState) (with replyroutes.Right, ok, misplaced bool) {
	switch {
	case s.ticket != nil:
		ok = m.ID() == s.ticket.id && state != rpc.FindTunnelRequest && s.routes.Has(m.Callers())
	case state == rpc.FindTunnelRequest:
		with, ok = s.routes.WasAsked(m.Callers(), m.ID())
	case state == rpc.FindTunnelResponse && s.parent == nil: // it would lead a helper away
	default:
		ok, misplaced = s.routes.MayAnswer(m.Callers(), m.ID())
	}
	return with, ok, misplaced
}

// answerInstead answers a call with an error instead of a response that cannot be passed
// on. Errors have their own queue space on the link of a broker, per sender. A sender
// that fills that too answers calls that have an error already, so nothing is lost.
func (s *session) answerInstead(m *rpc.Message, to *session, err *rpc.Error) {
	f := link.NewMessage(rpc.AppendError(nil, m.Address(), err))
	defer f.Release()
	s.broker.opts.Journal.Sent(to.id, f.Message(), false)
	_ = to.link.Send(f, &s.flowsTo(to).lost)
}

// pass forwards a response to the session toID, if the tunnel that it claims to belong
// to is the sender's. misplaced is as mayAnswer returned it.
func (s *session) pass(m *rpc.Message, f *link.Frame, toID int64, state rpc.TunnelState, misplaced bool) {
	b := s.broker
	to, t, verdict := b.route(s, m, toID, state, misplaced)
	switch verdict {
	case dropQuietly:
		b.stats.late.Add(1)
		return
	case dropForged:
		b.stats.forged.Add(1)
		s.log.Debug().Int64("to", toID).Str("reason", "the tunnel is another's").Msg("response dropped")
		return
	case dropMisplaced:
		b.stats.misplaced.Add(1)
		s.log.Provoked("response dropped", "another device was asked, or none yet", func(e *zerolog.Event) {
			e.Int64("to", toID)
		})
		return
	case tooMany:
		s.answerInstead(m, to, rpc.Errorf(rpc.CodeTryAgainLater,
			"too many tunnels are open on one connection, no more can be"))
		return
	}
	if m.Has(rpc.TagRevCallerIDs) && !to.routes.Open(m.RevCallers(), replyroutes.Call{}, s.opener()) {
		b.stats.forged.Add(1) // no honest peer needs that many reply routes
		return
	}
	if t != nil && state == rpc.CreateTunnelRequest {
		if err := t.account.Begin(); err != nil {
			b.closeTunnel(t, err.Error())
			return
		}
	}
	switch err := s.forward(m, f, to, t, t != nil && state == rpc.NoTunnel); err {
	case nil:
		b.stats.responses.Add(1)
		if t != nil {
			t.count(to, len(m.Body()))
		}
	case link.ErrQueueFull:
		// No response may get lost silently.
		if t != nil {
			b.closeTunnel(t, "the other end does not keep up")
			return
		}
		if to.isBroker() {
			// Many others share the link.
			b.stats.responsesLost.Add(1)
			s.answerInstead(m, to, rpc.Errorf(rpc.CodeTryAgainLater,
				"the answer got lost: the connection between two brokers does not keep up"))
			return
		}
		to.link.Close(link.SlowPeer)
	case errTooBig:
		b.stats.malformed.Add(1)
		s.log.Provoked("response dropped", "it is too big to be passed on", func(e *zerolog.Event) {
			e.Int64("to", toID)
		})
	}
	switch {
	case t != nil && state == rpc.CloseTunnel:
		b.tunnelClosed(t, record.Closed(m, s == t.helper.session))
	case t == nil && s.ticket != nil:
		b.settle(s.ticket) // the helper has answered the call by itself
	}
	if t == nil && to.recorded.Load() > 0 {
		b.book.Answered(toID, m)
	}
}
