// Package agent is the program shvagent without its command line: it mounts a device in a
// broker's tree, starts a helper, shvrexec, for each session that is asked for, and serves
// the methods of the device (spec.md 8.3, 9).
//
// It asks the policy before anything runs, but has none of its own (package policy does),
// and carries no session except in-band ones: the helper has its own connection.
package agent

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/config"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/sys/audit"
	"shvtools/internal/sys/lograte"
	"shvtools/internal/wire/transport"
)

// stopGrace is how long helpers may take to end when the agent stops.
const stopGrace = 7 * time.Second

// Options of an agent. Brokers, unless InForce has them, MountPoint and Helper are required.
type Options struct {
	Brokers    []Broker // are tried in this order; at least one
	MountPoint string   // SHV path of the device
	DeviceID   string
	// Heartbeat is the time between pings of the broker. The broker is asked to close the
	// connection after three times that without traffic. 0: config.DefaultHeartbeat.
	Heartbeat time.Duration
	Timeout   time.Duration // to connect and log in; 0: client.DefaultTimeout
	Helper    string        // path of shvrexec
	Environ   []string      // environment of helpers and commands
	Version   string        // of the program
	GitCommit string        // that the program was built from
	Commands  Commands
	ScriptDir string // directory for scripts, created when needed; "": runScript fails
	Tester    bool   // serve the nodes tester/prop1 … prop4
	Device    Device
	Files     fsnode.Options // served as sys/fs if its Dir is set
	// Policy, Sessions and Drain are the terms without InForce.
	Policy   *policy.Policy
	Sessions Sessions
	Drain    time.Duration
	InForce  *InForce        // terms that may be replaced while the agent runs; may be nil
	Cut      <-chan struct{} // ends Drain early when it is closed; may be nil
	Status   *Status         // is updated; may be nil
	// Audit takes the record of who did what; nil: sessions are in Log alone. Run does not close it.
	Audit *audit.Trail
	Log   zerolog.Logger
	Ready func() error // called once, after the first login; its error ends Run; may be nil
}

// Broker is where the agent connects, with its login there.
type Broker struct {
	URL            transport.URL
	User, Password string
	// MountPoint and DeviceID at this broker; "": those of Options.
	MountPoint, DeviceID string
}

// Sessions limits the sessions that are open at once. Calls of runCmd and runScript count.
type Sessions struct {
	Total   int // 0: config.DefaultSessions
	PerUser int // of one user, whose id is then required; 0: no such limit
	Reserve int // the last of Total, for users who have none; without a user id nobody gets them
}

// agent is a running agent.
type agent struct {
	opts     Options
	helpers  helpers
	services *services
	memory   memory         // used by the heartbeat
	often    *lograte.Lines // limits log lines that callers can provoke; see provoked

	readyOnce sync.Once
	readyErr  error
}

// Run serves until ctx ends and sessions and calls have ended or had their time, and
// reconnects whenever a broker is lost. When it returns, all helpers and commands have
// ended. An error is that of Options.Ready, or a *transport.PlaintextError.
func Run(ctx context.Context, o Options) error {
	if o.Heartbeat == 0 {
		o.Heartbeat = config.DefaultHeartbeat
	}
	if o.InForce == nil {
		o.InForce = NewInForce(Terms{Policy: o.Policy, Sessions: o.Sessions, Drain: o.Drain, Brokers: o.Brokers})
	}
	if o.Status == nil {
		o.Status = NewStatus(time.Now)
	}
	o.Commands.setDefaults()
	if o.Audit == nil {
		trail, err := audit.Open(audit.Options{Program: "shvagent", Log: o.Log})
		if err != nil {
			return err
		}
		defer trail.Close()
		o.Audit = trail
	}
	often := lograte.New(loggedLines, func(s lograte.Summary) {
		e := o.Log.Warn()
		if s.Cause == userIDAsked {
			e = o.Log.Info()
		}
		e = e.Int("times", s.Times).Int("users", s.Users).Str("latest", s.Latest)
		if s.Error != "" {
			e = e.Str(zerolog.ErrorFieldName, s.Error)
		}
		e.Msg(s.Cause + ", again and again")
	})
	defer often.Close()
	a := &agent{opts: o, often: often, services: newServices(o, often)}
	a.helpers = helpers{opts: o, often: often, running: make(map[*helper]struct{}), calls: make(map[string]int)}
	o.Status.begin(o, &a.helpers)
	defer a.services.host.Guard.Close()
	defer a.helpers.stop(stopGrace)
	serving, finish := context.WithCancel(context.Background())
	failed := make(chan struct{})
	var draining sync.WaitGroup
	draining.Go(func() {
		select {
		case <-ctx.Done():
		case <-failed:
			return
		}
		o.Status.stopping()
		a.drain()
		finish()
	})
	err := a.stayConnected(serving)
	if err != nil {
		close(failed)
	}
	draining.Wait()
	return err
}
