package core

import (
	"context"
	"sync"

	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// ParentOptions describe the connection to a parent broker (spec.md 7.11). To connect,
// log in and keep the connection alive is the caller's matter.
type ParentOptions struct {
	Name string // of the connection
	Root string // the path that the parent sees as our root; "": everything
	// Manage: the parent may change our rights. With a Root it never may.
	Manage bool
	// Call calls a method of the parent.
	Call func(ctx context.Context, path, method string, param chainpack.Value) (chainpack.Value, error)

	nodes *node.Tree // of ours, as the parent sees them
}

// parentBroker is what the session of a parent broker has.
type parentBroker struct{ ParentOptions }

// Parent is the connection to a parent broker, from AddParent to End. Its methods are
// called by whoever runs the link.
type Parent struct {
	session *session
	ended   sync.Once
}

// LinkOptions returns the options of links to parent brokers.
func (b *Broker) LinkOptions() link.Options {
	return link.Options{MaxFrame: b.limits.MaxFrame, QueueBytes: b.limits.QueueBytes}
}

// AddParent registers the connection l to a parent broker, before anything is read from
// it. The error is ErrClosed.
func (b *Broker) AddParent(l *link.Link, from transport.Peer, o ParentOptions) (*Parent, error) {
	o.Root = string(shvpath.Clean([]byte(o.Root)))
	o.nodes = own.ForParent(ownNodes{b}, b.ownOptions(), o.Root, o.Manage)
	s := b.newSession(l, from, nil, nil, &parentBroker{o})
	if s == nil {
		return nil, ErrClosed
	}
	l.Share(b.limits.QueueBytes)
	s.log.user = s.Name()
	return &Parent{session: s}, nil
}

// ID returns the caller id that stands for the parent.
func (p *Parent) ID() int64 { return p.session.id }

// Message handles a message of the parent that does not answer a call of ours. It is
// called by the read loop of the link.
func (p *Parent) Message(m *rpc.Message, f *link.Frame) { p.session.message(m, f) }

// Ready says that the parent has accepted the login.
func (p *Parent) Ready() {
	p.session.ready.Store(true)
	p.session.log.Info().Str("root", p.session.parent.Root).Msg("connected to the parent broker")
}

// End ends the session of the parent, once the read loop of its link has ended. The ends
// of tunnels through it receive the reason. It may be called again.
func (p *Parent) End() {
	p.ended.Do(func() {
		s := p.session
		cause := s.link.Cause()
		s.end(cause)
		s.broker.stats.ended[cause].Add(1)
		s.broker.running.Done()
	})
}

// fromAbove returns the clean path here of one that a parent asked for, and the level. With an
// exported root, it is below that, and "" for nodes of ours. A request on the parent's own behalf
// without a level may browse: the Python broker sends none, and would subscribe to nothing here.
func (s *session) fromAbove(m *rpc.Message, path []byte) (here []byte, level rpc.Access) {
	level = m.Access()
	if len(m.Callers()) == 0 && !m.Has(rpc.TagAccess) && !m.Has(rpc.TagAccessLevel) {
		switch string(path) {
		case "", ".app", ".broker", own.CurrentClient:
			level = rpc.AccessBrowse
		}
	}
	switch {
	case s.parent.Root != "" && own.IsOwn(path):
		return nil, level
	case level < own.AdminLevel && own.NamesID(path):
		return path, rpc.AccessNone
	}
	return s.rootedPath(path), level
}

// rootedPath returns a clean path of the peer, from our root. It is valid until the next
// call.
func (s *session) rootedPath(path []byte) []byte {
	if s.parent == nil || s.parent.Root == "" {
		return path
	}
	s.path = append(s.path[:0], s.parent.Root...)
	if len(path) > 0 {
		s.path = append(append(s.path, '/'), path...)
	}
	return s.path
}

// rooted returns what the peer subscribes to, from our root.
func (s *session) rooted(ri shvpath.RI) (shvpath.RI, error) {
	if s.parent == nil {
		return ri, nil
	}
	return ri.Under(s.parent.Root)
}

// reroots are messages whose path is cut for a parent, with buffers for that.
var reroots = sync.Pool{New: func() any { return new(reroot) }}

type reroot struct {
	message rpc.Message
	head    []byte
}

// cutFor returns a signal as the parent to sees it; nil if it is outside of the exported
// root. The caller releases it.
func (b *Broker) cutFor(to *session, f *link.Frame) *link.Frame {
	if to.parent.Root == "" {
		f.Retain()
		return f
	}
	r := reroots.Get().(*reroot)
	defer reroots.Put(r)
	m := &r.message
	if m.Parse(f.Message()) != nil {
		return nil
	}
	rest, ok := shvpath.CutPrefix(m.Path(), to.parent.Root)
	if !ok {
		return nil
	}
	m.SetPath(rest)
	r.head = append(m.AppendMeta(r.head[:0]), m.Body()...)
	return link.NewMessage(r.head)
}
