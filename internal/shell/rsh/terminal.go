package rsh

import (
	"os"
	"sync"

	"shvtools/internal/sys/tty"
)

// terminal is the mode of the user's terminal during one session: raw while the
// session has it, and as the user had it before, after and while shvrsh is suspended.
// Its methods may be called concurrently.
type terminal struct {
	in     *os.File
	screen *screen // is told of each change

	mu    sync.Mutex
	raw   *tty.State // nil: the terminal is as the user had it
	ended bool       // the user has the terminal back for good
}

// makeRaw lets each key go to the device. After giveBack it does nothing.
func (t *terminal) makeRaw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil
	}
	raw, err := tty.MakeRaw(t.in)
	if err != nil {
		return err
	}
	if t.raw == nil {
		t.raw = raw // otherwise t.raw already knows the modes that the user had
	}
	t.screen.setRaw(true)
	return nil
}

// isRaw reports whether the session has the terminal.
func (t *terminal) isRaw() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.raw != nil
}

// restore puts the user's modes back, and reports whether the session had the
// terminal. makeRaw takes it again.
func (t *terminal) restore() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raw == nil {
		return false
	}
	t.screen.setRaw(false)
	_ = t.raw.Restore() // fails only on a terminal that no longer exists
	t.raw = nil
	return true
}

// giveBack is restore at the end of the session. It may be called many times.
func (t *terminal) giveBack() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.restore()
}
