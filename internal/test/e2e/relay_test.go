package e2e_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// relay carries connections to a broker, and can cut them all.
type relay struct {
	l       net.Listener
	carried sync.WaitGroup

	mu   sync.Mutex
	to   string // host and port
	open map[net.Conn]struct{}
}

// newRelay returns a relay that carries nothing before leadTo is called.
func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{l: l, open: make(map[net.Conn]struct{})}
	r.carried.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			r.carried.Go(func() { r.carry(near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.cut()
		r.carried.Wait()
	})
	return r
}

func (r *relay) url() string { return "tcp://" + r.l.Addr().String() }

// leadTo sets the target of new connections.
func (r *relay) leadTo(url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = strings.TrimPrefix(url, "tcp://")
}

// cut ends all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		_ = conn.Close()
	}
}

// keep adds a connection to those that cut ends.
func (r *relay) keep(conn net.Conn) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[conn] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, conn)
		_ = conn.Close()
	}
}

func (r *relay) carry(near net.Conn) {
	defer r.keep(near)()
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer r.keep(far)()
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(near, far)
		_ = near.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(far, near)
	_ = far.(*net.TCPConn).CloseWrite()
	<-back
}
