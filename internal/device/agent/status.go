package agent

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Status is what is told of an agent: over its socket, by the file of its
// connection, and to who supervises it. Its methods may be called concurrently.
type Status struct {
	now     func() time.Time
	changed chan struct{} // capacity 1: connected or not
	told    func(string)  // set before Run

	mu     sync.Mutex
	report Report
	since  time.Time // of the connection, or of its loss
	due    time.Time // when the agent is to be heard of again; zero: before Run
	list   func() []Session
	free   func() bool
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
	return &Status{
		now: now, changed: make(chan struct{}, 1), told: func(string) {}, since: now(),
		list: func() []Session { return nil }, free: func() bool { return true },
	}
}

// Tell has f told, in words, what the agent does about its broker: before its first
// try to connect, and at each change from then on. f must not call the Status. It
// is called before Run.
func (s *Status) Tell(f func(text string)) { s.told = f }

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

func (s *Status) begin(o Options, h *helpers) {
	s.update(func(r *Report) { r.Version, r.Mount, r.DeviceID = o.Version, o.MountPoint, o.DeviceID })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list, s.free = h.list, h.free
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

func (s *Status) connecting(b Broker) { s.told("connecting to " + b.URL.String()) }

func (s *Status) connected(b Broker, id int64) {
	s.update(func(r *Report) {
		r.Connected, r.Broker, r.ClientID = true, b.URL.String(), id
		r.Mount, r.DeviceID = b.MountPoint, b.DeviceID
	})
	s.told(fmt.Sprintf("connected to %s as client %d, mounted at %s", b.URL, id, b.MountPoint))
}

func (s *Status) disconnected() {
	s.update(func(r *Report) { r.Connected, r.Broker, r.ClientID = false, "", 0 })
}

func (s *Status) failed(broker string, err error) {
	if err == nil {
		return
	}
	s.update(func(r *Report) { r.LastBroker, r.LastError = broker, err.Error() })
	s.told("not connected: " + err.Error())
}

func (s *Status) stopping() { s.update(func(r *Report) { r.Stopping = true }) }

const (
	// lag is how much later than it should the agent may be heard of, on a machine
	// that has much to do.
	lag = 30 * time.Second
	// freeWait is how long one may wait for a lock of the agent, and freePause is
	// between two looks at it.
	freeWait  = 2 * time.Second
	freePause = 10 * time.Millisecond
)

// within says when the loop that keeps the agent connected is to be heard of again.
func (s *Status) within(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = s.now().Add(d)
}

// Healthy tells whether the agent does its work: the loop that keeps it connected
// was heard of when it had to be, which while it is connected takes a broker's
// answer through its read loop, and the locks are to be had. That there is no broker
// is no illness.
func (s *Status) Healthy() bool {
	for end := time.Now().Add(freeWait); ; time.Sleep(freePause) {
		if s.mu.TryLock() {
			free, late := s.free, !s.due.IsZero() && s.now().After(s.due.Add(lag))
			s.mu.Unlock()
			if late {
				return false
			}
			if free() {
				return true
			}
		}
		if time.Now().After(end) {
			return false
		}
	}
}
