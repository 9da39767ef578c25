package inband

import (
	"sync"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/wire/link"
)

const (
	// blockAbove is how many bytes may wait to be sent before who may wait does.
	blockAbove = 256 << 10
	// maxWaiting is how many bytes may wait at the most. Windows keep honest ends
	// far below.
	maxWaiting = 8 << 20
	// maxControls is how many control frames may wait.
	maxControls = 4096
)

// sender sends the pieces of one direction until they are acknowledged. All
// methods may be called concurrently.
type sender struct {
	batch    int            // bytes of data in a piece
	transmit func(p *piece) // sends one; called with mu held, must not wait

	mu       sync.Mutex
	space    sync.Cond
	urgent   []*piece // control frames that wait to be sent first
	waiting  []*piece // what else waits to be sent
	bytes    int      // of waiting
	unacked  []*piece // sent and not acknowledged, in the order of sending
	inFlight int      // pieces under way
	limit    int      // for out: less after a loss
	next     [channels]int64
	acked    [channels]int64
	gaps     [channels]int64 // where the last gap was, plus one: each is filled at once only once
	patient  time.Duration   // how long nothing may be acknowledged
	timer    *time.Timer     // nil until something was sent
	closed   bool
}

func (s *sender) init(batch int, transmit func(*piece)) {
	s.batch, s.transmit = batch, transmit
	s.space.L = &s.mu
	s.limit, s.patient = maxUnacked, resendAfter
}

// put sends what came from an end of the tunnel. With wait, data waits until little
// enough is waiting before it.
func (s *sender) put(p piece, wait bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for wait && p.channel != tunnel.Control && !s.closed && s.bytes >= blockAbove {
		s.space.Wait()
	}
	switch {
	case s.closed:
		return link.ErrClosed
	case s.bytes > maxWaiting || len(s.urgent) >= maxControls:
		return link.ErrQueueFull
	}
	if p.channel == tunnel.Control {
		// The end of a channel has to stay behind the channel.
		if _, _, ends := eofOf(p.control); ends {
			s.waiting = append(s.waiting, &p)
		} else {
			s.urgent = append(s.urgent, &p)
		}
	} else {
		s.putData(p.channel, p.data)
	}
	s.pump()
	return nil
}

// putData cuts data into pieces, of which the first fills up the one that waits
// last.
func (s *sender) putData(channel int64, data []byte) {
	s.bytes += len(data)
	for len(data) > 0 {
		var p *piece
		if n := len(s.waiting); n > 0 && s.waiting[n-1].channel == channel && len(s.waiting[n-1].data) < s.batch {
			p = s.waiting[n-1]
		} else {
			p = &piece{channel: channel}
			s.waiting = append(s.waiting, p)
		}
		n := min(len(data), s.batch-len(p.data))
		p.data = append(p.data, data[:n]...)
		data = data[n:]
	}
}

// pump sends what may be sent; mu is held.
func (s *sender) pump() {
	for !s.closed && s.inFlight < s.limit {
		p := s.take()
		if p == nil {
			break
		}
		p.inFlight, p.sent = true, time.Now()
		p.times++
		s.inFlight++
		if s.inFlight == 1 {
			s.watch()
		}
		s.transmit(p)
	}
}

// take gives the next piece to send: a lost one, control, data; nil: none.
func (s *sender) take() *piece {
	for _, p := range s.unacked {
		if !p.inFlight {
			return p
		}
	}
	var p *piece
	switch {
	case len(s.unacked) >= maxUnacked:
		return nil
	case len(s.urgent) > 0:
		p, s.urgent = s.urgent[0], s.urgent[1:]
	case len(s.waiting) > 0:
		p, s.waiting = s.waiting[0], s.waiting[1:]
		s.bytes -= len(p.data)
		s.space.Broadcast()
	default:
		return nil
	}
	p.at = s.next[p.channel]
	s.next[p.channel] = p.end()
	s.unacked = append(s.unacked, p)
	return p
}

// watch lets what is under way be sent again when nothing is acknowledged; mu is
// held.
func (s *sender) watch() {
	if s.timer == nil {
		s.timer = time.AfterFunc(s.patient, s.late)
		return
	}
	s.timer.Reset(s.patient)
}

// late takes all that is under way for lost.
func (s *sender) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.inFlight == 0 {
		return
	}
	for _, p := range s.unacked {
		p.inFlight = false
	}
	// A path that is slow and loses nothing must not be given all of it again.
	s.inFlight, s.limit = 0, max(s.limit/2, minUnacked)
	s.patient = max(s.patient, min(2*s.patient, resendLimit))
	s.pump()
}

// ack notes that the peer has taken total of a channel.
func (s *sender) ack(channel, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if channel < 0 || channel >= channels || total <= s.acked[channel] || total > s.next[channel] {
		return
	}
	s.acked[channel] = total
	kept := s.unacked[:0]
	for _, p := range s.unacked {
		switch {
		case p.channel != channel || p.end() > total:
			kept = append(kept, p)
		case p.inFlight:
			s.inFlight--
			if p.times == 1 { // else it is not known which of them was answered
				s.patient = min(max(resendAfter, 2*time.Since(p.sent)), slowLimit)
			}
		}
	}
	clear(s.unacked[len(kept):])
	s.unacked = kept
	s.limit = min(s.limit+1, maxUnacked)
	if s.inFlight > 0 {
		s.watch()
	}
	s.pump()
}

// gap notes that the peer got something behind total, so that what stands there
// was lost.
func (s *sender) gap(channel, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if channel < 0 || channel >= channels || total < s.acked[channel] || s.gaps[channel] == total+1 {
		return
	}
	s.gaps[channel] = total + 1
	for _, p := range s.unacked {
		if p.channel == channel && p.inFlight {
			p.inFlight = false
			s.inFlight--
		}
	}
	s.pump()
}

// state tells whether all was sent, and whether all was acknowledged.
func (s *sender) state() (sent, acked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent = len(s.urgent)+len(s.waiting) == 0
	return sent, sent && len(s.unacked) == 0
}

// close sends nothing from now on.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.space.Broadcast()
}

// controls is the number that the next control frame gets.
func (s *sender) controls() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next[tunnel.Control]
}
