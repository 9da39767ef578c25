package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/uplink"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

// parents are the connections to parent brokers.
type parents []parent

// parent is one of them, with its state.
type parent struct {
	uplink.Options
	connected *atomic.Bool
	connects  *atomic.Uint64
}

// uplinkState is the state of a connection to a parent broker.
type uplinkState struct {
	Name      string
	Connected bool
	Connects  uint64
}

// states returns the states of all connections.
func (all parents) states() (states []uplinkState) {
	for _, p := range all {
		states = append(states, uplinkState{p.Name, p.connected.Load(), p.connects.Load()})
	}
	return states
}

// watched is a session that records whether it is connected.
type watched struct {
	uplink.Session
	parent
}

// Ready records that the parent broker is connected.
func (w watched) Ready() {
	w.connects.Add(1)
	w.connected.Store(true)
	w.Session.Ready()
}

// End records that it is not.
func (w watched) End() {
	w.connected.Store(false)
	w.Session.End()
}

// ParentLogin returns who a connection to a parent broker logs in as. Errors have the
// place and the key of what is wrong.
func ParentLogin(c config.Connection) (cliapp.Login, error) {
	login, err := cliapp.ConfiguredLogin(c.URL, c.User, c.PasswordFile)
	switch {
	case errors.Is(err, cliapp.ErrNoUser):
		err = fmt.Errorf("%s: no user (want user and password-file)", c.Where(""))
	case errors.Is(err, cliapp.ErrNoPassword):
		err = fmt.Errorf("%s: no password for user %q (want password-file)", c.Where(""), login.User)
	case err != nil:
		err = fmt.Errorf("%s: %w", c.Where("password-file"), err)
	}
	return login, err
}

// newParents resolves the logins of all connections. The error has a line for each that
// has none.
func newParents(connections []config.Connection, b *core.Broker, log zerolog.Logger) (all parents, err error) {
	var faults []error
	for _, c := range connections {
		if err := checkParent(c); err != nil {
			faults = append(faults, err)
			continue
		}
		login, err := ParentLogin(c)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, text := range login.Warnings {
			log.Warn().Str("connection", c.Name).Str("warning", text).Msg("connection: warning")
		}
		up := parent{connected: new(atomic.Bool), connects: new(atomic.Uint64)}
		up.Options = uplink.Options{
			Name:        c.Name,
			URL:         c.URL,
			User:        login.User,
			Password:    login.Password,
			MountPoint:  c.MountPoint,
			DeviceID:    c.DeviceID,
			Heartbeat:   c.Heartbeat,
			LongestWait: c.Reconnect,
			BrokerID:    b.ID(),
			Link:        b.LinkOptions(),
			Attach: func(cl *client.Client) (uplink.Session, error) {
				from := transport.PeerAt(c.URL.Scheme, cl.Link().RemoteAddr())
				p, err := b.AddParent(cl.Link(), from,
					core.ParentOptions{Name: c.Name, Root: c.Root, Manage: c.Manage, Call: cl.Call})
				if err != nil {
					return nil, err
				}
				return watched{p, up}, nil
			},
			Log: log,
		}
		all = append(all, up)
	}
	return all, errors.Join(faults...)
}

// run keeps all connections until stop is called.
func (all parents) run(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, p := range all {
		running.Go(func() { uplink.Run(ctx, p.Options) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}
