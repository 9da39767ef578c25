package link

import (
	"errors"
	"sync/atomic"
)

const (
	// unreserved is the size in bytes up to which a frame that is being read is not charged: an
	// idle link costs as much.
	unreserved = 5 << 10
	// firstReserved is how many bytes of memory a declared length gets at once; it gets more only
	// as the bytes arrive. A frame of 64 KiB needs no copy.
	firstReserved = 66 << 10
)

// Account is who pays for the memory that links hold: a user, a device or a broker. Its methods
// must not wait, and must not call the link.
type Account interface {
	// Queue charges n bytes that wait for a peer; a negative n gives back.
	Queue(n int)
	// Begin charges n bytes for a frame that has begun, unless there is no space for them; a
	// negative n gives back.
	Begin(n int) bool
}

// errMemory reports that the account has no space for a frame.
var errMemory = errors.New("no memory is left for an unfinished frame")

// reading is the memory of the frame that is being read. The read loop owns it.
type reading struct {
	account Account      // nil: nobody pays
	bytes   atomic.Int64 // charged; others may look
}

// reserve charges the account for a frame of n bytes of memory.
func (r *reading) reserve(n int) error {
	if r.account == nil || n <= unreserved {
		return nil
	}
	more := n - int(r.bytes.Load())
	if more <= 0 {
		return nil
	}
	if !r.account.Begin(more) {
		return errMemory
	}
	r.bytes.Add(int64(more))
	return nil
}

// done gives back what the frame was charged for.
func (r *reading) done() {
	if n := r.bytes.Swap(0); n > 0 {
		r.account.Begin(int(-n))
	}
}

// SetAccount makes a pay for what is read from now on, and for what waits for the peer, except for
// frames with a payer of their own. Only a Handler may call it, or whoever made the link, before
// Run.
func (l *Link) SetAccount(a Account) {
	l.reading.done()
	l.reading.account = a
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.account != nil {
		q.account.Queue(-q.charged)
	}
	if q.account = a; a != nil {
		a.Queue(q.charged)
	}
}

// Held returns how many bytes the link's account is charged for it: those that wait for the peer,
// and those of an unfinished frame.
func (l *Link) Held() (queued, begun int) {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return l.out.charged, int(l.reading.bytes.Load())
}

// Charge makes a pay for the frame while it waits, instead of the accounts of the links that it is
// sent on. The caller must be the only holder.
func (f *Frame) Charge(a Account) { f.payer = a }

// chargeLocked charges whoever pays for f.
func (q *queue) chargeLocked(f *Frame) {
	switch n := f.Size(); {
	case f.payer != nil:
		f.payer.Queue(n)
	default:
		q.charged += n
		if q.account != nil {
			q.account.Queue(n)
		}
	}
}

// settleLocked gives back what frames were charged for. Those that are nil were settled before.
func (q *queue) settleLocked(frames []*Frame) {
	own := 0
	for _, f := range frames {
		switch {
		case f == nil:
		case f.payer != nil:
			f.payer.Queue(-f.Size())
		default:
			own += f.Size()
		}
	}
	if own == 0 {
		return
	}
	q.charged -= own
	if q.account != nil {
		q.account.Queue(-own)
	}
}
