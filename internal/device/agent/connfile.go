package agent

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// WriteStatus keeps a file that holds 1 while the agent is connected and 0 otherwise, like the
// C++ agent (spec.md 10.4). It writes the file at each change and after each interval, so
// that the file's age shows that the agent runs. When ctx ends, it writes 0 and returns.
// failed is called for the first of several failures in a row: a full disk must not fill
// the log.
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

// replaceFile writes a file at once and does not follow a link.
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
