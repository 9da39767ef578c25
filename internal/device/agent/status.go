package agent

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"shvtools/internal/wire/client"
)

// Status collects the state of an agent for its status socket, its connection status file
// and its supervisor. Its methods may be called concurrently, except Tell.
type Status struct {
	now     func() time.Time
	changed chan struct{} // capacity 1: Report.Connected has changed
	told    func(string)  // set before Run

	mu     sync.Mutex
	report Report
	since  time.Time // of the connection, or of its loss
	due    time.Time // when the agent must show activity again; zero: before Run
	list   func() []Session
	free   func() bool
}

// Report is the state of an agent at one moment, as the status socket returns it in JSON.
type Report struct {
	Version    string    `json:"version"`
	Mount      string    `json:"mount"`
	DeviceID   string    `json:"deviceId,omitempty"`
	Connected  bool      `json:"connected"`
	Stopping   bool      `json:"stopping"`
	Broker     string    `json:"broker,omitempty"` // URL of the connection
	ClientID   int64     `json:"clientId,omitempty"`
	Since      time.Time `json:"since"`              // since when Connected has its value
	For        float64   `json:"seconds"`            // since then, by the monotonic clock
	Replaced   string    `json:"replaced,omitempty"` // what is called instead of this device; "": it is called
	LastError  string    `json:"lastError,omitempty"`
	LastBroker string    `json:"lastBroker,omitempty"` // URL of the broker with LastError
	// LastRefusal is the last answer of a broker that refused the login, "" once connected. A
	// later LastError, such as a timeout, does not say what is wrong.
	LastRefusal string    `json:"lastRefusal,omitempty"`
	Sessions    []Session `json:"sessions"`
	Goroutines  int       `json:"goroutines"` // in the program
}

// Session is an open session.
type Session struct {
	User   string        `json:"user"`        // "": without a user id
	Use    string        `json:"use"`         // as in the policy
	Name   string        `json:"session"`     // as in logs and records
	Helper int           `json:"helper"`      // process id of its shvrexec
	For    time.Duration `json:"nanoseconds"` // since it was opened
}

// NewStatus returns the status of an agent that is not connected yet. now is its clock.
func NewStatus(now func() time.Time) *Status {
	return &Status{
		now: now, changed: make(chan struct{}, 1), told: func(string) {}, since: now(),
		list: func() []Session { return nil }, free: func() bool { return true },
	}
}

// Tell makes the Status call f with a text for people whenever the state of the connection
// changes, first before the agent tries to connect. f must not call the Status. Tell must be
// called before Run.
func (s *Status) Tell(f func(text string)) { s.told = f }

// Report returns the present state.
func (s *Status) Report() Report {
	s.mu.Lock()
	r, since, list := s.report, s.since, s.list
	s.mu.Unlock()
	// Sub uses the monotonic clock. Since is derived from it, by the wall clock of now.
	passed := s.now().Sub(since)
	r.Since, r.For = s.now().Add(-passed).Round(0).Truncate(time.Second), passed.Seconds()
	r.Sessions, r.Goroutines = list(), runtime.NumGoroutine()
	return r
}

// Changed returns a channel that receives a value when the agent was connected or
// disconnected. Several changes in a row may give one value.
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
		r.Connected, r.Broker, r.ClientID, r.Replaced, r.LastRefusal = true, b.URL.String(), id, "", ""
		r.Mount, r.DeviceID = b.MountPoint, b.DeviceID
	})
	s.told(fmt.Sprintf("connected to %s as client %d, mounted at %s", b.URL, id, b.MountPoint))
}

func (s *Status) disconnected() {
	s.update(func(r *Report) { r.Connected, r.Broker, r.ClientID, r.Replaced = false, "", 0, "" })
}

// replaced says what the broker calls instead of this device at its mount point; "": nothing
// any more.
func (s *Status) replaced(b Broker, by string) {
	s.update(func(r *Report) { r.Replaced = by })
	if by != "" {
		s.told(fmt.Sprintf("connected to %s, but not called: %s is mounted at %s too", b.URL, by, b.MountPoint))
		return
	}
	s.told(fmt.Sprintf("connected to %s, mounted at %s again", b.URL, b.MountPoint))
}

func (s *Status) failed(broker string, err error) {
	if err == nil {
		return
	}
	s.update(func(r *Report) {
		r.LastBroker, r.LastError = broker, err.Error()
		if errors.Is(err, client.ErrRefused) {
			r.LastRefusal = err.Error()
		}
	})
	s.told("not connected: " + err.Error())
}

func (s *Status) stopping() { s.update(func(r *Report) { r.Stopping = true }) }

const (
	// lag is how late the agent may show activity, on a machine under load.
	lag = 30 * time.Second
	// freeWait is how long a lock of the agent may be held, and freePause the time
	// between two attempts to take it.
	freeWait  = 2 * time.Second
	freePause = 10 * time.Millisecond
)

// within says that the loop which keeps the agent connected will show activity within d.
func (s *Status) within(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = s.now().Add(d)
}

// Healthy reports whether the agent works: the loop that keeps it connected has shown
// activity in time (while connected, that is an answer of the broker in the read loop), and
// its locks are free. An agent without a broker may be healthy. Healthy takes at most about
// two seconds.
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
