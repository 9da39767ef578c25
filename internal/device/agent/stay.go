package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

// stayConnected keeps the agent connected until ctx ends. It tries each broker before it
// waits, so that a broker that is down causes no wait while another is up. Names are looked
// up each time. It ends with an error if all brokers have to be refused, because nobody allows
// connections without encryption.
func (a *agent) stayConnected(ctx context.Context) error {
	var backoff client.Backoff
	due := make(map[string]time.Time) // when each broker may be tried again, by its URL
	for {
		longest, refusals := time.Duration(0), 0
		var last error
		var at Broker
		brokers := a.opts.InForce.Brokers()
		for _, b := range brokers {
			if time.Now().Before(due[b.URL.String()]) {
				continue
			}
			if last != nil {
				a.notConnected(at, last).Stringer("next", b.URL).Msg("not connected to the broker")
			}
			began := time.Now()
			err := a.serve(ctx, b)
			if a.readyErr != nil {
				return a.readyErr
			}
			if ctx.Err() != nil {
				return nil
			}
			var refused *transport.PlaintextError
			if errors.As(err, &refused) {
				refusals++
			}
			if refusals == len(brokers) {
				return err
			}
			if !errors.Is(err, errReplaced) { // otherwise several devices would displace each other for ever
				longest = max(longest, time.Since(began))
			}
			a.opts.Status.failed(b.URL.String(), err)
			due[b.URL.String()] = time.Now().Add(client.RetryIn(err))
			last, at = err, b
		}
		first := slices.MinFunc(brokers, func(x, y Broker) int {
			return due[x.URL.String()].Compare(due[y.URL.String()])
		})
		wait := max(backoff.Next(longest), time.Until(due[first.URL.String()]))
		a.opts.Status.within(wait)
		a.notConnected(at, last).Str("retryIn", wait.Round(time.Millisecond).String()).Msg("not connected to the broker")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// notConnected begins a line about a connection that failed or was lost. If the error does
// not say so itself, it repeats why a broker has refused this device since it was last
// connected.
func (a *agent) notConnected(b Broker, err error) *zerolog.Event {
	e := a.opts.Log.Warn().Err(err).Stringer("broker", b.URL)
	if refusal := a.opts.Status.Report().LastRefusal; refusal != "" && !errors.Is(err, client.ErrRefused) {
		e = e.Str("lastRefusal", refusal)
	}
	return e
}

// disconnectSignal is the signal with which the Rust broker refuses a device (spec.md 7.2).
const disconnectSignal = "disconnectbybroker"

// signalled takes a signal of the broker. It runs in the read loop.
func (c *connection) signalled(m *rpc.Message) {
	switch string(m.Method()) {
	case takeoverSignal:
		c.takenOver(m)
		return
	case disconnectSignal:
	default:
		return
	}
	reason := "no reason given"
	if content, err := m.Content(); err == nil {
		if text, ok := content.Value.AsString(); ok && text != "" {
			reason = text
		}
	}
	c.mu.Lock()
	c.refusal = reason
	c.mu.Unlock()
}

// refused returns an error if the broker has refused this device by a signal.
func (c *connection) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusal == "" {
		return nil
	}
	return fmt.Errorf("the broker refuses this device: %s", c.refusal)
}

// infoMountPoint is the key of the mount point in the standard's info; brokers use the name.
const infoMountPoint = 3

// mountWait is how long the broker may take to report the mount point.
const mountWait = 5 * time.Second

// mounted returns an error if the broker has not mounted this device. C++ brokers, and ours,
// accept the login of a device that may not be mounted where it wants; nobody can call it
// then. A broker that does not report the mount point is trusted.
func (c *connection) mounted(ctx context.Context, cl *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, mountWait)
	defer cancel()
	var at chainpack.Value
	info, err := cl.Call(ctx, ".broker/currentClient", "info", chainpack.Null())
	if err == nil {
		var told bool
		if at, told = info.Get("mountPoint"); !told {
			at, told = info.GetInt(infoMountPoint)
		}
		if told && at.IsNull() {
			at = chainpack.String("")
		}
	} else if at, err = cl.Call(ctx, ".broker/currentClient", "mountPoint", chainpack.Null()); err != nil {
		return nil
	}
	if text, ok := at.AsString(); !ok || text != "" {
		if err == nil { // it knows the standard
			c.wantTakeover(cl)
		}
		return nil
	}
	return fmt.Errorf("the broker accepted the login but did not mount this device at %s: its user may not mount there",
		c.broker.MountPoint)
}
