package main

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
)

// forwardFigure measures how fast a broker in this process carries tunnel frames, and how
// much it allocates per frame. The generator allocates nothing, so all allocations of the
// process are those of the broker.
func forwardFigure(ctx context.Context, o options) (rows []row, err error) {
	for _, kind := range []struct {
		what   string
		data   int
		bursts int
	}{
		{"tunnel frames of 1 byte through the broker", 1, o.pick(4000, 1000)},
		{"tunnel frames of 32 KiB through the broker", 32 << 10, o.pick(100000, 20000)},
	} {
		ours, err := forwardOnce(ctx, kind.data, kind.bursts, brokerInProcess)
		if err != nil {
			return rows, err
		}
		plain, err := forwardOnce(ctx, kind.data, kind.bursts, relayInProcess)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{
			what:      kind.what,
			ours:      fmt.Sprintf("%.3f allocs a frame, %.0f frames/s, %.0f MB/s", ours.allocs, ours.frames, ours.rate),
			reference: fmt.Sprintf("plain relay, which looks at no frames: %.0f MB/s", plain.rate),
			ratio:     fmt.Sprintf("%.2f", ours.rate/plain.rate),
			aim:       "0 allocations",
			// A queue that is longer than ever before adds frames to the pool. That
			// is not the cost of a frame.
			verdict: verdict(ours.allocs < 0.005),
		})
	}
	return rows, nil
}

type forwarded struct {
	allocs float64 // per frame
	frames float64 // per second
	rate   float64 // MB/s
}

// forwardOnce measures one route.
func forwardOnce(
	ctx context.Context, data, bursts int, open func(context.Context, int) (*route, func(), error),
) (f forwarded, err error) {
	r, end, err := open(ctx, data)
	if err != nil {
		return f, err
	}
	defer end()
	if _, err := r.carry(bursts / 4); err != nil { // fills buffers and pools
		return f, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	took, err := r.carry(bursts)
	if err != nil {
		return f, err
	}
	runtime.ReadMemStats(&after)
	frames := float64(bursts * r.frames)
	return forwarded{
		allocs: float64(after.Mallocs-before.Mallocs) / frames,
		frames: frames / took.Seconds(),
		rate:   rate(bursts*len(r.burst), took),
	}, nil
}

// burstSize is how much the generator writes at once.
const burstSize = 64 << 10

func brokerInProcess(ctx context.Context, data int) (*route, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	b := core.New(core.Options{Users: auth.NewStore(auth.Development()), Log: zerolog.Nop()})
	go func() { _ = b.Serve(l) }()
	r, err := brokerRoute(ctx, l.Addr().String(), data, burstSize)
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return r, func() { r.close(); b.Close() }, nil
}

func relayInProcess(ctx context.Context, data int) (*route, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(startDeadline))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = relay(l)
	}()
	r, err := relayRoute(ctx, l.Addr().String(), data, burstSize)
	if err != nil {
		return nil, nil, err
	}
	// The listener may close only after it has accepted both connections.
	if _, err := r.carry(1); err != nil {
		r.close()
		return nil, nil, err
	}
	return r, func() { r.close(); <-done }, nil
}
