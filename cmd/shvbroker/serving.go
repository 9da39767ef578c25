package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/health"
	"shvtools/internal/sys/sdnotify"
	"shvtools/internal/wire/transport"
)

// serving is a broker at work, with what tells others how it is.
type serving struct {
	broker      *core.Broker
	listeners   []*transport.Listener
	readyFile   string
	development bool
	operation   config.Operation
	metrics     net.Listener // in the place of one at operation.Metrics; nil: none
	up          parents
	files       *fileWatch
	notify      *sdnotify.Notifier
	log         zerolog.Logger
}

// run serves until ctx ends, and then drains.
func (s serving) run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	watch, cancel := context.WithCancel(context.Background()) // it goes on while the broker drains
	defer cancel()
	if s.operation.Metrics != "" {
		m, err := s.listenMetrics(ctx)
		if err != nil {
			return err
		}
		defer m.Close()
		event := s.log.Info()
		if at, ok := m.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
			event = s.log.Warn().Str("risk", "whoever reaches this address can read them, and nothing is encrypted")
		}
		event.Stringer("address", m.Addr()).Msg("metrics and health are served over HTTP")
		watching.Go(func() {
			if err := m.Serve(); err != nil {
				s.log.Error().Err(err).Msg("metrics are not served any more")
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
	message := "listening"
	if s.development {
		message = "listening; the development user iot is let in"
	}
	s.log.Info().Strs("urls", urls).Msg(message)
	if s.readyFile != "" {
		if err := cliapp.WriteReadyFile(s.readyFile, urls); err != nil {
			return err
		}
		defer os.Remove(s.readyFile) // who reads it later would be led astray
	}
	if err := s.notify.Ready("serving"); err != nil {
		s.log.Warn().Err(err).Msg("systemd was not told")
	}
	watching.Go(func() { s.notify.Watch(watch, s.healthy) })
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

func (s serving) listenMetrics(ctx context.Context) (*health.Server, error) {
	sources := health.Sources{
		Healthy: s.healthy,
		Ready:   func() bool { return !s.broker.Draining() },
		Metrics: func() []health.Family { return families(s.broker.Stats(), s.up.states()) },
	}
	if s.metrics != nil {
		return health.On(s.metrics, sources), nil
	}
	address := s.operation.Metrics
	host, _, _ := net.SplitHostPort(address) // Listen tells what is wrong with it
	l, err := new(net.ListenConfig).Listen(ctx, transport.Network(host), address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for metrics: %w", err)
	}
	return health.On(l, sources), nil
}

// drain ends in good order. A second signal ends the process meanwhile.
func (s serving) drain(cause error) {
	_ = s.notify.Stopping("draining", s.operation.Grace+s.operation.Spread+closeWait)
	s.log.Info().AnErr("cause", cause).Int("tunnels", s.broker.Stats().Tunnels).Stringer("grace", s.operation.Grace).Msg("stopping")
	s.broker.Drain(context.Background(), core.Drain{Grace: s.operation.Grace, Spread: s.operation.Spread})
}

// closeWait is what ending takes when the drain is over, and more.
const closeWait = 15 * time.Second

// healthWait is how long the broker may take to show that it is not stuck.
const healthWait = 2 * time.Second

// healthy tells whether what the broker's clients share answers.
func (s serving) healthy() bool {
	ctx, cancel := context.WithTimeout(context.Background(), healthWait)
	defer cancel()
	return s.broker.Healthy(ctx)
}
