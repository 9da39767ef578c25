package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

const (
	// heartbeatEvery is how often each client of a fleet pings.
	heartbeatEvery = 60 * time.Second
	// knocking is how many clients of a fleet connect at once for the first time.
	knocking = 100
)

// fleet is many mounted devices that only ping. They reconnect if their broker was away.
type fleet struct {
	address string
	running sync.WaitGroup
	there   atomic.Int64
	logins  atomic.Int64  // total
	arrived chan struct{} // capacity 1: receives when one more is logged in
	awaited int64         // logins for which awaitAll has waited

	mu    sync.Mutex
	conns []*loadConn // nil: not connected
}

// startFleet connects clients and waits until all have logged in.
func startFleet(ctx context.Context, o order) (*fleet, error) {
	f := &fleet{address: o.Address, arrived: make(chan struct{}, 1), conns: make([]*loadConn, o.Clients)}
	gate := make(chan struct{}, knocking)
	for n := range o.Clients {
		f.running.Go(func() { f.live(ctx, n, gate) })
	}
	f.running.Go(func() { f.ping(ctx) })
	return f, f.awaitAll(ctx)
}

// awaitAll waits until every client has logged in once more and is connected.
func (f *fleet) awaitAll(ctx context.Context) error {
	all := int64(len(f.conns))
	f.awaited += all
	for f.there.Load() < all || f.logins.Load() < f.awaited {
		select {
		case <-f.arrived:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d clients are there: %w", f.there.Load(), len(f.conns), context.Cause(ctx))
		}
	}
	return nil
}

// live runs client n: it connects, pings and reconnects.
func (f *fleet) live(ctx context.Context, n int, gate chan struct{}) {
	var backoff client.Backoff
	for first := true; ctx.Err() == nil; first = false {
		if first {
			gate <- struct{}{}
		}
		start := time.Now()
		c, err := dialLogin(ctx, f.address, n, 256, fmt.Sprintf("test/load/%d", n))
		if first {
			<-gate
		}
		if err == nil {
			f.stay(ctx, n, c)
		}
		select {
		case <-time.After(backoff.Next(time.Since(start))):
		case <-ctx.Done():
		}
	}
}

// stay reads until the connection ends.
func (f *fleet) stay(ctx context.Context, n int, c *loadConn) {
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer c.Close()
	f.set(n, c)
	defer f.set(n, nil)
	f.there.Add(1)
	f.logins.Add(1)
	defer f.there.Add(-1)
	select {
	case f.arrived <- struct{}{}:
	default:
	}
	for {
		if _, err := c.next(); err != nil {
			return
		}
	}
}

func (f *fleet) set(n int, c *loadConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[n] = c
}

// ping makes the clients ping one after the other, evenly over the time.
func (f *fleet) ping(ctx context.Context) {
	ping := frame(rpc.AppendRequest(nil, 3, ".broker/app", "ping", chainpack.Null()))
	const step = 20 * time.Millisecond
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	start, next := time.Now(), 0
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		due := int(time.Since(start) * time.Duration(len(f.conns)) / heartbeatEvery)
		for ; next < due; next++ {
			f.mu.Lock()
			c := f.conns[next%len(f.conns)]
			f.mu.Unlock()
			if c != nil {
				_, _ = c.Write(ping)
			}
		}
	}
}

// crowd is a device and the subscribers to its signals.
type crowd struct {
	device *loadConn
	conns  []*loadConn
	have   chan time.Time // the time when a subscriber had a signal
}

// openCrowd connects a device and its subscribers.
func openCrowd(ctx context.Context, o order) (*crowd, error) {
	k := &crowd{have: make(chan time.Time, o.Clients)}
	var err error
	if k.device, err = dialLogin(ctx, o.Address, 0, loadBuffer, loadMount); err != nil {
		return nil, err
	}
	k.conns = append(k.conns, k.device)
	for n := range o.Clients {
		c, err := dialLogin(ctx, o.Address, 1+n, 256, "")
		if err != nil {
			k.close()
			return nil, err
		}
		k.conns = append(k.conns, c)
		if _, err := c.call(3, ".broker/currentClient", "subscribe", chainpack.String("test/load/**:*:*")); err != nil {
			k.close()
			return nil, err
		}
		go func() {
			for {
				m, err := c.next()
				if err != nil {
					return
				}
				if m.Kind() == rpc.Signal {
					k.have <- time.Now()
				}
			}
		}()
	}
	return k, nil
}

func (k *crowd) close() {
	for _, c := range k.conns {
		_ = c.Close()
	}
}

// signal sends one signal and returns how long it took until all subscribers had it.
func (k *crowd) signal(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	signal := frame(rpc.AppendSignal(nil, "value", "chng", "get", rpc.AccessRead, chainpack.Int(7)))
	if _, err := k.device.Write(signal); err != nil {
		return 0, err
	}
	var last time.Time
	for range len(k.conns) - 1 {
		select {
		case last = <-k.have:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return last.Sub(start), nil
}
