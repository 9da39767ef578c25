package mounts

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// PingWait is how long the device at a mount point may take to show that it lives, before
// another one counts as itself that has reconnected.
const PingWait = 2 * time.Second

// Grace is how long the link of a device that was taken over may take to end by itself, before
// its device is asked whether it lives.
const Grace = 3 * time.Second

// Pinger asks one peer whether it lives, and tells it of take-overs. Its methods may be called
// concurrently, and only Alive and AliveLater wait. The zero value is ready.
type Pinger struct {
	running atomic.Pointer[ping]
	asking  atomic.Bool
	wanted  atomic.Bool
}

// Want says whether the peer has subscribed to the signal takeover, and reports whether that
// is new.
func (p *Pinger) Want(takeover bool) (changed bool) { return p.wanted.Swap(takeover) != takeover }

// Tell sends the signal to a peer that has subscribed: the client by is called instead of it;
// 0: none is any more. It may be lost.
func (p *Pinger) Tell(send func(message []byte) error, by int64, peer string) {
	if p.wanted.Load() {
		_ = send(takeoverSignal(by, peer))
	}
}

// AliveLater is Alive after Grace. While somebody waits for it, it returns false to all others:
// many take-overs in a row need one goroutine.
func (p *Pinger) AliveLater(send func(message []byte) error, gone, stop <-chan struct{}) bool {
	if !p.asking.CompareAndSwap(false, true) {
		return false
	}
	defer p.asking.Store(false)
	timer := time.NewTimer(Grace)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.Alive(send, gone, stop)
	case <-gone:
	case <-stop:
	}
	return false
}

// ping is a call of .app:ping. An error is an answer, too.
type ping struct {
	id       int64
	once     sync.Once
	answered chan struct{}
}

// firstPing is the lowest id of a ping. Ids are above those of other calls to the same peer
// (package childbroker), and below 2^31, since C++ peers do not answer larger ones.
const firstPing = 1 << 30

// Alive reports whether the peer answers within PingWait. send sends a message to it; the
// peer does not answer any more once gone is closed. It returns false when stop is closed.
// Callers at the same time share one call.
func (p *Pinger) Alive(send func(message []byte) error, gone, stop <-chan struct{}) bool {
	one := &ping{id: firstPing + rand.Int64N(firstPing-1), answered: make(chan struct{})}
	for !p.running.CompareAndSwap(nil, one) {
		if other := p.running.Load(); other != nil {
			return other.wait(gone, stop)
		}
	}
	defer p.running.CompareAndSwap(one, nil)
	return send(request(one.id)) == nil && one.wait(gone, stop)
}

func (p *ping) wait(gone, stop <-chan struct{}) bool {
	timer := time.NewTimer(PingWait)
	defer timer.Stop()
	select {
	case <-p.answered:
		return true
	case <-gone:
	case <-stop:
	case <-timer.C:
	}
	return false
}

func request(id int64) []byte {
	text := rpc.AppendRequest(nil, id, ".app", "ping", chainpack.Null())
	var m rpc.Message
	if m.Parse(text) != nil {
		return text // never: it is ours
	}
	m.SetAccess(rpc.AccessBrowse)
	return append(m.AppendMeta(nil), m.Body()...)
}

// takeover is the signal by which a device learns that another one took its mount point.
const takeover = "takeover"

// TakeoverRI is what a device subscribes to for that. It concerns nobody else, and so is not
// a topic.
const TakeoverRI = own.CurrentClient + ":*:" + takeover

// takeoverSignal returns the signal takeover (docs/protocol.md): by is the client that is called
// instead of the device; 0: none is.
func takeoverSignal(by int64, peer string) []byte {
	param := chainpack.Map(chainpack.F("taken", chainpack.Bool(false)))
	if by != 0 {
		param = chainpack.Map(chainpack.F("taken", chainpack.Bool(true)), chainpack.F("clientId", chainpack.Int(by)),
			chainpack.F("peer", chainpack.String(peer)))
	}
	return rpc.AppendSignal(nil, own.CurrentClient, takeover, "", rpc.AccessBrowse, param)
}

// Answered takes a response of the peer without caller ids. It returns false if that does
// not answer a ping.
func (p *Pinger) Answered(m *rpc.Message) bool {
	one := p.running.Load()
	if one == nil || one.id != m.ID() {
		return false
	}
	one.once.Do(func() { close(one.answered) })
	return true
}
