package record

import (
	"container/list"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/wire/link"
)

// Who is a client as records show it.
type Who struct {
	ID           int64
	User         string // the name of the user, or what the client is that has none
	Peer, Source string
	LoggedIn     bool
	Broker       bool // it calls for others, whom it names
	// Open counts the calls of the client that are in the book.
	Open *atomic.Int32
}

// Client is a client of the broker.
type Client interface{ Who() Who }

const (
	// maxCalls bounds the calls of one client in the book, and maxCallBytes their texts. A
	// call more takes the place of the oldest one, whose end is not seen then.
	maxCalls     = 4096
	maxCallBytes = 1 << 20
	// maxOffer bounds the answer that may hold an offer in band, in bytes.
	maxOffer = 256
)

// Book holds the calls of clients that are sessions, or become one. All methods may be
// called concurrently.
type Book struct {
	trail *audit.Trail
	seed  maphash.Seed

	mu      sync.Mutex
	calls   map[tunnels.Key]*call
	clients map[int64]*client
	devices map[int64]map[*call]struct{} // the calls that a device has not answered
	mounts  map[int64]string             // where the devices are mounted
}

// client is a client with calls in the book.
type client struct {
	calls list.List // of *call, the oldest first
	bytes int
}

// call is one call in the book.
type call struct {
	key     tunnels.Key
	client  int64
	open    *atomic.Int32
	device  int64
	session *Session
	launch  bool   // it asks for a session, which has not begun
	offered string // the id of the in-band session that the device offers; "": none yet
	node    string // of an in-band session; "": it is none
	at      *list.Element
	body    uint64 // a hash of the body: a repeated request has the same
}

// repeats reports whether a request is that of the call c again, and no other one with its
// number.
func (c *call) repeats(o *call) bool {
	x, y := &c.session.start, &o.session.start
	return c.device == o.device && c.body == o.body && x.Path == y.Path && x.Method == y.Method
}

// New returns an empty book, whose records go to trail.
func New(trail *audit.Trail) *Book {
	return &Book{
		trail: trail, calls: make(map[tunnels.Key]*call), clients: make(map[int64]*client),
		devices: make(map[int64]map[*call]struct{}), mounts: make(map[int64]string), seed: maphash.MakeSeed(),
	}
}

// Write records something about a client.
func (b *Book) Write(c Client, r audit.Record) { b.trail.Write(of(c.Who(), r)) }

// of fills in who it is about.
func of(w Who, r audit.Record) audit.Record {
	if r.User == "" {
		r.User = w.User
	}
	r.Client, r.Peer, r.Source = w.ID, w.Peer, w.Source
	switch {
	case w.Broker:
		r.By = nearest(r.User)
	case w.LoggedIn:
		r.By = w.User
	}
	return r
}

// nearest returns the last two of a chain of users: a broker, and the user whom it names.
func nearest(chain string) string {
	at := strings.LastIndexByte(chain, ';')
	return chain[strings.LastIndexByte(chain[:max(at, 0)], ';')+1:]
}

// Denied records a call that the user of a client may not make.
func (b *Book) Denied(c Client, m *rpc.Message, path []byte, why string) {
	w := c.Who()
	b.trail.Write(of(w, audit.Record{
		Event: audit.CallDenied, User: chain(m, w.User), Path: string(path), Method: string(m.Method()), Cause: why,
	}))
}

// NodeDenied records a call of the broker's own nodes for which the level of a client is too
// low.
func (b *Book) NodeDenied(r *node.Request, why *rpc.Error) {
	if c, ok := r.Caller.(Client); ok {
		b.Write(c, audit.Record{Event: audit.CallDenied, Path: r.Path, Method: r.Method, Cause: why.Message})
	}
}

// LoggedIn records a login.
func (b *Book) LoggedIn(c Client) { b.Write(c, audit.Record{Event: audit.Login}) }

// LoginRefused records that a login was refused; user is the name that the peer gave.
func (b *Book) LoginRefused(c Client, user, why string) {
	b.Write(c, audit.Record{Event: audit.LoginRefused, User: user, Cause: why})
}

// Mounted records that a device was mounted, and whose mount point it has taken, if it has.
func (b *Book) Mounted(c Client, path string, taken bool, before Client) {
	b.mu.Lock()
	b.mounts[c.Who().ID] = path
	b.mu.Unlock()
	b.Write(c, audit.Record{Event: audit.Mount, Path: path})
	if !taken {
		return
	}
	w := before.Who()
	b.Write(c, audit.Record{
		Event: audit.Takeover, Path: path, Cause: fmt.Sprintf("from client %d of %s at %s", w.ID, w.User, w.Peer),
	})
}

