//go:build !race

// The race detector takes things out of pools at random.

package link_test

import (
	"io"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// stepper is a connection that provides one frame for each token in step, and reports each write.
type stepper struct {
	script
	frame   []byte
	left    []byte // of the frame
	step    chan struct{}
	written chan int
}

func (s *stepper) Read(b []byte) (int, error) {
	if len(s.left) == 0 {
		if _, ok := <-s.step; !ok {
			return 0, io.EOF
		}
		s.left = s.frame
	}
	n := copy(b, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *stepper) Write(b []byte) (int, error) {
	s.written <- len(b)
	return len(b), nil
}

func TestForwardingAllocatesNothing(t *testing.T) {
	for _, size := range []int{1, 1000, 32 << 10} {
		data := chainpack.List(chainpack.Int(1), chainpack.String(string(make([]byte, size))))
		conn := &stepper{step: make(chan struct{}), written: make(chan int)}
		conn.frame = onWire(rpc.AppendResult(nil, rpc.Address{ID: 3, Callers: rpc.CallerIDs{1, 2}}, data))
		l := link.New(conn, link.Options{})
		ended := start(t, l, handler{message: forward(func(f *link.Frame) error { return l.Send(f, nil) })})
		n := testing.AllocsPerRun(500, func() {
			conn.step <- struct{}{}
			<-conn.written
		})
		if n != 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
		close(conn.step)
		<-ended
	}
}
