package main

import (
	"context"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

const (
	// floodEvery and floodSize are the interval and size of the device's signals in
	// stuckFigure.
	floodEvery = time.Millisecond
	floodSize  = 1 << 10
	// stuckCalls is how many large answers the stuck client requests.
	stuckCalls = 8
)

// flood makes the device of the calls send signals until ctx ends.
func (l *callLoad) flood(ctx context.Context) {
	value := chainpack.String(string(make([]byte, floodSize)))
	signal := frame(rpc.AppendSignal(nil, "value", "chng", "get", rpc.AccessRead, value))
	l.devices.Go(func() {
		ticker := time.NewTicker(floodEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if _, err := l.device.Write(signal); err != nil {
				return
			}
		}
	})
}

// addStuck connects a client that subscribes to all signals of the device, requests more
// data than the system's buffers hold, and does not read after that.
func addStuck(ctx context.Context, o order) (*loadConn, error) {
	c, err := dialLogin(ctx, o.Address, 1000, 256, "")
	if err != nil {
		return nil, err
	}
	_ = c.SetReadBuffer(16 << 10)
	if _, err := c.call(3, ".broker/currentClient", "subscribe", chainpack.String("test/load/**:*:*")); err != nil {
		_ = c.Close()
		return nil, err
	}
	for id := range int64(stuckCalls) {
		if _, err := c.Write(frame(rpc.AppendRequest(nil, 10+id, loadMount, "big", chainpack.Null()))); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}
