package rsh

import (
	"fmt"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/sys/tty"
)

// features says what the session can do, and what carries it.
func (s *session) features() string {
	text := "no flow control, resize or exit status: the device is too old"
	if s.extended {
		text = "flow control, resize and exit status"
	}
	if !s.byTunnel {
		text += "; in calls, since the broker has no tunnels"
	}
	return text
}

// state returns the lines that ~i prints.
func (s *session) state() []string {
	return []string{
		fmt.Sprintf("device    %s", s.opts.Path),
		fmt.Sprintf("broker    %s, as client %d", s.opts.URL, s.client.ID()),
		fmt.Sprintf("open for  %v, with %s", time.Since(s.began).Round(time.Second), s.features()),
		fmt.Sprintf("bytes     %d sent, %d received", s.end.Sent(tunnel.Stdin), s.end.Received(tunnel.Stdout)),
	}
}

// farewell returns the last line of a session at a terminal.
func (s *session) farewell(end tunnel.Closing) string {
	if end.Exit != nil && end.Exit.Signal != "" {
		return fmt.Sprintf("Session on %s ended: the remote program was killed by %s.", s.opts.Path, end.Exit.Signal)
	}
	return fmt.Sprintf("Session on %s closed.", s.opts.Path)
}

// stuck shows in the status line for how long nothing has come from the device; 0 takes
// the line away.
func (s *session) stuck(silent time.Duration) {
	text := ""
	if silent > 0 {
		text = fmt.Sprintf("[shvrsh: nothing from %s for %d s", s.opts.Path, int(silent.Seconds()))
		if s.opts.Escape != 0 {
			text += "; Enter " + s.escape() + ". ends the session"
		}
		text += "]"
	}
	if size, err := tty.SizeOf(s.opts.Stdin); err == nil && size.Cols > 0 {
		text = text[:min(len(text), int(size.Cols))] // at most one line
	}
	s.screen.stuck(text)
}
