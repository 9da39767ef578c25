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

// connection is what belongs to one connection to the broker.
type connection struct {
	agent    *agent
	broker   Broker // that it goes to
	searches sync.WaitGroup
	calls    *asynccall.Table
	client   *client.Client // set before the read loop begins

	mu       sync.Mutex
	finding  searches
	sessions map[string]*inband.Session // that were offered or run, by the name of their node
	refusal  string                     // of the broker, which disconnects us
}

// begun takes the client, before any request comes.
func (c *connection) begun(cl *client.Client) { c.client = cl }

// wait ends what the connection carries when it has ended, and waits until no call
// and no search is under way.
func (c *connection) wait() {
	c.endSessions()
	c.calls.Close(callGrace)
	c.searches.Wait()
}

// serve is one connection, from its login to its end.
func (a *agent) serve(ctx context.Context, b Broker) error {
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
	if a.readyErr == nil {
		select {
		case <-c.Done():
		case <-ctx.Done():
			conn.farewell()
		}
	}
	return c.Err()
}

// place is b with all that counts there.
func (a *agent) place(b Broker) Broker {
	b.MountPoint, b.DeviceID = cmp.Or(b.MountPoint, a.opts.MountPoint), cmp.Or(b.DeviceID, a.opts.DeviceID)
	return b
}

// signal sends one of the node at path.
func (c *connection) signal(path, name string, value chainpack.Value) error {
	return c.client.Send(rpc.AppendSignal(nil, path, name, "", rpc.AccessNone, value))
}

func (c *connection) allSessions() []*inband.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.sessions))
}

// endSessions ends all sessions of a connection that is lost.
func (c *connection) endSessions() {
	for _, session := range c.allSessions() {
		session.End()
	}
}

// farewell ends the sessions and calls of a connection when the agent stops, and
// lets who waits for them know why.
func (c *connection) farewell() {
	for _, session := range c.allSessions() {
		session.Stop(errStopping)
	}
	c.calls.Stop(errStopping)
	ctx, cancel := context.WithTimeout(context.Background(), farewellWait)
	defer cancel()
	c.client.Finish(ctx)
}
