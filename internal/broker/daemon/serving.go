package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/login"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/health"
	"shvtools/internal/wire/transport"
)

// serving is a running broker, with what reports its state.
type serving struct {
	Options
	broker    *core.Broker
	listeners []*transport.Listener
	up        parents
	journal   *journalFile // nil: none
	files     *fileWatch
}

// run serves until ctx ends, and then drains.
func (s serving) run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	watch, cancel := context.WithCancel(context.Background()) // it goes on while the broker drains
	defer cancel()
	if s.Config.Operation.Metrics != "" {
		m, err := s.listenMetrics(ctx)
		if err != nil {
			return err
		}
		defer m.Close()
		event := s.Log.Info()
		if at, ok := m.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
			event = s.Log.Warn().Str("risk", "whoever reaches this address can read them, and nothing is encrypted")
		}
		event.Stringer("address", m.Addr()).Msg("metrics and health are served over HTTP")
		watching.Go(func() {
			if err := m.Serve(); err != nil {
				s.Log.Error().Err(err).Msg("metrics and health are no longer served")
			}
		})
	}
	failed := make(chan error, len(s.listeners))
	var urls []string
	for _, l := range s.listeners {
		urls = append(urls, l.URL().String())
		go func() { failed <- s.broker.Serve(l) }()
	}
	defer s.broker.Close()
	event := s.Log.Info().Strs("urls", urls)
	if s.Config.Development {
		event.Str("developmentUser", login.DevelopmentUser)
	}
	event.Msg("listening")
	if s.ReadyFile != "" {
		if err := cliapp.WriteReadyFile(s.ReadyFile, urls); err != nil {
			return err
		}
		defer os.Remove(s.ReadyFile) // it would mislead later readers
	}
	if err := s.Notify.Ready("serving"); err != nil {
		s.Log.Warn().Err(err).Msg("systemd: notification failed")
	}
	watching.Go(func() { s.Notify.Watch(watch, s.healthy) })
	watching.Go(func() { s.files.run(watch) })
	select {
	case err := <-failed:
		if !errors.Is(err, core.ErrClosed) {
			return err
		}
	case <-ctx.Done():
		s.drain(context.Cause(ctx))
	}
	return nil
}

// own returns what metrics say beside the state of the broker.
func (s serving) own() own {
	return own{
		version: s.Version, commit: s.Commit, logLost: s.LogLost(), journalLost: s.journal.messagesLost(),
		auditLost: s.Audit.Lost(),
	}
}

func (s serving) listenMetrics(ctx context.Context) (*health.Server, error) {
	sources := health.Sources{
		Healthy: s.healthy,
		Ready:   func() bool { return !s.broker.Draining() },
		Metrics: func() []health.Family { return families(s.broker.Stats(), s.up.states(), s.own()) },
	}
	if s.Metrics != nil {
		return health.On(s.Metrics, sources), nil
	}
	address := s.Config.Operation.Metrics
	host, _, _ := net.SplitHostPort(address) // Listen reports errors in it
	l, err := new(net.ListenConfig).Listen(ctx, transport.Network(host), address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for metrics: %w", err)
	}
	return health.On(l, sources), nil
}

// drain ends sessions and connections in good order. A second signal ends the process
// meanwhile.
func (s serving) drain(cause error) {
	_ = s.Notify.Stopping("draining", s.Config.Operation.Grace+s.Config.Operation.Spread+closeWait)
	tunnels := s.broker.Stats().Tunnels
	s.Log.Info().AnErr("cause", cause).Int("tunnels", tunnels).Stringer("grace", s.Config.Operation.Grace).Msg("stopping")
	s.broker.Drain(context.Background(), core.Drain{Grace: s.Config.Operation.Grace, Spread: s.Config.Operation.Spread})
}

// closeWait is how long the broker may take to end after the drain.
const closeWait = 15 * time.Second

// healthWait is how long the broker may take to answer before it counts as stuck.
const healthWait = 2 * time.Second

// healthy reports whether the broker, as all its clients share it, answers.
func (s serving) healthy() bool {
	ctx, cancel := context.WithTimeout(context.Background(), healthWait)
	defer cancel()
	return s.broker.Healthy(ctx)
}
