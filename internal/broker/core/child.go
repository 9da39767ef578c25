package core

import (
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/childbroker"
	"shvtools/internal/shv/shvpath"
)

// newChild returns what a child broker at a mount point has; nil if its user may not be
// a broker.
func (s *session) newChild(mount string) *childbroker.Child {
	if !s.user.Load().MayBeBroker() {
		s.log.Provoked("child broker mounted as a device: its user has none of the roles", "",
			func(e *zerolog.Event) { e.Strs("roles", auth.BrokerRoles) })
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
