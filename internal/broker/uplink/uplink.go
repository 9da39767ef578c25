// Package uplink keeps a broker connected to a parent broker: it dials, logs in as a
// broker, looks for loops, keeps the connection alive, and reconnects after a back-off
// (spec.md 5.4, 7.11).
//
// It does not route: what passes over the connection is the broker's own matter.
package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// DefaultHeartbeat is the time between pings of the parent. The parent is asked to close
// the connection after three times that without a message.
const DefaultHeartbeat = time.Minute

// ErrLoop says that the parent is the broker itself, or is below it.
var ErrLoop = errors.New("a loop of brokers: the parent is this broker itself, or is below it")

// Options of a connection to a parent broker.
type Options struct {
	Name           string // for logs
	URL            transport.URL
	User, Password string
	MountPoint     string // where the parent is to mount us; "": where DeviceID says
	DeviceID       string // by which the parent knows a mount point
	Heartbeat      time.Duration
	LongestWait    time.Duration // between two tries; 0: that of client.Backoff
	BrokerID       string        // by which we recognize ourselves among the brokers above
	Link           link.Options
	// Attach hands the connection over before anything is read from it. An error closes it.
	Attach func(c *client.Client) (Session, error)
	Log    zerolog.Logger
}

// Session is what the broker makes of a connection. The calls of one do not overlap.
type Session interface {
	// Message handles a message that does not answer a call of ours.
	Message(m *rpc.Message, f *link.Frame)
	Ready() // the parent has accepted the login
	End()   // the connection has ended
}

const (
	// loopWait is added to the back-off after a loop was found: each try closes the loop
	// again for a moment.
	loopWait = time.Minute
	// askWait is how long a parent may take to answer brokersAbove, and askAgain when it is
	// asked again if it did not.
	askWait  = 10 * time.Second
	askAgain = 2 * time.Second
)

// Run connects, and reconnects, until ctx ends.
func Run(ctx context.Context, o Options) {
	o.Heartbeat = cmp.Or(o.Heartbeat, DefaultHeartbeat)
	o.keep(ctx, o.serve)
}

// keep makes one connection after another.
func (o *Options) keep(ctx context.Context, connection func(context.Context) error) {
	backoff := client.Backoff{Longest: o.LongestWait}
	for {
		began := time.Now()
		err := connection(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := max(backoff.Next(time.Since(began)), client.RetryIn(err))
		if errors.Is(err, ErrLoop) {
			wait += loopWait
		}
		o.Log.Warn().Err(err).Str("connection", o.Name).Stringer("url", o.URL).
			Str("retryIn", wait.Round(time.Millisecond).String()).
			Msg("not connected to the parent broker")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// serve makes one connection, and returns when it has ended.
func (o *Options) serve(ctx context.Context) error {
	var session Session
	var refused error
	defer func() {
		if session != nil {
			session.End()
		}
	}()
	c, err := client.Dial(ctx, client.Options{
		URL: o.URL,
		Login: client.Login{
			User:       o.User,
			Password:   o.Password,
			MountPoint: o.MountPoint,
			DeviceID:   o.DeviceID,
			Watchdog:   3 * o.Heartbeat,
			Broker:     true,
		},
		Heartbeat: o.Heartbeat,
		Link:      o.Link,
		Begin: func(c *client.Client) {
			if session, refused = o.Attach(c); refused != nil {
				c.Link().Close(link.Shutdown)
			}
		},
		Relay: func(m *rpc.Message, f *link.Frame) {
			if session != nil {
				session.Message(m, f)
			}
		},
	})
	if err != nil {
		return cmp.Or(refused, err)
	}
	defer c.Close() // before the session ends
	session.Ready()
	if err := o.watch(ctx, c); err != nil {
		return err
	}
	return c.Err()
}

// watch waits for the end of the connection. It looks for a loop at first and with each
// heartbeat, since a loop may be closed further up. A parent that does not answer is asked
// again. If it has not answered a heartbeat later, watch gives up: nobody knows what that
// parent may be below.
func (o *Options) watch(ctx context.Context, c *client.Client) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := time.Now().Add(o.Heartbeat)
	for {
		select {
		case <-c.Done():
			return nil
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		err := o.findLoop(ctx, c)
		switch {
		case err == nil:
			last = time.Now().Add(2 * o.Heartbeat)
			timer.Reset(o.Heartbeat)
		case errors.Is(err, ErrLoop), time.Now().After(last):
			return err
		default:
			timer.Reset(min(askAgain, o.Heartbeat))
		}
	}
}

// findLoop asks the parent which brokers are above. It returns nil if we are not among
// them, or if the parent does not know the method, as brokers other than ours; ErrLoop if
// we are; and another error if the parent knows the method and did not answer.
func (o *Options) findLoop(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, min(askWait, o.Heartbeat))
	defer cancel()
	above, err := c.Call(ctx, ".broker/currentClient", "brokersAbove", chainpack.List(chainpack.String(o.BrokerID)))
	switch {
	case rpc.IsUnknown(err):
		return nil
	case err != nil:
		return fmt.Errorf("%s does not tell which brokers are above it: %w", o.URL, err)
	}
	isOwn := func(v chainpack.Value) bool {
		id, _ := v.AsString()
		return id == o.BrokerID
	}
	if slices.ContainsFunc(above.Items(), isOwn) {
		return fmt.Errorf("%w (%s)", ErrLoop, o.URL)
	}
	return nil
}
