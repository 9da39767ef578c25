// Package agent is the program shvagent: it mounts a device in a broker's tree
// and starts a helper, shvrexec, for each shell or command that is asked for
// (spec.md 8.3, 9; design.md section 6). What a session does is the helper's
// matter, not this package's.
package agent

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/session/inband"
	"shvtools/internal/sys/lograte"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

const (
	// DefaultHeartbeat is the time between pings of the broker; the broker is
	// asked to give us up after three times that.
	DefaultHeartbeat = 60 * time.Second
	// DefaultSessions is how many helpers run at once.
	DefaultSessions = 32
	// stopGrace is how long helpers may take to end when the agent stops.
	stopGrace = 7 * time.Second
	// unanswered is how many heartbeats a connection lasts at the most when nothing
	// comes from the broker any more; endWait is for what happens at its end.
	unanswered = 3
	endWait    = 30 * time.Second
)

// Options of an agent.
type Options struct {
	Brokers    []Broker // one after the other, in this order; one at least
	MountPoint string
	DeviceID   string
	Heartbeat  time.Duration
	Timeout    time.Duration // to connect and log in; 0: that of package client
	Helper     string        // path of shvrexec
	Environ    []string      // what helpers inherit
	Version    string
	GitCommit  string
	Commands   Commands
	ScriptDir  string // where scripts are kept; made when it is needed
	Tester     bool   // the nodes tester/prop1 … prop4
	Device     Device
	Files      fsnode.Options // exported as sys/fs, if its Dir is set
	Policy     *policy.Policy // nil: policy.Default
	Sessions   Sessions
	Drain      time.Duration   // how long sessions and calls may go on when ctx has ended
	Cut        <-chan struct{} // closed: they may not
	Status     *Status         // what is told of the agent; nil: to nobody
	Log        zerolog.Logger
	Ready      func() error // called once, after the first login; may be nil
}

// Broker is a place to be, with the login there.
type Broker struct {
	URL            transport.URL
	User, Password string
	// MountPoint and DeviceID there, where they are not those of Options; else "".
	MountPoint, DeviceID string
}

// Sessions are how many may be open at once, calls of runCmd and runScript among
// them.
type Sessions struct {
	Total   int // 0: DefaultSessions
	PerUser int // 0: as many as Total
}

// Agent is a running agent.
type Agent struct {
	opts     Options
	helpers  helpers
	services *services
	memory   memory // of the heartbeat
	often    *lograte.Lines

	readyOnce sync.Once
	readyErr  error
}

// Run serves until ctx ends and what is under way has ended or had its time,
// connecting again whenever the broker is lost. Its helpers and commands have ended
// when it returns.
func Run(ctx context.Context, o Options) error {
	if o.Heartbeat == 0 {
		o.Heartbeat = DefaultHeartbeat
	}
	if o.Policy == nil {
		o.Policy = policy.Default()
	}
	if o.Sessions.Total == 0 {
		o.Sessions.Total = DefaultSessions
	}
	if o.Status == nil {
		o.Status = NewStatus(time.Now)
	}
	o.Commands.setDefaults()
	often := lograte.New(func(message string, times int, latest string) {
		o.Log.Warn().Int("times", times).Str("latest", latest).Msg(message + ", again and again")
	})
	defer often.Close()
	a := &Agent{opts: o, often: often, helpers: helpers{opts: o, often: often, running: make(map[*helper]struct{}), calls: make(map[string]int)}, services: newServices(o, often)}
	o.Status.begin(o, &a.helpers)
	defer a.services.host.Guard.Close()
	defer a.helpers.stop(stopGrace)
	serving, finish := context.WithCancel(context.Background())
	var draining sync.WaitGroup
	draining.Go(func() {
		<-ctx.Done()
		o.Status.stopping()
		a.drain()
		finish()
	})
	err := a.stayConnected(serving)
	if err != nil {
		return err
	}
	draining.Wait()
	return nil
}

// place is b with all that counts there.
func (a *Agent) place(b Broker) Broker {
	b.MountPoint, b.DeviceID = cmp.Or(b.MountPoint, a.opts.MountPoint), cmp.Or(b.DeviceID, a.opts.DeviceID)
	return b
}

// serve is one connection, from its login to its end.
func (a *Agent) serve(ctx context.Context, b Broker) error {
	conn := &connection{agent: a, broker: a.place(b), finding: newSearches(a.opts.Sessions.Total + 1), sessions: make(map[string]*inband.Session)}
	b = conn.broker
	status := a.opts.Status
	status.connecting(b)
	status.within(cmp.Or(a.opts.Timeout, client.DefaultTimeout) + mountWait)
	alive := func() {
		status.within(unanswered * a.opts.Heartbeat)
		a.memory.tidy()
	}
	conn.calls = asynccall.NewTable(func(answer []byte) error { return conn.client.SendNow(answer) }, a.opts.Log)
	c, err := client.Dial(ctx, client.Options{
		URL:     b.URL,
		Timeout: a.opts.Timeout,
		Login: client.Login{
			User:       b.User,
			Password:   b.Password,
			MountPoint: b.MountPoint,
			DeviceID:   b.DeviceID,
			Watchdog:   3 * a.opts.Heartbeat,
		},
		Heartbeat: a.opts.Heartbeat,
		Alive:     alive,
		Serve:     conn.tree(),
		Tunnel:    conn.found,
		Signal:    conn.signalled,
		Begin:     conn.begun,
	})
	if err != nil {
		return err
	}
	err = conn.mounted(ctx, c)
	if err == nil {
		status.within(unanswered * a.opts.Heartbeat) // tidy is for the heartbeat alone
		err = a.connected(ctx, conn, c)
	}
	status.within(endWait)
	c.Close()
	conn.wait()
	if refused := conn.refused(); refused != nil {
		return refused
	}
	return err
}

// connected is a connection while it lasts.
func (a *Agent) connected(ctx context.Context, conn *connection, c *client.Client) error {
	b := conn.broker
	a.opts.Log.Info().Stringer("broker", b.URL).Str("mount", b.MountPoint).Int64("clientId", c.ID()).Msg("connected")
	a.opts.Status.connected(b, c.ID())
	defer a.opts.Status.disconnected()
	a.readyOnce.Do(func() {
		if a.opts.Ready != nil {
			a.readyErr = a.opts.Ready()
		}
	})
	if a.readyErr == nil {
		select {
		case <-c.Done():
		case <-ctx.Done():
			conn.farewell()
		}
	}
	return c.Err()
}
