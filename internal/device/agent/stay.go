package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// stayConnected connects again and again until ctx ends. Each broker has its turn
// before there is a wait, so that one that is down costs nothing while another is
// up. Names are looked up anew each time.
func (a *agent) stayConnected(ctx context.Context) error {
	var backoff client.Backoff
	for {
		longest := time.Duration(0)
		for i, b := range a.opts.Brokers {
			began := time.Now()
			err := a.serve(ctx, b)
			if a.readyErr != nil {
				return a.readyErr
			}
			if ctx.Err() != nil {
				return nil
			}
			longest = max(longest, time.Since(began))
			a.opts.Status.failed(b.URL.String(), err)
			if i < len(a.opts.Brokers)-1 {
				a.opts.Log.Warn().Err(err).Stringer("next", a.opts.Brokers[i+1].URL).Msg("not connected to the broker")
				continue
			}
			wait := backoff.Next(longest)
			a.opts.Status.within(wait)
			a.opts.Log.Warn().Err(err).Str("retryIn", wait.Round(time.Millisecond).String()).Msg("not connected to the broker")
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// disconnectSignal is how the Rust broker says that it does not want a device
// (spec.md 7.2).
const disconnectSignal = "disconnectbybroker"

// signalled takes a signal of the broker, in the read loop.
func (c *connection) signalled(m *rpc.Message) {
	if string(m.Method()) != disconnectSignal {
		return
	}
	reason := "it gives no reason"
	if content, err := m.Content(); err == nil {
		if text, ok := content.Value.AsString(); ok && text != "" {
			reason = text
		}
	}
	c.mu.Lock()
	c.refusal = reason
	c.mu.Unlock()
}

// refused is the reason with which the broker disconnected us, nil if it did not.
func (c *connection) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusal == "" {
		return nil
	}
	return fmt.Errorf("the broker refuses this device: %s", c.refusal)
}

// infoMountPoint is the key of the standard's info; brokers use the name.
const infoMountPoint = 3

// mountWait is how long the broker may take to say where we are.
const mountWait = 5 * time.Second

// mounted finds out whether the broker has mounted us. C++ brokers, and ours, let
// a device in that may not be where it wants to be, and nobody can call it then. A
// broker that does not say where we are is believed.
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
		return nil
	}
	return errors.New("the broker has let this device in, but not mounted it at " + c.broker.MountPoint + "; its user may not mount there")
}
