package core

import (
	"slices"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/childbroker"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/shvpath"
)

// brokerRoles are the roles whose users may log in as child brokers, as the other
// brokers call them.
var brokerRoles = []string{"broker", "child-broker", "masterBroker"}

func mayBeBroker(u *auth.User) bool {
	return u != nil && slices.ContainsFunc(brokerRoles, func(role string) bool { return slices.Contains(u.Roles, role) })
}

// isBroker reports whether a login is that of a child broker (spec.md 5.4).
func isBroker(options chainpack.Value) bool {
	v, _ := options.Get("broker")
	return v.Kind() == chainpack.KindMap
}

// newChild returns what a child broker at a mount point has; nil if its user may not be
// a broker.
func (s *session) newChild(mount string) *childbroker.Child {
	if !mayBeBroker(s.user.Load()) {
		s.log.Provoked("child broker mounted as a device: its user has none of the roles", "",
			func(e *zerolog.Event) { e.Strs("roles", brokerRoles) })
		return nil
	}
	b := s.broker
	return childbroker.New(childbroker.Options{
		Mount:  mount,
		Watch:  b.topics.Watch,
		Wanted: func() []shvpath.RI { return b.topics.Below(s, mount, time.Now()) },
		Send:   s.send,
		Failed: func(err error) { s.log.Warn().Err(err).Msg("child broker: subscribing failed") },
	})
}

// setChild sets the child under broker.mu, since others look before the login is done.
func (s *session) setChild(c *childbroker.Child) {
	s.broker.mu.Lock()
	s.child = c
	s.broker.mu.Unlock()
}

// startChild begins to subscribe to signals of the child broker, if it is mounted.
func (s *session) startChild() {
	if s.broker.mountPointOf(s) == "" {
		return
	}
	s.link.Share(s.broker.limits.QueueBytes)
	s.child.Start()
}
