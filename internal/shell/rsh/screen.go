package rsh

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"shvtools/internal/sys/visible"
)

// screen prints shvrsh's own messages: whole lines, and one status line while the
// terminal is raw. Its methods may be called concurrently.
type screen struct {
	out      io.Writer
	terminal tryWriter // for the status line; nil: there is none

	mu     sync.Mutex
	raw    bool
	status atomic.Bool // the status line is shown; changed with mu held
}

// tryWriter writes what can be written without waiting.
type tryWriter interface{ TryWrite(b []byte) int }

func (s *screen) setRaw(raw bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !raw {
		s.showLocked("")
	}
	s.raw = raw
}

// maxSaid bounds a line of say, in bytes.
const maxSaid = 4 << 10

// say prints lines, in which a text of the peer is text and nothing else. On a raw terminal
// they end with a carriage return, too.
func (s *screen) say(lines ...string) {
	for i := range lines {
		lines[i] = visible.Within(lines[i], maxSaid)
	}
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

// stuck shows text in the first line of the terminal; "" erases the line. What was
// there before reappears when the remote program redraws it. stuck never waits for the
// terminal.
func (s *screen) stuck(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.showLocked(text)
}

// moving erases the status line before output goes to the terminal: that may end in the
// middle of a control sequence.
func (s *screen) moving() {
	if s.status.Load() {
		s.stuck("")
	}
}

func (s *screen) showLocked(text string) {
	if !s.raw || s.terminal == nil || text == "" && !s.status.Load() {
		return
	}
	s.status.Store(text != "")
	if text != "" {
		text = reverse + text + plain
	}
	s.terminal.TryWrite([]byte(saveCursor + topLeft + text + eraseLine + restoreCursor))
}
