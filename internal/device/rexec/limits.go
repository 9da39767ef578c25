package rexec

import (
	"fmt"
	"time"

	"shvtools/internal/session/tunnel"
)

// warning is how long before a limit the user is told.
const warning = time.Minute

// limits watches the time limits of a session and warns the user before they are reached.
// Without limits it never wakes up.
type limits struct {
	rule        string
	idle, total time.Duration        // 0: no limit
	activity    func() int64         // count that grows with each byte in either direction
	show        func(string)         // shows a text to the user
	elapsed     func() time.Duration // since the session began, by the monotonic clock

	seen       int64         // activity at the last look
	quietSince time.Duration // elapsed when seen last changed
	warnedIdle bool
	warned     bool
}

// look returns why the session must end now, or after which time to look again; 0: never.
func (l *limits) look() (again time.Duration, end error) {
	now := l.elapsed()
	if l.total > 0 {
		left := l.total - now
		if left <= 0 {
			return 0, fmt.Errorf("time limit: %s allows %v", l.rule, l.total)
		}
		if again = left; !l.warned && l.total > warning {
			if again = left - warning; again <= 0 {
				l.warned, again = true, left
				l.tell(fmt.Sprintf("this session ends in %v: %s allows %v", left.Round(time.Second), l.rule, l.total))
			}
		}
	}
	if l.idle == 0 {
		return again, nil
	}
	if n := l.activity(); n != l.seen {
		l.seen, l.quietSince, l.warnedIdle = n, now, false
	}
	quiet := now - l.quietSince
	if quiet >= l.idle {
		return 0, fmt.Errorf("idle limit: %s allows %v without traffic", l.rule, l.idle)
	}
	if !l.warnedIdle && l.idle > warning && quiet >= l.idle-warning {
		l.warnedIdle = true
		l.tell(fmt.Sprintf("this session is idle and ends in %v: %s", (l.idle - quiet).Round(time.Second), l.rule))
	}
	step := max(l.idle/idleSteps, time.Millisecond)
	if again == 0 || step < again {
		again = step
	}
	return again, nil
}

// tell shows the user a text, which does not count as activity.
func (l *limits) tell(text string) {
	quiet := l.activity() == l.seen
	l.show(text)
	if quiet {
		l.seen = l.activity()
	}
}

// idleSteps is how often a session is looked at within its idle limit.
const idleSteps = 20

// limited watches the limits until the session ends. The channel receives the reason to
// end the session.
func (s *session) limited() <-chan error {
	began := time.Now()
	grant := &s.line.Policy
	l := &limits{
		rule: grant.Rule, idle: grant.Idle, total: grant.Total,
		activity: func() int64 {
			return s.end.Received(tunnel.Stdin) + s.end.Sent(tunnel.Stdout) + s.end.Sent(tunnel.Stderr)
		},
		show:    s.show,
		elapsed: func() time.Duration { return time.Since(began) },
	}
	ended := make(chan error, 1)
	for _, text := range s.missing {
		s.show(text)
	}
	go func() {
		var timer <-chan time.Time
		for {
			again, err := l.look()
			if err != nil {
				ended <- err
				return
			}
			if timer = nil; again > 0 {
				timer = time.After(again)
			}
			select {
			case <-timer:
			case text := <-s.notices:
				l.tell(text)
			case <-s.end.Closed():
				return
			}
		}
	}()
	return ended
}

// show inserts a text for the user into the output of the program.
func (s *session) show(text string) {
	if s.spec.Pty != nil {
		s.end.Insert(tunnel.Stdout, "\r\n*** "+text+" ***\r\n")
		return
	}
	s.end.Insert(tunnel.Stderr, "shvagent: "+text+"\n")
}
