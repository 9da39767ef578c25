// Package agent is the program shvagent: it mounts a device in a broker's tree
// and starts a helper, shvrexec, for each shell or command that is asked for
// (protocol.md 8.3, 9; design.md section 6). What a session does is the helper's
// matter, not this package's.
package agent

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/calls"
	"shvtools/internal/client"
	"shvtools/internal/fsnode"
	"shvtools/internal/inband"
	"shvtools/internal/transport"
)

const (
	// DefaultHeartbeat is the time between pings of the broker; the broker is
	// asked to give us up after three times that.
	DefaultHeartbeat = 60 * time.Second
	// maxSessions is how many helpers run at once.
	maxSessions = 32
	// stopGrace is how long helpers may take to end when the agent stops.
	stopGrace = 7 * time.Second
)

// Options of an agent.
type Options struct {
	URL            transport.URL
	User, Password string
	MountPoint     string
	DeviceID       string
	Heartbeat      time.Duration
	Helper         string   // path of shvrexec
	Environ        []string // what helpers inherit
	Version        string
	GitCommit      string
	Commands       Commands
	ScriptDir      string // where scripts are kept; made when it is needed
	Tester         bool   // the nodes tester/prop1 … prop4
	Device         Device
	Files          fsnode.Options // exported as sys/fs, if its Dir is set
	Log            zerolog.Logger
	Ready          func() error // called once, after the first login; may be nil
}

// Agent is a running agent.
type Agent struct {
	opts     Options
	helpers  helpers
	services *services

	readyOnce sync.Once
	readyErr  error
}

// Run serves until ctx ends, connecting again whenever the broker is lost. Its
// helpers have ended when it returns.
func Run(ctx context.Context, o Options) error {
	if o.Heartbeat == 0 {
		o.Heartbeat = DefaultHeartbeat
	}
	o.Commands.setDefaults()
	a := &Agent{opts: o, helpers: helpers{opts: o, running: make(map[*helper]struct{})}, services: newServices(o)}
	defer a.helpers.stop(stopGrace)
	var backoff client.Backoff
	for {
		began := time.Now()
		err := a.serve(ctx)
		if a.readyErr != nil {
			return a.readyErr
		}
		if ctx.Err() != nil {
			return nil
		}
		wait := backoff.Next(time.Since(began))
		o.Log.Warn().Err(err).Str("retryIn", wait.Round(time.Millisecond).String()).Msg("not connected to the broker")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// serve is one connection, from its login to its end.
func (a *Agent) serve(ctx context.Context) error {
	conn := &connection{agent: a, finding: make(map[int64]*search), sessions: make(map[string]*inband.Session)}
	conn.calls = calls.NewTable(func(answer []byte) error { return conn.client.SendNow(answer) }, a.opts.Log)
	c, err := client.Dial(ctx, client.Options{
		URL: a.opts.URL,
		Login: client.Login{
			User:       a.opts.User,
			Password:   a.opts.Password,
			MountPoint: a.opts.MountPoint,
			DeviceID:   a.opts.DeviceID,
			Watchdog:   3 * a.opts.Heartbeat,
		},
		Heartbeat: a.opts.Heartbeat,
		Serve:     conn.tree(),
		Tunnel:    conn.found,
		Begin:     conn.begun,
	})
	if err != nil {
		return err
	}
	a.opts.Log.Info().Stringer("broker", a.opts.URL).Str("mount", a.opts.MountPoint).Int64("clientId", c.ID()).Msg("connected")
	a.readyOnce.Do(func() {
		if a.opts.Ready != nil {
			a.readyErr = a.opts.Ready()
		}
	})
	if a.readyErr == nil {
		select {
		case <-c.Done():
		case <-ctx.Done():
			conn.stopSessions()
		}
	}
	err = c.Err()
	c.Close()
	conn.wait()
	return err
}
