package agent

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// WriteStatus keeps a file that says 1 while the agent is connected and 0 while it
// is not, as the C++ agent does (spec.md 10.4): at each change and after each
// interval, so that its age shows that the agent lives. It returns when ctx ends,
// and says 0 then. failed is told of the first of several failures in a row: a disk
// that is full for months must not fill the log.
func (s *Status) WriteStatus(ctx context.Context, file string, interval time.Duration, failed func(error)) {
	failing := false
	write := func(text string) {
		err := replaceFile(file, text)
		if err != nil && !failing {
			failed(err)
		}
		failing = err != nil
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if s.Report().Connected {
			write("1")
		} else {
			write("0")
		}
		select {
		case <-ticker.C:
		case <-s.Changed():
		case <-ctx.Done():
			write("0")
			return
		}
	}
}

// replaceFile never shows half a text, nor follows a link.
func replaceFile(file, text string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(dir, ".conn-status-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails after the rename, as it should
	_, err = temporary.WriteString(text)
	if err == nil {
		err = temporary.Chmod(0o644)
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	return err
}
