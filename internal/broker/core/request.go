package core

import (
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

// launchMethod is the method of a device that opens a tunnel.
const launchMethod = "launchRexec"

// request passes a request on to its device, or answers it (spec.md 7.1b).
func (s *session) request(m *rpc.Message, f *link.Frame) {
	path := shvpath.Clean(m.Path())
	here := path
	if len(path) > maxSignalPath || len(m.Method()) > maxSignalPath { // rules may be globs
		s.tooLong(m, maxSignalPath, "bytes in a path or method")
		return
	}
	var level rpc.Access
	if s.parent != nil {
		here, level = s.fromAbove(m, path)
	} else {
		level = s.Level(path, m.Method())
		if asked := m.Access(); asked > rpc.AccessNone || m.Has(rpc.TagAccessLevel) {
			level = min(level, asked)
		}
	}
	if level == rpc.AccessNone {
		s.deny(m, path, rpc.Errorf(rpc.CodeException,
			"Access to SHV path '%s' not granted for user '%s'", path, s.Name()))
		return
	}
	if s.ping(m, path) {
		return
	}
	if refused := s.overShare(); refused != nil {
		s.broker.stats.requestsRefused.Add(1)
		s.answer(rpc.AppendError(nil, m.Address(), refused))
		return
	}
	to, rest := s.broker.target(here)
	if to == nil {
		s.answerSelf(m, here, level)
		return
	}
	if own.OfCaller(rest, m.Method(), level) {
		s.deny(m, path, rpc.NotFound(string(m.Method()), string(path)))
		return
	}
	if len(m.Callers()) >= maxStack {
		s.tooLong(m, maxStack, "caller ids") // while the answer still has a reply route
		return
	}
	asked := replyroutes.Call{ID: m.ID(), Path: own.ByMount(ownNodes{s.broker}, here), Method: m.Method(), Level: level}
	m.SetPath(rest)
	m.SetAccess(level)
	m.AddUser(s.userName(), s.broker.opts.Name, s.parent != nil)
	if to.isBroker() {
		s.broker.reuse(s, m)
	}
	m.PushCaller(s.id)
	refused := s.passRequest(m, f, to, asked)
	if refused == nil {
		s.broker.stats.requests.Add(1)
		return
	}
	s.broker.stats.requestsRefused.Add(1)
	m.PopCaller()
	s.broker.book.Refused(s, m, asked.Path, refused)
	s.answer(rpc.AppendError(nil, m.Address(), refused))
}

// deny answers a request that the caller may not make.
func (s *session) deny(m *rpc.Message, path []byte, why *rpc.Error) {
	s.broker.stats.requestsDenied.Add(1)
	s.broker.book.Denied(s, m, path, why.Message)
	s.answer(rpc.AppendError(nil, m.Address(), why))
}

// ping answers the heartbeat of a client of either generation, as the nodes would; it
// returns false if m is not one. Most clients do nothing else most of the time, so it
// does not allocate. Nor does it need much stack, which is most of the cost of a quiet
// session.
func (s *session) ping(m *rpc.Message, path []byte) bool {
	if string(m.Method()) != "ping" || !rpc.HasPlainBody(m.Body()) {
		return false
	}
	result := chainpack.Null()
	switch string(path) {
	case ".app":
	case ".broker/app":
		result = chainpack.Bool(true)
	default:
		return false
	}
	s.head = rpc.AppendResult(s.head[:0], rpc.Address{ID: m.ID(), Callers: m.Callers()}, result)
	s.broker.opts.Journal.Sent(s.id, s.head, false)
	f := link.NewMessage(s.head)
	defer f.Release()
	if s.link.Relay(f, nil, s.link) == link.ErrQueueFull {
		s.link.Close(link.SlowPeer)
	}
	return true
}

// passRequest puts a request into the queue of its device.
func (s *session) passRequest(m *rpc.Message, f *link.Frame, to *session, asked replyroutes.Call) *rpc.Error {
	if s.broker.draining.Load() && string(asked.Method) == launchMethod {
		return rpc.Errorf(rpc.CodeTryAgainLater, stopping)
	}
	if err := s.broker.book.Called(s, m, asked.Path, to.id); err != nil {
		return err
	}
	if !to.routes.Open(m.Callers(), asked, s.opener()) {
		return rpc.Errorf(rpc.CodeTryAgainLater, "too many callers on one connection")
	}
	f.Charge(s.owner.Load())
	err := s.forward(m, f, to, nil, false)
	if err == nil {
		return nil
	}
	s.opener().NotSent()
	switch err {
	case link.ErrQueueFull:
		return rpc.Errorf(rpc.CodeTryAgainLater, "the device does not keep up with its requests")
	case errTooBig:
		return rpc.Errorf(rpc.CodeException, "the request is too big to be passed on")
	}
	return rpc.Errorf(rpc.CodeException, "the device has just gone")
}

// answerSelf answers a request for one of the broker's own nodes.
func (s *session) answerSelf(m *rpc.Message, path []byte, level rpc.Access) {
	if s.ticket != nil && string(m.Method()) != "ping" {
		s.broker.stats.requestsDenied.Add(1)
		denied := rpc.Denied(string(m.Method()), string(path), rpc.AccessNone, rpc.AccessBrowse)
		s.answer(rpc.AppendError(nil, m.Address(), denied))
		return
	}
	nodes := s.broker.nodes
	if s.parent != nil {
		nodes = s.parent.nodes
	}
	answer := node.Answer(nodes, m, level, s)
	if answer == nil { // it comes later
		s.opener().AsksBroker(m.Callers(), s.id, m.ID())
		return
	}
	if since, offline := s.broker.offlineSince(path); offline {
		err := rpc.NotFound(string(m.Method()), string(path))
		err.Data = chainpack.Map(chainpack.F("offlineSince", chainpack.Time(since)))
		answer = rpc.AppendError(nil, m.Address(), err)
	}
	s.answer(answer)
}

// target returns the client that a request for a clean path goes to, and the rest of the
// path there: a device by its mount point, or any client by its id. It does not allocate.
func (b *Broker) target(path []byte) (to *session, rest []byte) {
	if to, rest = b.mountedAt(path); to != nil || len(path) == 0 || path[0] != '.' {
		return to, rest
	}
	id, rest, ok := own.TreeOf(path)
	if !ok {
		return nil, nil
	}
	// Helpers are not called, since they serve their tunnel, nor are parent brokers.
	if to = b.loggedIn(id); to == nil || !to.HasTree() {
		return nil, nil
	}
	return to, rest
}

// loggedIn returns the client or helper with an id, nil if there is none.
func (b *Broker) loggedIn(id int64) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if s := b.sessions[id]; s != nil && s.ready.Load() {
		return s
	}
	return nil
}

// userName is the name of the user, "" for a helper, which has none.
func (s *session) userName() string {
	if user := s.user.Load(); user != nil {
		return user.Name
	}
	return ""
}
