// Package lograte keeps a log from being filled by whoever can provoke a line in it:
// of each cause the first few lines pass, and then one a minute says how many there
// were. It writes nothing itself, and belongs to no section of the protocol.
package lograte

import (
	"sync"
	"time"
)

const (
	// few lines of a cause pass, until it was quiet for a window.
	few    = 5
	window = time.Minute
)

// Lines are the lines of all causes. All methods may be called concurrently.
type Lines struct {
	report func(cause string, times int, latest string)

	mu      sync.Mutex
	causes  map[string]*lines
	closed  bool
	telling sync.WaitGroup // reports under way
}

type lines struct {
	left   int       // that may pass
	until  time.Time // the end of the window
	held   int       // that did not pass in it
	latest string    // of them
	timer  *time.Timer
}

// New makes Lines. report is told, at the end of each minute in which lines did not
// pass, how many, and what the latest was about. No lock is held meanwhile; report must
// not call Close.
func New(report func(cause string, times int, latest string)) *Lines {
	return &Lines{report: report, causes: make(map[string]*lines)}
}

// Pass tells whether a line may be written; else it is counted. There is memory for
// each cause for ever, so that no cause is what a peer can choose; latest may be.
func (l *Lines) Pass(cause, latest string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	at := l.causes[cause]
	if at == nil || at.held == 0 && !now.Before(at.until) {
		at = &lines{left: few, until: now.Add(window)}
		l.causes[cause] = at
	}
	switch {
	case at.left > 0:
		at.left--
		return true
	case l.closed:
		return false
	case at.timer == nil:
		at.timer = time.AfterFunc(at.until.Sub(now), func() { l.tell(cause, at) })
	}
	at.held++
	at.latest = latest
	return false
}

// tell reports what did not pass, and begins the next window.
func (l *Lines) tell(cause string, at *lines) {
	times, latest := l.next(at)
	if times == 0 {
		return // Close was faster
	}
	defer l.telling.Done()
	l.report(cause, times, latest)
}

// next begins the next window, and returns what did not pass in the last one. Unless
// that is nothing, the caller reports it.
func (l *Lines) next(at *lines) (times int, latest string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.held == 0 {
		return 0, ""
	}
	l.telling.Add(1)
	times, latest = at.held, at.latest
	at.held, at.latest, at.timer, at.until = 0, "", nil, time.Now().Add(window)
	return times, latest
}

// Close reports what was not reported yet. Nothing is from then on.
func (l *Lines) Close() {
	for cause, at := range l.close() {
		l.report(cause, at.held, at.latest)
	}
	l.telling.Wait()
}

// close returns what is still to be reported.
func (l *Lines) close() map[string]lines {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	left := make(map[string]lines)
	for cause, at := range l.causes {
		if at.held > 0 {
			at.timer.Stop()
			left[cause] = *at
			at.held = 0
		}
	}
	return left
}
