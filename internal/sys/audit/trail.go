package audit

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/sys/visible"
)

const (
	// late is after what time a record that is not written counts as one that cannot be.
	late = time.Second
	// maxWaiting bounds the records that wait to be written, in bytes.
	maxWaiting = 16 << 20
	// overhead is what a record that waits takes beside its texts, about, in bytes.
	overhead = 512
	// fewRefusals of one user and source are recorded one by one in a minute, and as many
	// lines about the sessions of a user are logged.
	fewRefusals = 10
	fewLines    = 60
)

// Settings say where records go. The zero value keeps none.
type Settings struct {
	File    string // "": none
	Syslog  bool
	Fsync   bool // each record is on the disk before the next one is written
	Refuse  bool // a session whose start cannot be recorded must not begin
	Command CommandForm
}

// On reports whether records are kept anywhere.
func (s Settings) On() bool { return s.File != "" || s.Syslog }

// Options of a Trail.
type Options struct {
	Settings
	Program string // its name
	Log     zerolog.Logger

	syslog string // socket, for tests
}

// Trail takes records and writes them in the background. All methods may be called
// concurrently, and with locks held: only Begin, Open and Close wait. A nil Trail takes
// nothing.
type Trail struct {
	opts     Options
	targets  []target
	refusals *limiter
	lines    *limiter // by user, of the log

	mu      sync.Mutex
	waiting []item
	size    int           // of waiting, in bytes
	dropped uint64        // records that found no space, not reported yet
	total   uint64        // records that were lost, ever
	again   bool          // the targets are to be opened again
	writing chan struct{} // closed when the goroutine that writes has ended; nil: there is none
	stuck   bool          // what is being written takes longer than late
	writes  uint64        // that have begun or ended
	closed  bool

	// Of the goroutine that writes.
	lost    uint64 // records that could not be written, not reported yet
	failing bool
}

// item is a record that waits.
type item struct {
	record Record
	at     time.Time
	start  *start // of a session that waits for its record; nil: none waits
}

// start is a session that must not begin before its record is written.
type start struct {
	done chan error // capacity 1
	mu   sync.Mutex
	over bool // nobody waits any more
}

// Open makes a Trail. Where nothing can be written now, it is an error if sessions are
// refused for that, and otherwise logged: it is tried again with each record.
func Open(o Options) (*Trail, error) {
	o.Command = cmp.Or(o.Command, WholeCommand)
	t := &Trail{opts: o}
	t.refusals = newLimiter(fewRefusals, func(latest Record, count int) {
		latest.Count = count
		t.put(item{record: latest, at: time.Now()})
	})
	t.lines = newLimiter(fewLines, func(latest Record, count int) {
		o.Log.Info().Str("user", latest.User).Int("times", count).Msg(lineOf(latest.Event) + ", again and again")
	})
	if o.File != "" {
		name, err := filepath.Abs(o.File)
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		f := &file{name: name}
		if err := f.reopen(); err != nil {
			if o.Refuse {
				return nil, fmt.Errorf("audit: the records cannot be written: %w", err)
			}
			o.Log.Error().Err(err).Msg("audit: write failed")
			t.failing = true
		}
		t.targets = append(t.targets, f)
	}
	if o.Syslog {
		s := &sysLog{program: o.Program}
		if o.syslog != "" {
			s.network, s.address = "unixgram", o.syslog
		}
		t.targets = append(t.targets, s)
	}
	return t, nil
}

// Shorten shortens the command of a record that somebody keeps until it is written.
func (t *Trail) Shorten(r *Record) {
	if t != nil && !r.Short {
		r.Command, r.Short = t.opts.Command.of(r.Command), true
	}
}

// Write takes a record. It does not wait; a record that finds no space is lost and
// counted.
func (t *Trail) Write(r Record) {
	if t == nil || len(t.targets) == 0 && !r.Event.isSession() {
		return
	}
	if r.Event.isRefusal() && !t.refusals.pass(key{r.Event, cmp.Or(r.By, r.User), cmp.Or(r.Source, r.Peer)}, r) {
		return
	}
	t.put(item{record: r, at: time.Now()})
}

