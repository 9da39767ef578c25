package agent

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

const (
	// unanswered is how many heartbeats a connection outlives at most when the broker
	// sends nothing any more.
	unanswered = 3
	// endWait is how long the end of a connection may take.
	endWait = 30 * time.Second
	// farewellWait is how long the last messages may take to reach the broker.
	farewellWait = time.Second
)

// errStopping ends sessions and calls when the agent stops.
var errStopping = errors.New(stoppedText)

// connection is one connection to a broker, and what ends with it.
type connection struct {
	agent    *agent
	broker   Broker
	searches sync.WaitGroup // running searches
	calls    *asynccall.Table
	client   *client.Client // set before the read loop begins

	mu       sync.Mutex
	finding  searches
	sessions map[string]*inband.Session // offered or running, by the name of their node
	refusal  string                     // the broker's reason to disconnect this device; "": none
	replaced string                     // what the broker calls instead of this device; "": it calls this one
	takeover chan struct{}              // capacity 1: replaced has changed
}

// begun sets the client before any request comes.
func (c *connection) begun(cl *client.Client) { c.client = cl }

// wait ends the in-band sessions and the calls of a connection that has ended, and waits
// for calls and searches.
func (c *connection) wait() {
	c.endSessions()
	c.calls.Close(callGrace)
	c.searches.Wait()
}

// serve connects to b and serves until the connection ends, and returns why it ended.
func (a *agent) serve(ctx context.Context, b Broker) error {
	conn := &connection{agent: a, broker: a.place(b), sessions: make(map[string]*inband.Session),
		takeover: make(chan struct{}, 1)}
	conn.finding = newSearches(a.opts.InForce.now().Sessions.Total + 1)
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
		status.within(unanswered * a.opts.Heartbeat) // without tidy, which belongs to the heartbeat
		err = a.connected(ctx, conn, c)
	}
	status.within(endWait)
	c.Close()
	conn.wait()
	if refused := conn.refused(); refused != nil {
		return refused
	}
	return conn.replacedError(err)
}

// connected serves a mounted connection until it is lost or ctx ends.
func (a *agent) connected(ctx context.Context, conn *connection, c *client.Client) error {
	b := conn.broker
	a.opts.Log.Info().Stringer("broker", b.URL).Str("mount", b.MountPoint).Int64("clientId", c.ID()).Msg("connected")
	a.opts.Status.connected(b, c.ID())
	defer a.opts.Status.disconnected()
	a.readyOnce.Do(func() {
		if a.opts.Ready != nil {
			a.readyErr = a.opts.Ready()
		}
	})
	for a.readyErr == nil {
		select {
		case <-conn.takeover:
			conn.tellTakeover()
			continue
		case <-c.Done():
		case <-ctx.Done():
			conn.farewell()
		}
		break
	}
	return c.Err()
}

// place returns b with the mount point and device id that apply there.
func (a *agent) place(b Broker) Broker {
	b.MountPoint, b.DeviceID = cmp.Or(b.MountPoint, a.opts.MountPoint), cmp.Or(b.DeviceID, a.opts.DeviceID)
	return b
}

// signal sends a signal of the node at path.
func (c *connection) signal(path, name string, value chainpack.Value) error {
	return c.client.Send(rpc.AppendSignal(nil, path, name, "", rpc.AccessNone, value))
}

func (c *connection) allSessions() []*inband.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.sessions))
}

// endSessions ends all in-band sessions of a connection that is lost.
func (c *connection) endSessions() {
	for _, session := range c.allSessions() {
		session.End()
	}
}

// farewell ends the in-band sessions and the calls of a connection when the agent stops, and
// tells their callers why.
func (c *connection) farewell() {
	for _, session := range c.allSessions() {
		session.Stop(errStopping)
	}
	c.calls.Stop(errStopping)
	ctx, cancel := context.WithTimeout(context.Background(), farewellWait)
	defer cancel()
	c.client.Finish(ctx)
}
