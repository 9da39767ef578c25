package rsh

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"shvtools/internal/session/tunnel"
)

// display is a terminal that takes everything.
type display struct{ bytes.Buffer }

func (d *display) TryWrite(b []byte) int { n, _ := d.Write(b); return n }

func (d *display) take() string {
	defer d.Reset()
	return d.String()
}

const (
	shownStatus  = "\x1b7\x1b[1;1H\x1b[7mwait\x1b[0m\x1b[K\x1b8"
	erasedStatus = "\x1b7\x1b[1;1H\x1b[K\x1b8"
)

func TestStatusLineComesAndGoes(t *testing.T) {
	var d display
	s := screen{out: &d, terminal: &d}
	step := func(what string, do func(), want string) {
		t.Helper()
		do()
		if got := d.take(); got != want {
			t.Errorf("%s: wrote %q, want %q", what, got, want)
		}
	}
	step("not raw", func() { s.stuck("wait") }, "")
	s.setRaw(true)
	step("nothing to take away", func() { s.stuck("") }, "")
	step("stuck", func() { s.stuck("wait") }, shownStatus)
	step("stuck for longer", func() { s.stuck("wait") }, shownStatus)
	step("not any more", func() { s.stuck("") }, erasedStatus)
	step("once is enough", func() { s.stuck("") }, "")
	s.stuck("wait")
	d.take()
	step("output", s.moving, erasedStatus)
	step("more output", s.moving, "")
	s.stuck("wait")
	d.take()
	step("the terminal is given back", func() { s.setRaw(false) }, erasedStatus)
	step("too late", func() { s.stuck("wait") }, "")
}

// Control sequences do not belong into a file that takes the messages.
func TestStatusLineNeedsATerminal(t *testing.T) {
	var d display
	s := screen{out: &d}
	s.setRaw(true)
	s.stuck("wait")
	s.stuck("")
	if got := d.take(); got != "" {
		t.Errorf("wrote %q", got)
	}
}

func TestStatusLineSaysHowToEnd(t *testing.T) {
	for _, tt := range []struct {
		escape byte
		want   string
	}{
		{'~', "[shvrsh: nothing from test/agent for 12 s; Enter ~. ends the session]"},
		{'X' - '@', "[shvrsh: nothing from test/agent for 12 s; Enter ^X. ends the session]"},
		{0, "[shvrsh: nothing from test/agent for 12 s]"},
	} {
		var d display
		s := &session{opts: Options{Path: "test/agent", Escape: tt.escape}, screen: screen{terminal: &d}}
		s.screen.setRaw(true)
		s.stuck(12500 * time.Millisecond)
		if got := d.take(); !strings.Contains(got, reverse+tt.want+plain) {
			t.Errorf("escape character %q: %q, want %q", tt.escape, got, tt.want)
		}
		s.stuck(0)
		if got := d.take(); got != erasedStatus {
			t.Errorf("not taken away: %q", got)
		}
	}
}

func TestLinesOnARawTerminalReturnTheCarriage(t *testing.T) {
	var d display
	s := screen{out: &d}
	s.say("a", "b")
	s.setRaw(true)
	s.say("c", "d")
	if got := d.take(); got != "a\nb\nc\r\nd\r\n" {
		t.Errorf("wrote %q", got)
	}
}

func TestFarewellSaysWhoEndedIt(t *testing.T) {
	s := &session{opts: Options{Path: "test/agent"}}
	for _, tt := range []struct {
		exit *tunnel.Exit
		want string
	}{
		{&tunnel.Exit{Code: 3}, "Session on test/agent closed."},
		{nil, "Session on test/agent closed."},
		{&tunnel.Exit{Signal: "KILL"}, "Session on test/agent ended: the remote program was killed by KILL."},
	} {
		if got := s.farewell(tunnel.Closing{Exit: tt.exit}); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.exit, got, tt.want)
		}
	}
}

// A device says why its program did not start. It must not draw a prompt for a password that
// looks like shvrsh's own.
func TestTextOfADeviceIsNoControlSequence(t *testing.T) {
	var d display
	s := session{opts: Options{Path: "test/agent"}, screen: screen{out: &d, terminal: &d}, end: new(tunnel.End)}
	message := "no\x1b]0;title\x07\r\nPassword: \x9b2J" + strings.Repeat("x", 1<<20)
	code, err := s.outcome(tunnel.Closing{Exit: &tunnel.Exit{Code: 126, Message: message}})
	if code != 126 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	got := d.take()
	want := `shvrsh: test/agent: no\x1b]0;title\a\r\nPassword: \x9b2Jxxx`
	if !strings.HasPrefix(got, want) || len(got) > maxSaid+10 || strings.Count(got, "\n") != 1 {
		t.Errorf("%d bytes: %.100q", len(got), got)
	}
}
