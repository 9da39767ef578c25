// Package lograte keeps a log from being filled by whoever can provoke a line in it. Of
// each cause, peer and user the first few lines pass, and then one a minute for each cause
// says how many there were, of how many peers and users. So whoever provokes many lines
// hides no others. It writes nothing itself, and belongs to no section of the protocol.
package lograte

import (
	"sync"
	"time"
)

const (
	// window is how long a key must be quiet until its lines pass again, and the time
	// between two reports of a cause.
	window = time.Minute
	// maxKeys bounds what is remembered of one cause. All further keys share one.
	maxKeys = 4096
	// MaxCounted is up to which number peers and users are told apart in a Summary.
	MaxCounted = 1000
)

// Limits are how many lines pass in a minute. 0 means no limit; without All, memory grows with
// the number of groups in a minute.
type Limits struct {
	Each  int // of one cause, peer, user and place; the first ones, until it was quiet for a minute
	Group int // of one cause and peer
	All   int // of one cause
	// ByUser makes the users the groups, not the peers.
	ByUser bool
}

// Line is what a line is about.
type Line struct {
	Cause string // what happened; not what a peer can choose, since causes are never forgotten
	Key
	Latest string // names the line in the Summary
	Error  string // what the line says of why; "": nothing
}

// Key is who provokes lines. Peers may choose it, within a bounded length.
type Key struct{ Peer, User, Place string }

// Summary is what did not pass of one cause in a minute.
type Summary struct {
	Cause        string
	Times        int
	Peers, Users int // that it was about, at most MaxCounted
	Latest       string
	Error        string // of the latest line
}

// Lines are the lines of all causes. All methods may be called concurrently.
type Lines struct {
	limits Limits
	report func(Summary)

	mu      sync.Mutex
	causes  map[string]*cause
	closed  bool
	telling sync.WaitGroup // reports under way
}

// cause is what is known of one cause.
type cause struct {
	keys map[Key]*entry

	// Of the window.
	until  time.Time
	passed int
	groups map[string]int // lines that passed

	// Of the lines that did not pass in it.
	held         Summary
	peers, users map[string]struct{}
	timer        *time.Timer
}

// entry is one key of a cause.
type entry struct {
	left  int // lines that may pass
	until time.Time
	held  bool // a line did not pass in this window
}

// New makes Lines. report is called at the end of each minute in which lines did not pass.
// No lock is held meanwhile; report must not call Close.
func New(l Limits, report func(Summary)) *Lines {
	return &Lines{limits: l, report: report, causes: make(map[string]*cause)}
}

// Pass tells whether a line may be written; otherwise it is counted.
func (l *Lines) Pass(line Line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	c := l.causes[line.Cause]
	if c == nil {
		c = &cause{keys: make(map[Key]*entry)}
		l.causes[line.Cause] = c
	}
	if c.held.Times == 0 && !now.Before(c.until) {
		c.begin(now)
	}
	if l.passes(c, line, now) {
		return true
	}
	if l.closed {
		return false
	}
	c.hold(line)
	if c.timer == nil {
		c.timer = time.AfterFunc(c.until.Sub(now), func() { l.tell(c) })
	}
	return false
}

// passes counts a line that may be written. A key is only remembered once a line of it may
// have been, so that a peer fills neither the log nor the memory.
func (l *Lines) passes(c *cause, line Line, now time.Time) bool {
	group := line.Peer
	if l.limits.ByUser {
		group = line.User
	}
	if !within(c.passed, l.limits.All) || !within(c.groups[group], l.limits.Group) {
		if e := c.keys[line.Key]; e != nil {
			e.held = true
		}
		return false
	}
	e := c.entry(line.Key, l.limits.Each, now)
	if e.left <= 0 && l.limits.Each > 0 {
		e.held = true
		return false
	}
	e.left--
	c.passed++
	c.groups[group]++
	return true
}

func within(n, limit int) bool { return limit == 0 || n < limit }

// begin begins a window.
func (c *cause) begin(now time.Time) {
	c.until, c.passed, c.groups = now.Add(window), 0, make(map[string]int)
	c.forget(now)
}

// forget drops the keys that have been quiet.
func (c *cause) forget(now time.Time) {
	for k, e := range c.keys {
		if e.quiet(now) {
			delete(c.keys, k)
		}
	}
}

// quiet reports whether all lines of a key passed, or there were none for a window.
func (e *entry) quiet(now time.Time) bool {
	return !now.Before(e.until) && !e.held || !now.Before(e.until.Add(window))
}

// entry returns that of a key.
func (c *cause) entry(k Key, each int, now time.Time) *entry {
	e := c.keys[k]
	if e == nil && len(c.keys) >= maxKeys {
		if c.forget(now); len(c.keys) >= maxKeys {
			k = Key{}
			e = c.keys[k]
		}
	}
	switch {
	case e == nil || e.quiet(now):
		e = &entry{left: each, until: now.Add(window)}
		c.keys[k] = e
	case !now.Before(e.until):
		e.until, e.held = now.Add(window), false // none passes until it is quiet
	}
	return e
}

// hold counts a line that does not pass.
func (c *cause) hold(line Line) {
	if c.held.Times == 0 {
		c.peers, c.users = make(map[string]struct{}), make(map[string]struct{})
	}
	c.held.Times++
	c.held.Cause, c.held.Latest, c.held.Error = line.Cause, line.Latest, line.Error
	c.held.Peers, c.held.Users = count(c.peers, line.Peer), count(c.users, line.User)
}

// count adds a name to those that are counted, and returns how many there are.
func count(names map[string]struct{}, name string) int {
	if name != "" && len(names) < MaxCounted {
		names[name] = struct{}{}
	}
	return len(names)
}

// tell reports what did not pass, and begins the next window.
func (l *Lines) tell(c *cause) {
	s := l.next(c)
	if s.Times == 0 {
		return // Close was faster
	}
	defer l.telling.Done()
	l.report(s)
}

// next begins the next window, and returns what did not pass in the last one. Unless
// that is nothing, the caller reports it.
func (l *Lines) next(c *cause) Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.held.Times == 0 {
		return Summary{}
	}
	l.telling.Add(1)
	s := c.held
	c.held, c.peers, c.users, c.timer = Summary{}, nil, nil, nil
	c.begin(time.Now())
	return s
}

// Close reports what was not reported yet. Nothing is from then on.
func (l *Lines) Close() {
	for _, s := range l.close() {
		l.report(s)
	}
	l.telling.Wait()
}

// close returns what is still to be reported.
func (l *Lines) close() (left []Summary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.causes {
		if c.held.Times > 0 {
			c.timer.Stop()
			left = append(left, c.held)
			c.held = Summary{}
		}
	}
	return left
}
