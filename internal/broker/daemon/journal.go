package daemon

import (
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/journal"
	"shvtools/internal/sys/logqueue"
)

const (
	// journalQueue is how many bytes of the journal may wait to be written. As many
	// again may be under way.
	journalQueue = 4 << 20
	// journalFlush is how long the end of the broker waits for them.
	journalFlush = time.Second
)

// journalFile is the file of a journal. It is written in the background: the read loops
// of the broker must not wait for a disk, or for the reader of a pipe.
type journalFile struct {
	file  *os.File
	queue *logqueue.Queue
	log   zerolog.Logger

	// Of the goroutine that writes.
	failing bool
	lost    uint64 // as the journal is about to say
}

// open opens the journal. Without one, w is nil; without a file, f is nil.
func (j Journal) open(log zerolog.Logger) (w *journal.Writer, f *journalFile, err error) {
	switch {
	case j.Stream != nil:
		return journal.New(j.Stream, j.Unsafe), nil, nil
	case j.File == "":
		return nil, nil, nil
	}
	f, err = openJournalFile(j.File, log)
	if err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	return journal.New(f.queue, j.Unsafe), f, nil
}

func openJournalFile(name string, log zerolog.Logger) (*journalFile, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	f := &journalFile{file: file, log: log}
	f.queue = logqueue.New(f, journalQueue, f.report)
	return f, nil
}

// report says in the journal that messages are missing there.
func (f *journalFile) report(lost uint64) []byte {
	f.lost = lost
	return fmt.Appendf(nil, "(%d messages are missing here: they could not be written in time)\n", lost)
}

// Write is for the queue. It reports in the log where writing begins to fail, as on a
// full disk, and where messages are missing.
func (f *journalFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	switch {
	case err != nil && !f.failing:
		f.failing = true
		f.log.Error().Err(err).Msg("journal: write failed")
	case err != nil:
	case f.failing:
		f.failing = false
		f.log.Warn().Uint64("lost", f.lost).Msg("journal: writing again")
	case f.lost > 0:
		f.log.Error().Uint64("lost", f.lost).Msg("journal: messages lost")
	}
	if err == nil {
		f.lost = 0
	}
	return n, err
}

// messagesLost returns how many messages the file lacks.
func (f *journalFile) messagesLost() uint64 {
	if f == nil {
		return 0
	}
	return f.queue.Lost()
}

// close ends the journal.
func (f *journalFile) close() {
	if f == nil {
		return
	}
	if !f.queue.Flush(journalFlush) {
		f.log.Error().Msg("journal: end not written")
	}
	_ = f.file.Close()
}
