package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/agent"
	"shvtools/internal/sys/sdnotify"
)

// endWait is how long the agent may take to end after its drain.
const endWait = 20 * time.Second

// supervisor reports the agent's state to systemd, if that wants it.
type supervisor struct {
	systemd *sdnotify.Notifier
	log     zerolog.Logger

	mu    sync.Mutex
	begun bool
	state string // the last one that was reported
}

// notify reports the agent's state until stop is called. An agent without a broker counts as
// ready: units that wait for it must not wait for the network.
func notify(ctx context.Context, told *agent.Status, inForce *agent.InForce, log zerolog.Logger) (
	s *supervisor, stop func()) {
	s = &supervisor{systemd: sdnotify.FromEnviron(os.Getenv), log: log}
	told.Tell(s.tell)
	said := make(chan struct{})
	unregister := context.AfterFunc(ctx, func() {
		defer close(said)
		_ = s.systemd.Stopping("stopping", inForce.Drain()+endWait)
	})
	watch, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { s.systemd.Watch(watch, told.Healthy) })
	return s, func() {
		if !unregister() {
			<-said
		}
		cancel()
		watching.Wait()
	}
}

// tell reports the state of the connection.
func (s *supervisor) tell(state string) {
	s.mu.Lock()
	tell := s.systemd.Status
	if !s.begun {
		tell = s.systemd.Ready
	}
	s.begun, s.state = true, state
	s.mu.Unlock()
	if err := tell(state); err != nil {
		s.log.Warn().Err(err).Msg("systemd: notification failed")
	}
}

// reloading reports that the agent reads its configuration again, and reloaded that it has.
func (s *supervisor) reloading() { _ = s.systemd.Reloading() } // the reload goes on without systemd

func (s *supervisor) reloaded() {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	_ = s.systemd.Ready(state)
}
