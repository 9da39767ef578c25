package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"shvtools/internal/shv/rpc"
)

// route leads from one connection to another, through a broker or a plain relay. Both have
// the same generator, which writes prepared bytes and counts those that arrive.
type route struct {
	from, to *net.TCPConn
	burst    []byte // written at once, repeatedly
	frames   int    // in a burst
	arriving int    // bytes of a burst at the other end
	sink     []byte
	close    func()
}

// sinkSize is how many bytes the receiver reads at once.
const sinkSize = 256 << 10

// newBurst returns as many frames with n bytes of data each as fit into size bytes, but at
// least one.
func newBurst(to rpc.Address, n, size int) (burst []byte, frames int) {
	one := frame(dataMessage(to, make([]byte, n)))
	for frames == 0 || len(burst)+len(one) <= size {
		burst = append(burst, one...)
		frames++
	}
	return burst, frames
}

// brokerRoute leads through a tunnel of a broker, from the helper to the client. Only
// tunnels slow down a sender that is too fast, as the relay does.
func brokerRoute(ctx context.Context, address string, n, size int) (*route, error) {
	t, err := openTunnel(ctx, address)
	if err != nil {
		return nil, err
	}
	r := &route{from: t.helper.conn, to: t.client.conn, sink: make([]byte, sinkSize), close: t.close}
	r.burst, r.frames = newBurst(t.to, n, size)
	// Frames arrive without their caller id. The first one shows their length.
	if err := t.helper.send(dataMessage(t.to, make([]byte, n))); err != nil {
		t.close()
		return nil, err
	}
	_, length, err := t.client.receive()
	if err == nil && t.client.in.Buffered() > 0 {
		err = errors.New("more came than was sent")
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("first data frame: %w", err)
	}
	r.arriving = length * r.frames
	return r, nil
}

// relayRoute leads through a relay, with the same bursts.
func relayRoute(ctx context.Context, address string, n, size int) (*route, error) {
	from, err := dialPeer(ctx, address)
	if err != nil {
		return nil, err
	}
	to, err := dialPeer(ctx, address)
	if err != nil {
		from.close()
		return nil, err
	}
	r := &route{from: from.conn, to: to.conn, sink: make([]byte, sinkSize), close: func() { from.close(); to.close() }}
	r.burst, r.frames = newBurst(rpc.Address{ID: 3, Callers: rpc.CallerIDs{4}}, n, size)
	r.arriving = len(r.burst)
	return r, nil
}

// carry sends bursts and returns how long it took until all of them had arrived. It
// allocates nothing per burst.
func (r *route) carry(bursts int) (time.Duration, error) {
	sent := make(chan error, 1)
	start := time.Now()
	go func() {
		for range bursts {
			if _, err := r.from.Write(r.burst); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for missing := bursts * r.arriving; missing > 0; {
		n, err := r.to.Read(r.sink)
		if err != nil {
			return 0, err
		}
		missing -= n
		if missing < 0 {
			return 0, errors.New("more came than was sent")
		}
	}
	took := time.Since(start)
	return took, <-sent
}
