package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

func TestJournalThatCannotBeWrittenIsToldInTheLog(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "journal")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader := func() *os.File {
		r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var log bytes.Buffer // written by the queue, read when it is flushed
	first := reader()
	f, err := openJournalFile(fifo, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	write := func(line string) {
		_, _ = f.queue.Write([]byte(line))
		if !f.queue.Flush(journalFlush) {
			t.Fatal("the queue was not flushed")
		}
	}
	_ = first.Close()
	write("one\n")
	write("two\n")
	failed := `"error":"write ` + fifo + `: broken pipe","message":"journal: write failed"`
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, failed) {
		t.Errorf("the log says %q", got)
	}
	if got := f.messagesLost(); got != 2 {
		t.Errorf("%d messages are lost, want 2", got)
	}
	log.Reset()
	second := reader()
	defer second.Close()
	write("three\n")
	f.close()
	text := make([]byte, 1000)
	n, _ := second.Read(text)
	want := "(2 messages are missing here: they could not be written in time)\nthree\n"
	if got := string(text[:n]); got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
	if got := log.String(); !strings.Contains(got, `"lost":2,"message":"journal: writing again"`) {
		t.Errorf("the log says %q", got)
	}
}

func TestNoJournal(t *testing.T) {
	w, f, err := Journal{}.open(zerolog.Nop())
	if w != nil || err != nil || f.messagesLost() != 0 {
		t.Errorf("%v, %v, %d lost; want no writer", w, err, f.messagesLost())
	}
	f.close()
}
