package rsh

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// filtered returns what passes of typed and the commands in it as one text, each command in
// <> after what was passed before it.
func filtered(e *escapes, chunks ...string) string {
	var all strings.Builder
	for _, chunk := range chunks {
		var commands []byte
		all.Write(e.filter(nil, []byte(chunk), func(c byte) { commands = append(commands, c) }))
		for _, c := range commands {
			fmt.Fprintf(&all, "<%c>", c)
		}
	}
	return all.String()
}

func TestEscapesAreForUsAtTheBeginningOfALineOnly(t *testing.T) {
	for _, tt := range []struct{ name, typed, want string }{
		{"at the start", "~.", "<.>"},
		{"behind Enter", "ls\r~.", "ls\r<.>"},
		{"behind a line feed", "ls\n~?", "ls\n<?>"},
		{"in a line", "ls ~.\r", "ls ~.\r"},
		{"a home directory", "cd ~/x\r", "cd ~/x\r"},
		{"a home directory at the start", "~/bin/x\r", "~/bin/x\r"},
		{"doubled", "~~.", "~."},
		{"doubled, then a line", "~~\r~i", "~\r<i>"},
		{"unknown", "~x.", "~x."},
		{"Enter behind it", "~\r~.", "~\r<.>"},
		{"two in a row", "~?~i~.", "<?><i><.>"},
		{"suspend", "\r~\x1a", "\r<\x1a>"},
		{"erased is not a new line", "a\x7f~.", "a\x7f~."},
		{"held back at the end", "\r~", "\r"},
	} {
		if got := filtered(&escapes{char: '~'}, tt.typed); got != tt.want {
			t.Errorf("%s: %q gave %q, want %q", tt.name, tt.typed, got, tt.want)
		}
	}
}

func TestEscapeCharacterOfTheUser(t *testing.T) {
	e := &escapes{char: 'X' - '@'}
	if got, want := filtered(e, "~.\r\x18?\x18\x18\r\x18."), "~.\r\x18\r<?><.>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	help := strings.Join(escapeHelp("^X"), "\n")
	if strings.Contains(help, "~") || !strings.Contains(help, "^X.") {
		t.Errorf("help names another character: %s", help)
	}
}

// A command is done when all before it is passed and nothing behind it.
func TestCommandsAndTextKeepTheirOrder(t *testing.T) {
	e := &escapes{char: '~'}
	if got, want := filtered(e, "a\r", "~", "?", "b\r~i", "c"), "a\r<?>b\r<i>c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzEscapes(f *testing.F) {
	f.Add([]byte("ls\r~.~~\r~?x"), byte('~'), uint8(3))
	f.Add([]byte("\r~\x1a~i"), byte('~'), uint8(1))
	f.Add([]byte("~.~."), byte(0), uint8(2))
	f.Add([]byte("..\r.."), byte('.'), uint8(2))
	f.Fuzz(func(t *testing.T, typed []byte, char byte, cut uint8) {
		run := func(step int) (passed, commands []byte) {
			e := &escapes{char: char}
			for rest := typed; len(rest) > 0; {
				n := min(step, len(rest))
				chunk := e.filter(nil, rest[:n], func(c byte) { commands = append(commands, c) })
				if len(chunk) > n+1 {
					t.Fatalf("%d bytes of %d", len(chunk), n)
				}
				passed = append(passed, chunk...)
				rest = rest[n:]
			}
			return passed, commands
		}
		passed, commands := run(len(typed) + 1)
		if char == 0 && (!bytes.Equal(passed, typed) || commands != nil) {
			t.Errorf("without an escape character %q became %q, %q", typed, passed, commands)
		}
		if len(passed)+2*len(commands) > len(typed) {
			t.Errorf("%q became the more %q, %q", typed, passed, commands)
		}
		inPieces, inTurn := run(int(cut) + 1)
		if !bytes.Equal(inPieces, passed) || !bytes.Equal(inTurn, commands) {
			t.Errorf("%q in pieces of %d: %q, %q; at once %q, %q", typed, int(cut)+1, inPieces, inTurn, passed, commands)
		}
	})
}
