package rsh

import (
	"fmt"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shell/sshargs"
)

// escapes finds the commands that the user types for shvrsh itself. As with ssh, a
// command is the escape character at the beginning of a line and one more character.
// Everything else passes.
type escapes struct {
	char byte // 0: none
	// State between two calls of filter.
	midLine bool // something was typed since the last Enter
	begun   bool // the escape character was typed and is held back
}

// controlZ, after the escape character, suspends shvrsh.
const controlZ = 'Z' - '@'

// escapeHelp returns the lines that the command ? prints.
func escapeHelp(char string) []string {
	return []string{
		"Supported escape sequences:",
		" " + char + ".   end the session",
		" " + char + "^Z  suspend shvrsh",
		" " + char + "i   show the state of the session",
		" " + char + "?   this message",
		" " + char + char + "   the escape character itself",
		"(Escapes are only recognised at the beginning of a line.)",
	}
}

// filter appends to dst the part of typed that is for the device, and calls do for each
// command in it, in order.
func (e *escapes) filter(dst, typed []byte, do func(command byte)) []byte {
	for _, c := range typed {
		if !e.begun {
			if e.char != 0 && c == e.char && !e.midLine {
				e.begun = true
				continue
			}
			dst = e.pass(dst, c)
			continue
		}
		e.begun = false
		switch c {
		case '.', '?', 'i', controlZ:
			do(c) // the line begins anew
		case e.char:
			dst = e.pass(dst, c)
		default:
			dst = e.pass(e.pass(dst, e.char), c)
		}
	}
	return dst
}

func (e *escapes) pass(dst []byte, c byte) []byte {
	e.midLine = c != '\r' && c != '\n'
	return append(dst, c)
}

// command carries out what the user typed after the escape character. As with ssh, the
// command is printed, which also ends the line that the device is in.
func (s *session) command(c byte) {
	shown := s.escape() + sshargs.Escape{Char: c}.String()
	switch c {
	case '.':
		s.screen.say(shown)
		s.end.Close(tunnel.Closing{Err: fmt.Errorf("closed by %s from the keyboard", shown)})
	case '?':
		s.screen.say(append([]string{shown}, escapeHelp(s.escape())...)...)
	case 'i':
		s.screen.say(append([]string{shown}, s.state()...)...)
	case controlZ:
		if !jobControl() {
			s.screen.say(shown + ": cannot suspend: no shell started shvrsh")
			return
		}
		s.screen.say(shown)
		s.suspend()
	}
}

// escape returns the escape character as users write it.
func (s *session) escape() string { return sshargs.Escape{Char: s.opts.Escape}.String() }
