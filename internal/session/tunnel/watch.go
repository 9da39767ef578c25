package tunnel

import (
	"fmt"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/wire/link"
)

// Watch is how an end watches its peer. A zero field means its default.
type Watch struct {
	// Every is how long nothing may arrive before the end asks for a sign of life; 0: 15 s,
	// negative: never.
	Every time.Duration
	// Count is how many times Every may pass without a sign before the peer counts as dead; 0: 3.
	Count int
	// Vouched: the brokers report the loss of the peer, so silence means no more than a suspended
	// program. The end gives up after 12 hours only.
	Vouched bool
	// Stuck, if set, is called each second with how long nothing has arrived although an answer is
	// overdue, and with 0 when something arrives again. It must not wait.
	Stuck func(silent time.Duration)
}

const (
	pingEvery    = 15 * time.Second
	pingCount    = 3
	vouchedLimit = 12 * time.Hour
	// overdue is how long an answer may take before the link counts as stuck.
	overdue = 5 * time.Second
)

// silence is what a watch knows of its peer.
type silence struct {
	Watch
	tick     time.Duration
	received uint64 // messages when something last arrived
	before   int64  // bytes of data sent until the last look
	sent     int64  // bytes of data sent until the look before something last arrived
	silent   time.Duration
	asked    time.Duration // silent when the first ping was sent; 0: none was
	stuck    bool
}

// watch ends the tunnel when its link ends or its peer is dead. A panic of it, or of Stuck, ends
// only this tunnel.
func (e *End) watch() {
	defer func() {
		if p := recover(); p != nil {
			e.Close(Closing{Err: link.AsPanic(p)})
		}
	}()
	s := silence{Watch: e.opts.Watch}
	if s.Every == 0 {
		s.Every = pingEvery
	}
	if s.Count == 0 {
		s.Count = pingCount
	}
	s.tick = s.Every
	if s.Stuck != nil || s.tick < 0 || !e.opts.Extended {
		s.tick = time.Second
	}
	ticker := time.NewTicker(s.tick)
	defer ticker.Stop()
	for {
		select {
		case <-e.closed:
			return
		case <-e.opts.Link.Done():
			e.Close(Closing{Err: e.opts.Link.Err()})
			return
		case <-ticker.C:
		}
		if err := e.look(&s); err != nil {
			e.Close(Closing{Err: err})
			return
		}
	}
}

// look looks at the peer once. An error means that the peer is dead.
func (e *End) look(s *silence) error {
	// Without windows, the read loop may be waiting for the consumer and not see the end.
	if !e.opts.Extended && e.opts.Link.PeerGone() {
		return &link.EndError{Cause: link.PeerClosed}
	}
	now, sent := e.received.Load(), e.sentTotal()
	defer func() { s.before = sent }()
	if now != s.received || !e.opts.Extended {
		if s.stuck {
			s.Stuck(0)
		}
		// What was sent since the last look may or may not have been answered.
		s.received, s.sent = now, s.before
		s.silent, s.asked, s.stuck = 0, 0, false
		return nil
	}
	s.silent += s.tick
	limit := time.Duration(s.Count) * s.Every
	if s.Vouched {
		limit = vouchedLimit
	}
	if s.Every > 0 && s.silent >= limit {
		return fmt.Errorf("no sign of life from the other end for %v", s.silent)
	}
	waiting := s.Stuck != nil && s.Every > 0 && s.asked == 0 && s.silent >= overdue && sent != s.sent
	if waiting || s.Every > 0 && s.silent%s.Every < s.tick {
		if s.asked == 0 {
			s.asked = s.silent
		}
		e.post(e.controlFrame("ping", chainpack.Int(int64(s.silent/time.Second))))
	}
	if s.Stuck != nil && s.asked > 0 && s.silent >= s.asked+overdue {
		s.stuck = true
		s.Stuck(s.silent)
	}
	return nil
}

// sentTotal returns how many bytes of data were sent on all channels.
func (e *End) sentTotal() (n int64) {
	for i := range channels {
		n += e.Sent(i)
	}
	return n
}
