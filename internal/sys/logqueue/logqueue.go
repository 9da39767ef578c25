// Package logqueue writes lines in the background, so that a reader that stalls holds
// up nobody who has something to say. Its memory is bounded: lines that find no room
// are lost, counted, and reported once writing goes on.
//
// It stands in for zerolog's diode, which bounds the number of lines instead of their
// bytes, drops the oldest lines without telling where they are missing, and whose
// Close waits for a stalled reader.
package logqueue

import (
	"io"
	"sync"
	"time"
)

const (
	// chunk is up to how many bytes of whole lines are written at once. Pipes keep that
	// much together (PIPE_BUF), so that lines of several processes are not mixed.
	chunk = 4096
	// kept is the size of the largest buffer that an idle queue keeps.
	kept = 64 << 10
)

// Queue is a writer that never blocks. It may be used concurrently.
type Queue struct {
	w     io.Writer
	limit int

	mu      sync.Mutex
	report  func(lost uint64) []byte
	waiting batch
	dropped uint64        // lines since waiting was full
	total   uint64        // lines that were lost, ever
	writing chan struct{} // closed when the goroutine that writes has ended; nil: there is none

	lost  uint64 // not yet reported; of the goroutine that writes
	spare batch  // likewise
}

// batch is a number of lines.
type batch struct {
	text []byte
	ends []int
}

// New makes a queue of at most limit bytes towards w; a longer line has to find it
// empty. report returns the line that says how many are missing at its place. It is
// called by a goroutine of the queue, one at a time.
func New(w io.Writer, limit int, report func(lost uint64) []byte) *Queue {
	return &Queue{w: w, limit: limit, report: report}
}

// Report replaces the function that was given to New.
func (q *Queue) Report(report func(lost uint64) []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.report = report
}

// Write queues a copy of line, or counts it as lost. It reports no error.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	// A shorter line must not come before the report of those that are missing.
	full := len(q.waiting.text) > 0 && len(q.waiting.text)+len(line) > q.limit
	if q.dropped > 0 || full {
		q.dropped++
		q.total++
		return len(line), nil
	}
	q.waiting.text = append(q.waiting.text, line...)
	q.waiting.ends = append(q.waiting.ends, len(q.waiting.text))
	if q.writing == nil {
		q.writing = make(chan struct{})
		go q.drain(q.writing)
	}
	return len(line), nil
}

// Flush waits until all lines are written, or for limit. It reports whether they are.
func (q *Queue) Flush(limit time.Duration) bool {
	q.mu.Lock()
	writing := q.writing
	q.mu.Unlock()
	if writing == nil {
		return true
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-writing:
		return true
	case <-timer.C:
		return false
	}
}

// Lost returns how many lines were lost since the queue was made.
func (q *Queue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// drain writes until nothing waits.
func (q *Queue) drain(ended chan<- struct{}) {
	defer close(ended)
	for {
		lines, dropped := q.take()
		if len(lines.ends) == 0 && dropped == 0 {
			return
		}
		q.write(lines)
		q.lost += dropped
		q.tell()
		if cap(lines.text) <= kept {
			q.spare = batch{lines.text[:0], lines.ends[:0]}
		}
	}
}

// take returns what waits. Where nothing does, the caller is no longer the one who
// writes.
func (q *Queue) take() (lines batch, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, dropped = q.waiting, q.dropped
	if len(lines.ends) == 0 && dropped == 0 {
		q.writing = nil
		return lines, dropped
	}
	q.waiting, q.dropped, q.spare = q.spare, 0, batch{}
	return lines, dropped
}

// write writes lines; those that it cannot are lost.
func (q *Queue) write(lines batch) {
	start, first := 0, 0
	for i, end := range lines.ends {
		if i+1 < len(lines.ends) && lines.ends[i+1]-start <= chunk {
			continue
		}
		n := 0
		if q.tell() {
			n, _ = q.w.Write(lines.text[start:end])
		}
		for ; first <= i; first++ {
			if lines.ends[first] > start+n {
				q.failed(uint64(i + 1 - first))
				break
			}
		}
		start, first = end, i+1
	}
}

// failed counts lines that could not be written.
func (q *Queue) failed(lines uint64) {
	q.lost += lines
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total += lines
}

// tell reports lines that are missing. It returns false while that fails.
func (q *Queue) tell() bool {
	if q.lost == 0 {
		return true
	}
	q.mu.Lock()
	report := q.report
	q.mu.Unlock()
	if _, err := q.w.Write(report(q.lost)); err != nil {
		return false
	}
	q.lost = 0
	return true
}
