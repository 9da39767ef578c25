package agent

import (
	"runtime"
	"sync"
	"time"
)

// Status is what is told of an agent: over its socket, and by the file of its
// connection. Its methods may be called concurrently.
type Status struct {
	now     func() time.Time
	changed chan struct{} // capacity 1: connected or not

	mu     sync.Mutex
	report Report
	since  time.Time // of the connection, or of its loss
	list   func() []Session
}

// Report is the state of an agent at one moment.
type Report struct {
	Version    string    `json:"version"`
	Mount      string    `json:"mount"`
	DeviceID   string    `json:"deviceId,omitempty"`
	Connected  bool      `json:"connected"`
	Stopping   bool      `json:"stopping"`
	Broker     string    `json:"broker,omitempty"` // where it is connected
	ClientID   int64     `json:"clientId,omitempty"`
	Since      time.Time `json:"since"`   // connected or not connected
	For        float64   `json:"seconds"` // since then; no change of the clock moves it
	LastError  string    `json:"lastError,omitempty"`
	LastBroker string    `json:"lastBroker,omitempty"` // whose error it is
	Sessions   []Session `json:"sessions"`
	Goroutines int       `json:"goroutines"` // of the program
}

// Session is one that is open.
type Session struct {
	User   string        `json:"user"`
	Use    string        `json:"use"`
	Helper int           `json:"helper"` // process id
	For    time.Duration `json:"nanoseconds"`
}

// NewStatus is the status of an agent that is not connected yet.
func NewStatus(now func() time.Time) *Status {
	return &Status{now: now, changed: make(chan struct{}, 1), since: now(), list: func() []Session { return nil }}
}

// Report tells the state.
func (s *Status) Report() Report {
	s.mu.Lock()
	r, since, list := s.report, s.since, s.list
	s.mu.Unlock()
	// Sub uses the monotonic clock, and since is told by the wall clock of now.
	passed := s.now().Sub(since)
	r.Since, r.For = s.now().Add(-passed).Round(0).Truncate(time.Second), passed.Seconds()
	r.Sessions, r.Goroutines = list(), runtime.NumGoroutine()
	return r
}

// Changed gets a value when the agent was connected or disconnected; several at
// once may count as one.
func (s *Status) Changed() <-chan struct{} { return s.changed }

func (s *Status) begin(o Options, list func() []Session) {
	s.update(func(r *Report) { r.Version, r.Mount, r.DeviceID = o.Version, o.MountPoint, o.DeviceID })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func (s *Status) update(change func(*Report)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.report.Connected
	change(&s.report)
	if s.report.Connected == before {
		return
	}
	s.since = s.now()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *Status) connected(b Broker, id int64) {
	s.update(func(r *Report) {
		r.Connected, r.Broker, r.ClientID = true, b.URL.String(), id
		r.Mount, r.DeviceID = b.MountPoint, b.DeviceID
	})
}

func (s *Status) disconnected() {
	s.update(func(r *Report) { r.Connected, r.Broker, r.ClientID = false, "", 0 })
}

func (s *Status) failed(broker string, err error) {
	if err != nil {
		s.update(func(r *Report) { r.LastBroker, r.LastError = broker, err.Error() })
	}
}

func (s *Status) stopping() { s.update(func(r *Report) { r.Stopping = true }) }