// LoggedOut records the end of a client that was logged in, and of its mount point; "": it
// had none.
func (b *Book) LoggedOut(c Client, unmounted, cause string, took time.Duration, t link.Traffic) {
	w := c.Who()
	b.mu.Lock()
	delete(b.mounts, w.ID)
	b.mu.Unlock()
	if !w.LoggedIn {
		return
	}
	if unmounted != "" {
		b.Write(c, audit.Record{Event: audit.Unmount, Path: unmounted, Cause: cause})
	}
	b.Write(c, audit.Record{
		Event: audit.Logout, Cause: cause, End: &audit.End{BytesIn: int64(t.BytesIn), BytesOut: int64(t.BytesOut),
			Took: took},
	})
}

// chain returns the users behind a call and the one who makes it, the nearest last.
func chain(m *rpc.Message, user string) string {
	v, err := m.MetaValue(rpc.TagUserID)
	text, ok := v.AsString()
	switch {
	case err != nil || !ok && v.Len() == 0 || ok && text == "":
		return user
	case !ok:
		text = cpon.String(v)
	}
	return text + ";" + user
}

// Called takes a request that is about to be passed on to a device, with the caller id of
// its client on top. An error says that it must not be, since it is a session that cannot
// be recorded. Requests that are no sessions cost next to nothing.
func (b *Book) Called(c Client, m *rpc.Message, path []byte, device int64) *rpc.Error {
	kind := kindOf(path, m.Method())
	if kind == none {
		return nil
	}
	return b.called(c, m, path, device, kind)
}

// placeOf returns the place in the tree of what a user has called by the number of a device's
// connection, such as .broker/client/7; "": path says it. rest is the path at the device.
func (b *Book) placeOf(device int64, path, rest string) string {
	b.mu.Lock()
	place := b.mounts[device]
	b.mu.Unlock()
	if place != "" && rest != "" {
		place += "/" + rest
	}
	if place == path {
		return ""
	}
	return place
}

// called is Called for a call that is a session, or belongs to one. It has a stack of its own: that of
// a read loop is small, and most calls are no sessions.
func (b *Book) called(c Client, m *rpc.Message, path []byte, device int64, kind kind) (refused *rpc.Error) {
	link.Aside(func() { refused = b.take(c, m, path, device, kind) })
	return refused
}

func (b *Book) take(c Client, m *rpc.Message, path []byte, device int64, kind kind) *rpc.Error {
	if isQuery(m.Body()) {
		return nil
	}
	w := c.Who()
	rest, _, _ := m.Callers().Pop()
	key := tunnels.NewKey(w.ID, m.ID(), rest)
	switch kind {
	case inBandInput, inBandEnd:
		b.inBand(w.ID, key.Stack, string(path), kind, len(m.Body()))
		return nil
	case attach:
		return b.attach(w, m, key.Stack, string(path), device)
	}
	s := &Session{trail: b.trail, start: of(w, audit.Record{
		Event: audit.SessionStart, User: chain(m, w.User), Path: string(path), Method: string(m.Method()),
		Device: b.placeOf(device, string(path), string(m.Path())),
	})}
	s.in.Store(int64(len(m.Body())))
	if kind == launch {
		s.start.Use, s.start.Command = runOf(m)
	} else {
		s.start.Use = kind.use()
		s.start.Session = rpc.Address{ID: m.ID(), Callers: m.Callers()}.CallName()
	}
	b.trail.Shorten(&s.start)
	added := b.add(&call{
		key: key, client: w.ID, open: w.Open, device: device, session: s, launch: kind == launch,
		body: maphash.Bytes(b.seed, m.Body()),
	})
	if !added || kind == launch {
		return nil
	}
	if err := s.Begin(); err != nil {
		b.drop(key)
		return rpc.Errorf(rpc.CodeException, "%v", err)
	}
	return nil
}

// Refused says that a request was not passed on after all. The caller id of its client is
// popped.
func (b *Book) Refused(c Client, m *rpc.Message, path []byte, why *rpc.Error) {
	if kindOf(path, m.Method()) == none {
		return
	}
	if of := b.drop(tunnels.NewKey(c.Who().ID, m.ID(), m.Callers())); of != nil {
		of.session.End(How{Cause: why.Message})
	}
}

