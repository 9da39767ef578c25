package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/rs/zerolog"

	"shvtools/internal/broker"
	"shvtools/internal/brokerconf"
	"shvtools/internal/cliapp"
	"shvtools/internal/client"
	"shvtools/internal/transport"
	"shvtools/internal/uplink"
)

// parents are the connections to brokers above, ready to begin.
type parents []uplink.Options

// newParents resolves the logins of all connections.
func newParents(connections []brokerconf.Connection, b *broker.Broker, log zerolog.Logger) (all parents, err error) {
	for _, c := range connections {
		login, err := cliapp.ConfiguredLogin(c.URL, c.User, c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("%s: connection %s: %w", c.At, c.Name, err)
		}
		for _, text := range login.Warnings {
			log.Warn().Str("connection", c.Name).Msg(text)
		}
		all = append(all, uplink.Options{
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
				p, err := b.AddParent(cl.Link(), from, broker.ParentOptions{Name: c.Name, Root: c.Root, Call: cl.Call})
				if err != nil {
					return nil, err
				}
				return p, nil
			},
			Log: log,
		})
	}
	return all, nil
}

// run keeps all connections, until the function that it returns is called.
func (all parents) run(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, o := range all {
		running.Go(func() { uplink.Run(ctx, o) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}
