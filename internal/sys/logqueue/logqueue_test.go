package logqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/sys/logqueue"
)

// reader is the other end: it stalls or fails as a test likes.
type reader struct {
	mu      sync.Mutex
	stalled chan struct{} // nil: it reads
	err     error
	short   int // bytes that it takes before err
	text    bytes.Buffer
	writes  []int
}

func (r *reader) Write(b []byte) (int, error) {
	r.mu.Lock()
	stalled := r.stalled
	r.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		n := min(r.short, len(b))
		r.text.Write(b[:n])
		return n, r.err
	}
	r.writes = append(r.writes, len(b))
	return r.text.Write(b)
}

func (r *reader) stall() { r.stalled = make(chan struct{}) }

func (r *reader) goOn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.stalled)
	r.stalled = nil
}

func (r *reader) fail(err error, short int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.short = err, short
}

// read returns what came since the last call.
func (r *reader) read() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return r.text.String()
}

func lost(n uint64) []byte { return fmt.Appendf(nil, "(%d lost)\n", n) }

func say(q *logqueue.Queue, format string, args ...any) {
	_, _ = fmt.Fprintf(q, format+"\n", args...)
}

func bubble(t *testing.T, limit int, test func(q *logqueue.Queue, r *reader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := new(reader)
		test(logqueue.New(r, limit, lost), r)
	})
}

func wants(t *testing.T, r *reader, want string) {
	t.Helper()
	if got := r.read(); got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

func TestLinesKeepTheirOrder(t *testing.T) {
	bubble(t, 1<<20, func(q *logqueue.Queue, r *reader) {
		var want strings.Builder
		for i := range 2000 {
			say(q, "line %d", i)
			fmt.Fprintf(&want, "line %d\n", i)
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		wants(t, r, want.String())
		for _, n := range r.writes {
			if n > 4096 {
				t.Errorf("%d bytes at once are mixed with those of others on a pipe", n)
			}
		}
	})
}

// What is missing is told where it is missing, once the reader goes on.
func TestStalledReaderCostsLinesThatAreCounted(t *testing.T) {
	bubble(t, 30, func(q *logqueue.Queue, r *reader) {
		r.stall()
		say(q, "first") // this one is being written
		synctest.Wait()
		for i := range 10 {
			say(q, "line %d", i) // 7 bytes
		}
		say(q, "x") // for which there was room
		if got := q.Lost(); got != 7 {
			t.Errorf("%d lines are lost, want 7", got)
		}
		r.goOn()
		wants(t, r, "first\nline 0\nline 1\nline 2\nline 3\n(7 lost)\n")
		say(q, "again")
		wants(t, r, "again\n")
	})
}

func TestLineLongerThanTheQueuePassesAlone(t *testing.T) {
	bubble(t, 10, func(q *logqueue.Queue, r *reader) {
		long := strings.Repeat("x", 100)
		say(q, long)
		wants(t, r, long+"\n")
		r.stall()
		say(q, "a")
		synctest.Wait()
		say(q, "b")
		say(q, long)
		r.goOn()
		wants(t, r, "a\nb\n(1 lost)\n")
	})
}

func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	bubble(t, 1<<20, func(q *logqueue.Queue, r *reader) {
		full := errors.New("no space left on device")
		r.fail(full, 0)
		for i := range 3 {
			say(q, "line %d", i)
			wants(t, r, "")
		}
		r.fail(nil, 0)
		say(q, "again")
		wants(t, r, "(3 lost)\nagain\n")

		// Of a write that was cut short, the lines that are whole are not lost.
		r.stall()
		say(q, "held up")
		synctest.Wait()
		for i := range 3 {
			say(q, "line %d", i)
		}
		r.goOn()
		synctest.Wait()
		r.read()
		r.stall()
		say(q, "held up")
		synctest.Wait()
		for i := range 3 {
			say(q, "line %d", i)
		}
		r.fail(full, 10)
		r.goOn()
		synctest.Wait()
		if got := q.Lost(); got != 5 { // three before, two now
			t.Errorf("%d lines are lost, want 5", got)
		}
	})
}

func TestFlushWaitsForAReaderForATime(t *testing.T) {
	bubble(t, 1<<20, func(q *logqueue.Queue, r *reader) {
		if !q.Flush(0) {
			t.Error("an empty queue was not flushed")
		}
		say(q, "one")
		if !q.Flush(time.Second) {
			t.Error("the queue was not flushed")
		}
		wants(t, r, "one\n")
		r.stall()
		say(q, "two")
		before := time.Now()
		if q.Flush(time.Second) || time.Since(before) != time.Second {
			t.Errorf("flushed, or after %v", time.Since(before))
		}
		r.goOn()
		if !q.Flush(time.Second) {
			t.Error("the queue was not flushed")
		}
		wants(t, r, "two\n")
	})
}

// Writers that come at the same time as the end of a drain must not be forgotten.
func TestConcurrentWriters(t *testing.T) {
	r := new(reader)
	q := logqueue.New(r, 1<<20, lost)
	const writers, lines = 8, 500
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range lines {
				say(q, "%d %d", w, i)
			}
		})
	}
	writing.Wait()
	if !q.Flush(time.Minute) {
		t.Fatal("not flushed")
	}
	next := make([]int, writers)
	for line := range strings.Lines(r.text.String()) {
		var w, i int
		if n, _ := fmt.Sscanf(line, "%d %d", &w, &i); n != 2 || i != next[w] {
			t.Fatalf("line %q, want number %d of that writer", line, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != lines {
			t.Errorf("writer %d: %d lines, want %d", w, n, lines)
		}
	}
}

func TestQueueIsCheap(t *testing.T) {
	q := logqueue.New(new(discard), 1<<20, lost)
	line := []byte("2026-11-30T22:26:54.000Z INF connected broker=tcp://127.0.0.1:3755\n")
	_, _ = q.Write(line)
	allocs := testing.AllocsPerRun(1000, func() { _, _ = q.Write(line) })
	if allocs > 4 {
		t.Errorf("%v allocations a line", allocs)
	}
	q.Flush(time.Minute)
}

type discard struct{}

func (*discard) Write(b []byte) (int, error) { return len(b), nil }