// Answered takes a response that was passed on to a client, whose caller id is popped, and
// that belongs to no tunnel.
func (b *Book) Answered(to int64, m *rpc.Message) {
	key := tunnels.NewKey(to, m.ID(), m.Callers())
	b.mu.Lock()
	of := b.calls[key]
	b.mu.Unlock()
	if of == nil {
		return
	}
	state, answer := m.Tunnel().State, keyOf(m.Body())
	if of.launch && answer == rpc.KeyResult {
		b.offer(of, m)
	}
	switch {
	case state == rpc.CloseTunnel: // of an in-band session
		b.end(key, howOf(m))
	case state != rpc.NoTunnel || answer == rpc.KeyDelay:
	case of.launch && answer == rpc.KeyResult:
		of.session.out.Add(int64(len(m.Body()))) // an offer in band, or the output of its session
	case of.launch:
		how := How{}
		if answer == rpc.KeyError {
			how.Cause = "the device refused or ended it"
		}
		b.end(key, how)
	default:
		of.session.out.Add(int64(len(m.Body())))
		how := How{}
		if answer == rpc.KeyError {
			how.Cause = "the device answered with an error"
		}
		b.end(key, how)
	}
}

// offer notes which session in band the device offers for a launch, so that whoever launches two
// cannot attach to one under the record of the other.
func (b *Book) offer(of *call, m *rpc.Message) {
	b.mu.Lock()
	known := of.node != "" || of.offered != ""
	b.mu.Unlock()
	if known || len(m.Body()) > maxOffer {
		return
	}
	content, err := m.ContentWithin(maxEndItems)
	if err != nil {
		return
	}
	ext, _ := content.Value.Get("ext")
	id, _ := ext.Get("inband")
	b.mu.Lock()
	defer b.mu.Unlock()
	of.offered, _ = id.AsString()
}

// end ends the session of a call; one that has not begun is forgotten.
func (b *Book) end(key tunnels.Key, how How) {
	if of := b.drop(key); of != nil {
		of.session.End(how)
	}
}

// Opened takes the call for which a tunnel is about to be made out of the book, and returns
// its session, which has not begun. of is what the broker knows of it otherwise.
func (b *Book) Opened(key tunnels.Key, name string, c Client, path, method string) *Session {
	if of := b.drop(key); of != nil {
		of.session.start.Session = name
		of.session.in.Store(0)
		of.session.out.Store(0)
		return of.session
	}
	return &Session{trail: b.trail, start: of(c.Who(), audit.Record{
		Event: audit.SessionStart, Session: name, Path: path, Method: method,
	})}
}

// attach begins an in-band session, which is of one stack of caller ids alone.
func (b *Book) attach(w Who, m *rpc.Message, stack, node string, device int64) *rpc.Error {
	path, id := cutNode(node)
	b.mu.Lock()
	var of *call
	for _, each := range b.callsLocked(w.ID) {
		switch {
		case each.key.Stack != stack || each.device != device:
		case each.node == node:
			b.mu.Unlock()
			return nil // repeated
		case each.launch && each.node == "" && (each.offered == id || each.offered == "" && of == nil):
			of = each
		}
	}
	if of != nil {
		of.node = node
		of.session.start.Session = rpc.SessionName(id)
	}
	b.mu.Unlock()
	if of == nil {
		of = &call{client: w.ID, open: w.Open, device: device, node: node}
		of.key = tunnels.Key{To: w.ID, ID: -m.ID(), Stack: stack} // no response has it
		of.session = &Session{trail: b.trail, start: ofNode(w, m, path, id)}
		rest, _ := cutNode(string(m.Path()))
		of.session.start.Device = b.placeOf(device, path, rest)
		if !b.add(of) {
			return nil
		}
	}
	if err := of.session.Begin(); err != nil {
		b.drop(of.key)
		return rpc.Errorf(rpc.CodeException, "%v", err)
	}
	return nil
}

func ofNode(w Who, m *rpc.Message, path, id string) audit.Record {
	return of(w, audit.Record{
		Event: audit.SessionStart, User: chain(m, w.User), Path: path, Method: string(m.Method()),
		Session: rpc.SessionName(id),
	})
}

