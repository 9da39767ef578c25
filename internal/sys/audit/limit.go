package audit

import (
	"sync"
	"time"
)

const (
	// window is the time in which records and lines are counted.
	window = time.Minute
	// maxKeys bounds what is counted apart; the rest is counted together.
	maxKeys = 1000
)

// others is the user of a record that stands for several users.
const others = "(several)"

// key is what is limited together.
type key struct {
	event        Event
	user, source string
}

// limiter lets a few records of each key pass in a minute, and reports at its end how many
// others there were. All methods may be called concurrently.
type limiter struct {
	few    int
	report func(latest Record, count int)

	mu   sync.Mutex
	seen map[key]*counted
}

// counted is the current minute of a key.
type counted struct {
	until  time.Time
	passed int
	held   int
	latest Record // of those that were held
	timer  *time.Timer
}

func newLimiter(few int, report func(latest Record, count int)) *limiter {
	return &limiter{few: few, report: report, seen: make(map[key]*counted)}
}

// pass reports whether a record may be written; otherwise it is counted.
func (l *limiter) pass(k key, r Record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	at := l.seen[k]
	if at == nil && len(l.seen) >= maxKeys {
		for old, c := range l.seen {
			if c.held == 0 && !now.Before(c.until) {
				delete(l.seen, old)
			}
		}
		if len(l.seen) >= maxKeys {
			k = key{event: k.event} // of all others
			r.User, r.Peer, r.Source = others, "", ""
			at = l.seen[k]
		}
	}
	if at == nil || at.held == 0 && !now.Before(at.until) {
		at = &counted{until: now.Add(window)}
		l.seen[k] = at
	}
	if at.passed < l.few && at.held == 0 {
		at.passed++
		return true
	}
	if at.timer == nil {
		at.timer = time.AfterFunc(at.until.Sub(now), func() { l.tell(k, at) })
	}
	at.held++
	at.latest = r
	return false
}

// tell reports what was held of a key, and begins its next minute.
func (l *limiter) tell(k key, at *counted) {
	l.mu.Lock()
	count, latest := at.held, at.latest
	if l.seen[k] == at {
		delete(l.seen, k)
	}
	at.held = 0
	l.mu.Unlock()
	if count > 0 {
		l.report(latest, count)
	}
}

// flush reports everything that was held.
func (l *limiter) flush() {
	l.mu.Lock()
	seen := l.seen
	l.seen = make(map[key]*counted)
	l.mu.Unlock()
	for k, at := range seen {
		if at.timer != nil {
			at.timer.Stop()
		}
		l.tell(k, at)
	}
}
