package replyroutes

import (
	"sync/atomic"
	"time"

	"shvtools/internal/broker/internal/sentids"
	"shvtools/internal/shv/rpc"
)

const (
	// MaxRoutes is how many routes onto one link one session may open in a
	// generation. An ordinary client needs one; a client that makes caller ids up
	// must not cost more.
	MaxRoutes = 1024
	// MaxRoutesOfBroker is that for a broker, on behalf of all behind it.
	MaxRoutesOfBroker = 20 * MaxRoutes
	// MaxFurther is how many routes a client may open in a generation onto all
	// links together, not counting the first onto each: made-up caller ids must not
	// cost more with each device that the client can reach.
	MaxFurther = 16 * MaxRoutes
	// MaxIDs is how many request ids of a client are remembered with the devices that they
	// went to; MaxIDsOfBroker is that for a broker.
	MaxIDs         = 64 * MaxRoutes
	MaxIDsOfBroker = 20 * MaxIDs
)

// Opener is a session as it opens routes onto the links of others. Only the read
// loop of that session may pass it to Open; Depart may be called at any time.
type Opener struct {
	departed atomic.Bool // its routes lead nowhere: no session id is used twice
	limit    int         // of routes onto one link; never changes
	sent     *sentids.IDs

	// Of the read loop of its session.
	further int // routes that were not the first onto their link, since then
	since   time.Time
}

// NewOpener returns the Opener of a client, or of a broker, which has larger
// bounds since it stands for all behind it. memory pays for the ids that are remembered; nil:
// nobody does.
func NewOpener(broker bool, memory sentids.Memory) *Opener {
	if broker {
		return &Opener{limit: MaxRoutesOfBroker, sent: sentids.New(MaxIDsOfBroker, MaxRoutesOfBroker, memory)}
	}
	return &Opener{limit: MaxRoutes, sent: sentids.New(MaxIDs, MaxRoutes, memory)}
}

// IsBroker reports which of both NewOpener made.
func (o *Opener) IsBroker() bool { return o.limit > MaxRoutes }

// Depart says that the session has ended. Tables drop its routes when they next
// need the space.
func (o *Opener) Depart() {
	o.departed.Store(true)
	o.sent.Forget()
}

// NotSent says that the request for which a route was opened last reached nobody.
func (o *Opener) NotSent() { o.sent.TakeBack() }

// AsksBroker says that the broker itself answers a request later that came with the stack
// callers from the session, whose own caller id is self.
func (o *Opener) AsksBroker(callers rpc.CallerIDs, self, id int64) {
	stack := append(callers[:len(callers):len(callers)], self)
	o.sent.SentToBroker(o.sent.Stack(stack.AppendKey(nil)), id)
}

// another reports whether the session may open one more route that is not its
// first onto a link. The routes of a broker are bounded per link alone.
func (o *Opener) another() bool {
	if now := time.Now(); now.Sub(o.since) > Generation {
		o.further, o.since = 0, now
	}
	o.further++
	return o.further <= MaxFurther || o.IsBroker()
}
