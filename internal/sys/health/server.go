package health

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of the server: whoever reaches it must not cost the program much.
const (
	maxConnections = 16
	maxHeader      = 8 << 10
	patience       = 10 * time.Second // for a request, an answer, an idle connection
)

// Sources are where the answers come from; they may be called concurrently.
type Sources struct {
	Healthy func() bool // in bounded time
	Ready   func() bool // asked only of a healthy program
	Metrics func() []Family
}

// Server is an HTTP server of its own.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// On returns a server on a listener that is open, and that the server closes. It
// answers from Serve on.
func On(l net.Listener, s Sources) *Server {
	return &Server{
		listener: &bounded{Listener: l, slots: make(chan struct{}, maxConnections)},
		http: &http.Server{
			Handler:        handler(s),
			ReadTimeout:    patience,
			WriteTimeout:   patience,
			IdleTimeout:    patience,
			MaxHeaderBytes: maxHeader,
			ErrorLog:       log.New(io.Discard, "", 0), // what strangers send is no news
		},
	}
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until Close, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends the listener and all connections, also before Serve.
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
	var one sync.Mutex // who asks without end takes one processor at the most
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Healthy() { // else requests would pile up at its locks
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

// bounded closes connections above a count at once.
type bounded struct {
	net.Listener
	slots chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &slot{Conn: c, slots: b.slots, once: make(chan struct{}, 1)}, nil
		default:
			_ = c.Close()
		}
	}
}

// slot gives its place back when it is closed first.
type slot struct {
	net.Conn
	slots, once chan struct{}
}

func (s *slot) Close() error {
	select {
	case s.once <- struct{}{}:
		<-s.slots
	default:
	}
	return s.Conn.Close()
}
