package main

import (
	"context"
	"sync"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

const (
	// loadBuffer is how many bytes a busy connection of the generator reads at once.
	loadBuffer = 64 << 10
	// loadMount is where the device of the calls is mounted.
	loadMount = "test/load/device"
	// bigAnswer is the length of the answer to the method big.
	bigAnswer = 256 << 10
)

// serveDevice answers each request until the connection ends: get with a small value, big
// with a large one. Answers to requests that arrived together are sent together.
func serveDevice(c *loadConn) {
	out := make([]byte, 0, 2*loadBuffer)
	var message []byte
	big := chainpack.String(string(make([]byte, bigAnswer)))
	for {
		m, err := c.next()
		if err != nil {
			return
		}
		if m.Kind() == rpc.Request {
			value := chainpack.Int(42)
			if string(m.Method()) == "big" {
				value = big
			}
			message = rpc.AppendResult(message[:0], rpc.Address{ID: m.ID(), Callers: m.Callers()}, value)
			out = chainpack.AppendUIntData(out, uint64(len(message)+1))
			out = append(append(out, 1), message...)
		}
		if c.more() && len(out) < loadBuffer {
			continue
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

// caller calls a device, with a fixed number of requests in flight.
type caller struct {
	conn     *loadConn
	requests [][]byte // ready to be sent, by request id
	began    []time.Time
	took     []time.Duration
	out      []byte
}

// newCaller prepares the requests, so that the figures do not measure the generator.
func newCaller(c *loadConn, path string, inFlight int) *caller {
	k := &caller{conn: c, began: make([]time.Time, inFlight+1), requests: make([][]byte, inFlight+1)}
	for id := 1; id <= inFlight; id++ {
		k.requests[id] = frame(rpc.AppendRequest(nil, int64(id), path, "get", chainpack.Null()))
	}
	return k
}

// run calls for a time, and then waits for the missing answers.
func (k *caller) run(until time.Time) error {
	k.took = k.took[:0]
	k.out = k.out[:0]
	now := time.Now()
	for id := 1; id < len(k.requests); id++ {
		k.began[id] = now
		k.out = append(k.out, k.requests[id]...)
	}
	for missing := len(k.requests) - 1; missing > 0; {
		if _, err := k.conn.Write(k.out); err != nil {
			return err
		}
		k.out = k.out[:0]
		first := true
		for first || k.conn.more() {
			m, err := k.conn.next()
			if err != nil {
				return err
			}
			if first {
				now, first = time.Now(), false
			}
			id := m.ID()
			if id < 1 || int(id) >= len(k.requests) {
				continue
			}
			k.took = append(k.took, now.Sub(k.began[id]))
			if now.After(until) {
				missing--
				continue
			}
			k.began[id] = now
			k.out = append(k.out, k.requests[id]...)
		}
	}
	return nil
}

// callLoad is a device and its callers.
type callLoad struct {
	callers []*caller
	conns   []*loadConn
	device  *loadConn // nil on a relay, where each caller has its own
	devices sync.WaitGroup
}

// openCalls connects a device and callers through a broker or a relay of pairs.
func openCalls(ctx context.Context, o order) (_ *callLoad, err error) {
	l := new(callLoad)
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	connect := func(n int, mountPoint string) (*loadConn, error) {
		c, err := dialLoad(ctx, o.Address, n, loadBuffer)
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, c)
		if !o.Relay {
			err = c.login(mountPoint)
		}
		return c, err
	}
	serve := func(n int) (*loadConn, error) {
		c, err := connect(n, loadMount)
		if err == nil {
			l.devices.Go(func() { serveDevice(c) })
		}
		return c, err
	}
	if !o.Relay {
		if l.device, err = serve(0); err != nil {
			return nil, err
		}
	}
	for n := range o.Callers {
		c, err := connect(1+2*n, "")
		if err != nil {
			return nil, err
		}
		path := loadMount
		if o.Relay {
			path = "" // as a device receives it
			if _, err := serve(2 + 2*n); err != nil {
				return nil, err
			}
		}
		l.callers = append(l.callers, newCaller(c, path, o.InFlight))
	}
	return l, nil
}

func (l *callLoad) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.devices.Wait()
}

// run runs all callers for a time.
func (l *callLoad) run(d time.Duration) (o outcome, err error) {
	start := time.Now()
	failed := make(chan error, len(l.callers))
	for _, k := range l.callers {
		go func() { failed <- k.run(start.Add(d)) }()
	}
	for range l.callers {
		if e := <-failed; e != nil {
			err = e
			l.close() // otherwise the others would wait forever
		}
	}
	if err != nil {
		return o, err
	}
	elapsed := time.Since(start)
	var took []time.Duration
	for _, k := range l.callers {
		took = append(took, k.took...)
	}
	return outcome{
		Count:  len(took),
		Rate:   float64(len(took)) / elapsed.Seconds(),
		Median: median(took),
		P99:    percentile(took, 99),
	}, nil
}
