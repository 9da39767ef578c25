package rsh

import (
	"fmt"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/sys/tty"
)

// way is how the session is carried.
func (s *session) way() string {
	way := "a helper of the base protocol"
	if s.extended {
		way = "flow control, resize and exit status"
	}
	if !s.byTunnel {
		way += ", in band: the broker knows no tunnels"
	}
	return way
}

// state describes the session for ~i.
func (s *session) state() []string {
	return []string{
		fmt.Sprintf("device    %s", s.opts.Path),
		fmt.Sprintf("broker    %s, we are client %d", s.opts.URL, s.client.ID()),
		fmt.Sprintf("open for  %v, with %s", time.Since(s.began).Round(time.Second), s.way()),
		fmt.Sprintf("bytes     %d typed, %d shown", s.end.Sent(tunnel.Stdin), s.end.Received(tunnel.Stdout)),
	}
}

// farewell says who ended the session.
func (s *session) farewell(end tunnel.Closing) string {
	if end.Exit != nil && end.Exit.Signal != "" {
		return fmt.Sprintf("Session on %s ended: the remote program was killed by %s.", s.opts.Path, end.Exit.Signal)
	}
	return fmt.Sprintf("Session on %s closed.", s.opts.Path)
}

// stuck shows that nothing comes from the device any more.
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
		text = text[:min(len(text), int(size.Cols))] // one line, on narrow terminals too
	}
	s.screen.stuck(text)
}