// Begin takes the record of a session that begins. An error says that the session must not
// begin, since the record is not written and the configuration requires it. It waits until
// the record is on the disk, for a second at most; without that requirement it does not
// wait.
func (t *Trail) Begin(r Record) error {
	if t == nil || !t.opts.Refuse || len(t.targets) == 0 {
		t.Write(r)
		return nil
	}
	s := &start{done: make(chan error, 1)}
	if !t.put(item{record: r, at: time.Now(), start: s}) {
		return refusal(errLate)
	}
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case err := <-s.done:
		return refusal(err)
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case err := <-s.done:
		return refusal(err)
	default:
	}
	s.over = true
	return refusal(errLate)
}

var errLate = errors.New("it is not written in time")

func refusal(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("refused: this session cannot be recorded, and has to be (audit.unwritable): %w", err)
}

// Reopen opens the files again, which logrotate has moved away, before the next record.
func (t *Trail) Reopen() {
	if t == nil || len(t.targets) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again = true
	t.wakeLocked()
}

// Lost returns how many records were lost.
func (t *Trail) Lost() uint64 {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Close writes what was taken, and closes the targets. It waits for that a second at most.
func (t *Trail) Close() {
	if t == nil {
		return
	}
	t.refusals.flush()
	t.lines.flush()
	t.mu.Lock()
	t.closed = true
	writing := t.writing
	t.mu.Unlock()
	if writing != nil {
		timer := time.NewTimer(late)
		defer timer.Stop()
		select {
		case <-writing:
		case <-timer.C:
			t.opts.Log.Error().Msg("audit: end not written")
			return
		}
	}
	for _, each := range t.targets {
		each.close()
	}
}

// put queues a record; false: it found no space, or nothing can be written at the moment
// and somebody would wait for it.
func (t *Trail) put(i item) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := i.record.size()
	if t.closed || i.start != nil && t.stuck || len(t.waiting) > 0 && t.size+size > maxWaiting {
		t.dropped++
		t.total++
		return false
	}
	t.waiting = append(t.waiting, i)
	t.size += size
	t.wakeLocked()
	return true
}

func (t *Trail) wakeLocked() {
	if t.writing == nil && !t.closed {
		t.writing = make(chan struct{})
		go t.drain(t.writing)
	}
}

// size is what a record takes while it waits.
func (r *Record) size() int {
	return overhead + len(r.User) + len(r.Peer) + len(r.Path) + len(r.Device) + len(r.Method) + len(r.Command) +
		len(r.Rule) + len(r.Cause) + len(r.Entry) + len(r.Change)
}

// drain writes until nothing waits.
func (t *Trail) drain(ended chan<- struct{}) {
	defer close(ended)
	for {
		t.mu.Lock()
		items, dropped, again := t.waiting, t.dropped, t.again
		if len(items) == 0 && !again && dropped == 0 {
			t.writing = nil
			t.mu.Unlock()
			return
		}
		t.waiting, t.size, t.dropped, t.again = nil, 0, 0, false
		t.mu.Unlock()
		t.lost += dropped
		if again {
			t.openAgain()
		}
		t.writeAll(items)
	}
}

func (t *Trail) openAgain() {
	var faults []error
	for _, each := range t.targets {
		faults = append(faults, each.reopen())
	}
	if err := errors.Join(faults...); err != nil {
		t.opts.Log.Error().Err(err).Msg("audit: file not opened again; the old one stays in use")
	}
}

// most is up to how many records are written at once.
const most = 64

func (t *Trail) writeAll(items []item) {
	for len(items) > 0 {
		n := min(len(items), most)
		t.writeSome(items[:n])
		items = items[n:]
	}
	if t.lost > 0 && len(t.targets) > 0 && !t.failing {
		t.writeSome(nil) // tells that some found no space
	}
}

// writeSome writes records, after one about those before that are lost.
func (t *Trail) writeSome(items []item) {
	var lines [][]byte
	var written []item
	if t.lost > 0 && len(t.targets) > 0 {
		lines = append(lines, t.line(item{at: time.Now(), record: Record{Event: RecordsLost, Count: int(t.lost)}}))
	}
	report := len(lines)
	urgent := t.opts.Fsync
	for _, i := range items {
		if !i.begins() {
			continue // nobody waits for it any more: the session was refused
		}
		urgent = urgent || i.start != nil
		lines, written = append(lines, t.line(i)), append(written, i)
	}
	if len(t.targets) > 0 && len(lines) > 0 {
		n, err := t.toTargets(lines, urgent)
		if report == 1 && n > 0 {
			t.lost = 0
		}
		for k, i := range written {
			fault := err
			if report+k < n {
				fault = nil
			}
			if fault != nil {
				t.lost++
				t.mu.Lock()
				t.total++
				t.mu.Unlock()
			}
			i.settle(t, fault)
		}
		t.tell(err)
	}
	for _, i := range written {
		t.log(i.record)
	}
}

