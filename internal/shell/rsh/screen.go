package rsh

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// screen is where shvrsh itself says something to the user. While the terminal is
// raw, a line needs its own carriage return.
type screen struct {
	out      io.Writer
	terminal tryWriter // for the status line; nil: none is shown

	mu     sync.Mutex
	raw    bool
	status atomic.Bool // a status line is shown; changed with mu held
}

// tryWriter writes what can be written without waiting.
type tryWriter interface{ TryWrite(b []byte) int }

func (s *screen) setRaw(raw bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !raw {
		s.show("")
	}
	s.raw = raw
}

// say shows lines of text.
func (s *screen) say(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := "\n"
	if s.raw {
		end = "\r\n"
	}
	_, _ = io.WriteString(s.out, strings.Join(lines, end)+end)
}

// Control sequences of every terminal since the VT100.
const (
	saveCursor    = "\x1b7"
	restoreCursor = "\x1b8"
	topLeft       = "\x1b[1;1H"
	reverse       = "\x1b[7m"
	plain         = "\x1b[0m"
	eraseLine     = "\x1b[K"
)

// stuck shows a text in the first line of the terminal, and takes it away again
// for "". What stood there comes back when the program on the device draws it
// anew. It never waits for the terminal.
func (s *screen) stuck(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show(text)
}

// moving takes the status line away before output goes to the terminal, which
// may end in the middle of a control sequence.
func (s *screen) moving() {
	if s.status.Load() {
		s.stuck("")
	}
}

func (s *screen) show(text string) {
	if !s.raw || s.terminal == nil || text == "" && !s.status.Load() {
		return
	}
	s.status.Store(text != "")
	if text != "" {
		text = reverse + text + plain
	}
	s.terminal.TryWrite([]byte(saveCursor + topLeft + text + eraseLine + restoreCursor))
}
