package health

import (
	"container/list"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of the server, so that its clients cost the program little.
const (
	maxConnections = 64
	maxHeader      = 8 << 10
	patience       = 10 * time.Second // for a request, an answer, an idle connection
)

// Sources give the answers. They are called concurrently.
type Sources struct {
	Healthy func() bool     // must return in bounded time
	Ready   func() bool     // called only if Healthy returned true
	Metrics func() []Family // called only if Healthy returned true
}

// Server serves health and metrics. Its methods may be called concurrently.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// On returns a server for an open listener, which Close closes. It answers once Serve runs.
func On(l net.Listener, s Sources) *Server {
	return &Server{
		listener: &bounded{Listener: l},
		http: &http.Server{
			Handler:        handler(s),
			ReadTimeout:    patience,
			WriteTimeout:   patience,
			IdleTimeout:    patience,
			MaxHeaderBytes: maxHeader,
			ErrorLog:       log.New(io.Discard, "", 0), // bad requests are not worth a log line
		},
	}
}

// Addr returns the address of the listener.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until Close, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close closes the listener and all connections. It may be called before Serve.
func (s *Server) Close() {
	_ = s.http.Close()
	_ = s.listener.Close()
}

func handler(s Sources) http.Handler {
	mux := http.NewServeMux()
	tell := func(path string, good func() bool) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if !good() {
				http.Error(w, "no", http.StatusServiceUnavailable)
				return
			}
			_, _ = io.WriteString(w, "ok\n")
		})
	}
	tell("/healthz", s.Healthy)
	tell("/readyz", func() bool { return s.Healthy() && s.Ready() })
	var one sync.Mutex // requests without end take one processor at most
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Healthy() { // otherwise requests would pile up at the program's locks
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		text := func() []byte {
			one.Lock()
			defer one.Unlock()
			return appendText(nil, s.Metrics())
		}()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(text)
	})
	return mux
}

// bounded is a listener with a number of connections at most. One more ends the oldest:
// an answer takes milliseconds, so clients that are slow do not keep out a probe.
type bounded struct {
	net.Listener

	mu   sync.Mutex
	open list.List // of *slot, the oldest in front
}

func (b *bounded) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &slot{Conn: c, of: b}
	if oldest := b.add(s); oldest != nil {
		_ = oldest.Close()
	}
	return s, nil
}

// add counts a connection. It returns the one that is to be closed for it, nil for none.
func (b *bounded) add(s *slot) (oldest *slot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Len() >= maxConnections {
		oldest = b.open.Front().Value.(*slot)
		b.removeLocked(oldest)
	}
	s.at = b.open.PushBack(s)
	return oldest
}

// removeLocked removes a connection, once.
func (b *bounded) removeLocked(s *slot) {
	if s.at != nil {
		b.open.Remove(s.at)
		s.at = nil
	}
}

// slot is a connection that counts until it is first closed.
type slot struct {
	net.Conn
	of *bounded
	at *list.Element // guarded by of.mu; nil: not counted
}

func (s *slot) Close() error {
	s.of.mu.Lock()
	s.of.removeLocked(s)
	s.of.mu.Unlock()
	return s.Conn.Close()
}
