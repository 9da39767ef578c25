package lograte

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
		l := New(func(cause string, times int, latest string) { written.add("%s %d times, %s", cause, times, latest) })
		test(l, written)
		l.Close()
	})
}

// line provokes a line.
func (l *Lines) line(written *log, cause string, n int) {
	if latest := fmt.Sprint("no ", n); l.Pass(cause, latest) {
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
		l := New(func(string, int, string) { <-stalled })
		for range few + 1 {
			l.Pass("guess", "")
		}
		time.Sleep(window) // it is being reported
		synctest.Wait()
		if !l.Pass("other", "") {
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
