package inband

import (
	"sync"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/wire/link"
)

const (
	// blockAbove is how many bytes may wait to be sent before a caller that may wait does.
	blockAbove = 256 << 10
	// maxWaiting is the limit for waiting bytes. Windows keep honest ends far below.
	maxWaiting = 8 << 20
	// maxControls is the limit for waiting control frames.
	maxControls = 4096
)

// sender sends the pieces of one direction until they are acknowledged. All methods may be called
// concurrently.
type sender struct {
	batch    int            // bytes of data in a piece
	transmit func(p *piece) // sends a piece; called with mu held, so it must not wait

	mu       sync.Mutex
	space    sync.Cond
	urgent   []*piece // control frames that wait to be sent first
	waiting  []*piece // other pieces that wait to be sent
	bytes    int      // of data in waiting
	unacked  []*piece // sent but not acknowledged, in the order of first sending
	inFlight int      // pieces of unacked that do not count as lost
	limit    int      // of inFlight; smaller after a loss
	next     [channels]int64
	acked    [channels]int64
	gaps     [channels]int64 // where the last gap was, plus one: a gap causes one resend only
	patient  time.Duration   // how long an acknowledgement may take
	timer    *time.Timer     // nil until something is sent
	closed   bool
}

func (s *sender) init(batch int, transmit func(*piece)) {
	s.batch, s.transmit = batch, transmit
	s.space.L = &s.mu
	s.limit, s.patient = maxUnacked, resendAfter
}

// put sends what an end of the tunnel sent. With wait, data waits while too much is queued before
// it.
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
		// The end of a channel must stay after its data.
		if _, _, ends := eofOf(p.control); ends {
			s.waiting = append(s.waiting, &p)
		} else {
			s.urgent = append(s.urgent, &p)
		}
	} else {
		s.putDataLocked(p.channel, p.data)
	}
	s.pumpLocked()
	return nil
}

// putDataLocked cuts data into pieces. It first fills up the last waiting piece.
func (s *sender) putDataLocked(channel int64, data []byte) {
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

// pumpLocked sends what may be sent.
func (s *sender) pumpLocked() {
	for !s.closed && s.inFlight < s.limit {
		p := s.takeLocked()
		if p == nil {
			break
		}
		p.inFlight, p.sent = true, time.Now()
		p.times++
		s.inFlight++
		if s.inFlight == 1 {
			s.watchLocked()
		}
		s.transmit(p)
	}
}

// takeLocked returns the next piece to send: a lost one, control, or data; nil if there is none.
func (s *sender) takeLocked() *piece {
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

// watchLocked starts the time after which unacknowledged pieces are sent again.
func (s *sender) watchLocked() {
	if s.timer == nil {
		s.timer = time.AfterFunc(s.patient, s.late)
		return
	}
	s.timer.Reset(s.patient)
}

// late treats all pieces in flight as lost.
func (s *sender) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.inFlight == 0 {
		return
	}
	for _, p := range s.unacked {
		p.inFlight = false
	}
	// A path that is slow but loses nothing must not get all of them again at once.
	s.inFlight, s.limit = 0, max(s.limit/2, minUnacked)
	s.patient = max(s.patient, min(2*s.patient, resendLimit))
	s.pumpLocked()
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
			if p.times == 1 { // otherwise it is unknown which one was answered
				s.patient = min(max(resendAfter, 2*time.Since(p.sent)), slowLimit)
			}
		}
	}
	clear(s.unacked[len(kept):])
	s.unacked = kept
	s.limit = min(s.limit+1, maxUnacked)
	if s.inFlight > 0 {
		s.watchLocked()
	}
	s.pumpLocked()
}

// gap notes that the peer received something beyond total, so that the piece there was lost.
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
	s.pumpLocked()
}

// state reports whether everything was sent, and whether everything was acknowledged.
func (s *sender) state() (sent, acked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent = len(s.urgent)+len(s.waiting) == 0
	return sent, sent && len(s.unacked) == 0
}

// close stops sending.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.space.Broadcast()
}

// controls returns the number of the next control frame.
func (s *sender) controls() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next[tunnel.Control]
}