// inBand takes a call of an in-band session: input, or its end by the user.
func (b *Book) inBand(client int64, stack, node string, kind kind, size int) {
	b.mu.Lock()
	calls := b.callsLocked(client)
	b.mu.Unlock()
	for _, each := range calls {
		if each.node != node || each.key.Stack != stack {
			continue // the device takes it from the caller of the session alone
		}
		if kind == inBandEnd {
			b.end(each.key, How{})
			continue
		}
		each.session.in.Add(int64(size))
	}
}

// Gone ends the sessions of a client that has gone, and those on a device that has.
func (b *Book) Gone(id int64, cause link.Cause) {
	b.mu.Lock()
	var ended []*call
	for _, each := range b.callsLocked(id) {
		b.dropLocked(each)
		ended = append(ended, each)
	}
	for each := range b.devices[id] {
		b.dropLocked(each)
		ended = append(ended, each)
	}
	b.mu.Unlock()
	for _, each := range ended {
		why := "the device disconnected: "
		if each.client == id {
			why = "the user has gone: "
		}
		if cause == link.Shutdown {
			why = "the broker is stopping: "
		}
		each.session.End(How{Cause: why + cause.String()})
	}
}

// callsLocked returns the calls of a client, the oldest first.
func (b *Book) callsLocked(id int64) (calls []*call) {
	if at := b.clients[id]; at != nil {
		for e := at.calls.Front(); e != nil; e = e.Next() {
			calls = append(calls, e.Value.(*call))
		}
	}
	return calls
}

// add puts a call into the book; false: it is there already, so the request is a repeated one.
func (b *Book) add(c *call) bool {
	b.mu.Lock()
	var pushed []*call
	why := "its end was not seen: too many calls of one client were open"
	if before := b.calls[c.key]; before != nil {
		if before.repeats(c) {
			b.mu.Unlock()
			return false
		}
		b.dropLocked(before)
		pushed, why = append(pushed, before), "its end was not seen: the client used its request id again"
	}
	at := b.clients[c.client]
	if at == nil {
		at = new(client)
		b.clients[c.client] = at
	}
	for at.calls.Len() > 0 && (at.calls.Len() >= maxCalls || at.bytes+c.size() > maxCallBytes) {
		oldest := at.calls.Front().Value.(*call)
		pushed = append(pushed, oldest)
		b.dropLocked(oldest)
	}
	b.clients[c.client] = at // it may have been dropped with its last call
	c.at = at.calls.PushBack(c)
	at.bytes += c.size()
	b.calls[c.key] = c
	if b.devices[c.device] == nil {
		b.devices[c.device] = make(map[*call]struct{})
	}
	b.devices[c.device][c] = struct{}{}
	c.open.Add(1)
	b.mu.Unlock()
	for _, each := range pushed {
		each.session.End(How{Cause: why})
	}
	return true
}

// size is what a call takes in the book, in bytes.
func (c *call) size() int {
	r := &c.session.start
	return 256 + maxOffer + len(r.Command) + len(r.Path) + len(r.User) + len(c.key.Stack)
}

// drop takes a call out of the book; nil: it is not in it.
func (b *Book) drop(key tunnels.Key) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.calls[key]
	if of != nil {
		b.dropLocked(of)
	}
	return of
}

func (b *Book) dropLocked(c *call) {
	delete(b.calls, c.key)
	if delete(b.devices[c.device], c); len(b.devices[c.device]) == 0 {
		delete(b.devices, c.device)
	}
	at := b.clients[c.client]
	at.bytes -= c.size()
	if at.calls.Remove(c.at); at.calls.Len() == 0 {
		delete(b.clients, c.client)
	}
	c.open.Add(-1)
}

// Changed records what a call has changed of rights, and in which entries of a table, or why it has
// not. A call that names none reads the configuration again.
func (b *Book) Changed(c Client, r *node.Request, what string, err error, entries []string) {
	record := audit.Record{
		Event: audit.RightsChanged, Path: r.Path, Method: r.Method, Entry: strings.Join(entries, " "), Change: what,
	}
	switch {
	case err != nil:
		record.Event, record.Cause = audit.CallDenied, "refused: "+err.Error()
	case len(entries) == 0:
		record.Event = audit.Reload
	}
	b.Write(c, record)
}

// text returns a value for a record.
func text(v chainpack.Value) string {
	if s, ok := v.AsString(); ok {
		return s
	}
	return cpon.String(v)
}
