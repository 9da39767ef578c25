// Package agent is the program shvagent: it mounts a device in a broker's tree
// and starts a helper, shvrexec, for each shell or command that is asked for
// (spec.md 8.3, 9; design.md section 6). What a session does is the helper's
// matter, not this package's.
package agent

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/config"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/sys/lograte"
	"shvtools/internal/wire/transport"
)

const (
	// DefaultHeartbeat is the time between pings of the broker; the broker is
	// asked to give us up after three times that.
	DefaultHeartbeat = config.DefaultHeartbeat
	// DefaultSessions is how many helpers run at once.
	DefaultSessions = config.DefaultSessions
	// stopGrace is how long helpers may take to end when the agent stops.
	stopGrace = 7 * time.Second
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

// agent is a running agent.
type agent struct {
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
	a := &agent{opts: o, often: often, helpers: helpers{opts: o, often: often, running: make(map[*helper]struct{}), calls: make(map[string]int)}, services: newServices(o, often)}
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
