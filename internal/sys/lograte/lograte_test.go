package lograte

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// few lines of a key pass in these tests.
const few = 5

// log is what was written, with the second of each line.
type log struct {
	began time.Time

	mu   sync.Mutex
	text []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, fmt.Sprintf("%v ", time.Since(l.began).Truncate(time.Second))+fmt.Sprintf(format, args...))
}

func (l *log) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = nil
}

func (l *log) wants(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.text, want) {
		t.Errorf("wrote\n%q, want\n%q", l.text, want)
	}
	l.text = nil
}

func bubble(t *testing.T, test func(l *Lines, written *log)) {
	synctest.Test(t, func(t *testing.T) {
		written := &log{began: time.Now()}
		l := New(Limits{Each: few}, func(s Summary) { written.add("%s %d times, %s", s.Cause, s.Times, s.Latest) })
		test(l, written)
		l.Close()
	})
}

// line provokes a line.
func (l *Lines) line(written *log, cause string, n int) {
	if latest := fmt.Sprint("no ", n); l.Pass(Line{Cause: cause, Latest: latest}) {
		written.add("%s %s", cause, latest)
	}
}

func TestFloodIsALineAMinute(t *testing.T) {
	bubble(t, func(l *Lines, written *log) {
		for n := range 1250 { // nine a second
			l.line(written, "guess", n)
			time.Sleep(110 * time.Millisecond)
		}
		written.wants(t, "0s guess no 0", "0s guess no 1", "0s guess no 2", "0s guess no 3", "0s guess no 4",
			"1m0s guess 541 times, no 545", "2m0s guess 545 times, no 1090")
		time.Sleep(time.Hour)
		written.wants(t, "3m0s guess 159 times, no 1249")
		l.line(written, "guess", 1)
		written.wants(t, "1h2m17s guess no 1") // it has been quiet
	})
}

func TestFewLinesPassAtOnce(t *testing.T) {
	bubble(t, func(l *Lines, written *log) {
		for n := range 3 {
			l.line(written, "guess", n)
			time.Sleep(time.Minute)
		}
		l.line(written, "other", 0)
		time.Sleep(time.Hour)
		written.wants(t, "0s guess no 0", "1m0s guess no 1", "2m0s guess no 2", "3m0s other no 0")
	})
}

// One who floods the log by one cause must not hide what others do.
func TestCausesDoNotHideEachOther(t *testing.T) {
	bubble(t, func(l *Lines, written *log) {
		for n := range 100 {
			l.line(written, "guess", n)
		}
		written.clear()
		l.line(written, "other", 0)
		written.wants(t, "0s other no 0")
	})
}

// Whoever passes must not wait for a log that is slow.
func TestReportHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := make(chan struct{})
		l := New(Limits{Each: few}, func(Summary) { <-stalled })
		for range few + 1 {
			l.Pass(Line{Cause: "guess"})
		}
		time.Sleep(window) // it is being reported
		synctest.Wait()
		if !l.Pass(Line{Cause: "other"}) {
			t.Error("the first line of a cause does not pass")
		}
		closed := make(chan struct{})
		go func() {
			l.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the report")
		default:
		}
		close(stalled)
		<-closed
	})
}

func TestCloseTellsTheRest(t *testing.T) {
	bubble(t, func(l *Lines, written *log) {
		for n := range 7 {
			l.line(written, "guess", n)
		}
		written.clear()
		l.Close()
		l.Close()
		l.line(written, "guess", 8)
		time.Sleep(time.Hour)
		written.wants(t, "0s guess 2 times, no 6")
	})
}

// summaries are those that were told, from the goroutines of timers.
type summaries struct {
	mu  sync.Mutex
	all []Summary
}

func (s *summaries) add(one Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

func (s *summaries) get() []Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// One broken device that retries for ever, or one that makes names up, hides nobody.
func TestOnePeerHidesNoOther(t *testing.T) {
	for name, user := range map[string]func(int) string{
		"one user": func(int) string { return "old" }, "made up": func(n int) string { return fmt.Sprint("user", n) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told summaries
				l := New(Limits{Each: few, Group: 20, All: 200}, told.add)
				flood := func(n int) bool {
					return l.Pass(Line{Cause: "refused", Key: Key{Peer: "far", User: user(n)}, Latest: "old", Error: "no"})
				}
				passed := 0
				for n := range 6000 {
					if flood(n) {
						passed++
					}
					time.Sleep(15 * time.Millisecond)
				}
				if passed > 40 { // two windows
					t.Errorf("%d lines passed", passed)
				}
				mistyped := Line{Cause: "refused", Key: Key{Peer: "near", User: "ann"}, Latest: "ann", Error: "wrong password"}
				for range few {
					if !l.Pass(mistyped) {
						t.Fatal("another peer's line does not pass")
					}
				}
				l.Pass(mistyped)
				time.Sleep(window)
				synctest.Wait()
				all := told.get()
				if len(all) != 2 || all[1].Peers != 2 || all[1].Users < 2 || all[1].Error == "" || all[1].Latest == "" {
					t.Errorf("told %+v", all)
				}
				l.Close()
			})
		})
	}
}

// Many peers may be one attacker: all of them together write a bounded number of lines,
// and are remembered in bounded memory.
func TestManyPeersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told summaries
		l := New(Limits{Each: few, Group: 20, All: 200}, told.add)
		passed := 0
		for n := range 5 * maxKeys {
			key := Key{Peer: fmt.Sprint("peer", n), User: fmt.Sprint("user", n)}
			if l.Pass(Line{Cause: "refused", Key: key}) {
				passed++
			}
		}
		if passed != 200 {
			t.Errorf("%d passed", passed)
		}
		l.mu.Lock()
		n := len(l.causes["refused"].keys)
		l.mu.Unlock()
		if n > maxKeys+1 {
			t.Errorf("%d keys are remembered", n)
		}
		time.Sleep(window)
		synctest.Wait()
		all := told.get()
		if len(all) != 1 || all[0].Peers != MaxCounted || all[0].Users != MaxCounted || all[0].Times != 5*maxKeys-200 {
			t.Errorf("told %+v", all)
		}
		if !l.Pass(Line{Cause: "refused", Key: Key{Peer: "one more"}}) {
			t.Error("nothing passes in the next minute")
		}
		l.Close()
	})
}

func TestGroupsAreThoseOfUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Limits{Group: 3, ByUser: true}, func(Summary) {})
		passed := map[string]int{}
		for n := range 10 {
			for _, user := range []string{"ann", "bob"} {
				if l.Pass(Line{Cause: "in", Key: Key{Peer: fmt.Sprint(n), User: user}}) {
					passed[user]++
				}
			}
		}
		if passed["ann"] != 3 || passed["bob"] != 3 {
			t.Error(passed)
		}
		l.Close()
	})
}