// begins reports whether a record is still wanted.
func (i item) begins() bool {
	if i.start == nil {
		return true
	}
	i.start.mu.Lock()
	defer i.start.mu.Unlock()
	return !i.start.over
}

// settle tells a session that waits whether its record is written. If nobody waits any
// more, the session was refused, and its end follows.
func (i item) settle(t *Trail, fault error) {
	if i.start == nil {
		return
	}
	i.start.mu.Lock()
	over := i.start.over
	if !over {
		i.start.done <- fault
	}
	i.start.mu.Unlock()
	if over && fault == nil {
		end := i.record
		end.Event, end.Cause, end.End = SessionEnd, "refused: the record of its start was not written in time", &End{}
		t.Write(end)
	}
}

// toTargets writes lines to all targets. n is how many all of them have.
func (t *Trail) toTargets(lines [][]byte, urgent bool) (n int, err error) {
	t.mu.Lock()
	t.writes++
	this := t.writes
	t.mu.Unlock()
	watch := time.AfterFunc(late, func() {
		t.mu.Lock()
		t.stuck = t.writes == this
		stuck := t.stuck
		t.mu.Unlock()
		if stuck {
			t.opts.Log.Error().Err(errLate).Msg("audit: write failed")
		}
	})
	defer watch.Stop()
	n = len(lines)
	for _, each := range t.targets {
		done, fault := each.write(lines)
		if fault == nil && urgent {
			if fault = each.sync(); fault != nil {
				done = 0
			}
		}
		if n = min(n, done); fault != nil && err == nil {
			err = fault
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes++
	t.failing = t.failing || t.stuck // which was logged
	t.stuck = false
	return n, err
}

// tell logs where writing begins to fail, and where it goes on.
func (t *Trail) tell(err error) {
	switch {
	case err != nil && !t.failing:
		t.failing = true
		t.opts.Log.Error().Err(err).Msg("audit: write failed")
	case err == nil && t.failing:
		t.failing = false
		t.opts.Log.Warn().Uint64("lost", t.Lost()).Msg("audit: writing again")
	}
}

func (t *Trail) line(i item) []byte {
	r, cut := i.record.bounded(t.opts.Command)
	return appendLine(nil, t.opts.Program, i.at, r, cut)
}

// lineOf is the message of the log about a session.
func lineOf(e Event) string {
	if e == SessionStart {
		return "session begun"
	}
	return "session ended"
}

// log writes the line of the log about a session that begins or ends.
func (t *Trail) log(r Record) {
	by := cmp.Or(r.By, r.User)
	if !r.Event.isSession() || !t.lines.pass(key{event: r.Event, user: by}, Record{Event: r.Event, User: by}) {
		return
	}
	r, _ = r.bounded(t.opts.Command)
	e := t.opts.Log.Info()
	for _, field := range []struct{ name, text string }{
		{"session", r.Session}, {"user", r.User}, {"peer", r.Peer}, {"path", r.Path},
		{"device", r.Device}, {"method", r.Method}, {"use", r.Use}, {"command", r.Command},
		{"rule", r.Rule}, {"runAs", r.RunAs}, {"cause", r.Cause},
	} {
		if field.text != "" {
			e = e.Str(field.name, string(visible.AppendJSON(nil, []byte(field.text))))
		}
	}
	if end := r.End; end != nil {
		if end.Exit != nil {
			e = e.Int("exit", *end.Exit)
		}
		if end.Signal != "" {
			e = e.Str("signal", end.Signal)
		}
		e = e.Int64("bytesIn", end.BytesIn).Int64("bytesOut", end.BytesOut).
			Float64("seconds", float64(end.Took.Round(time.Millisecond))/float64(time.Second))
	}
	e.Msg(lineOf(r.Event))
}
