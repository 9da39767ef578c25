package tty_test

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shvtools/internal/sys/tty"
)

func ignoreHangup() { signal.Ignore(unix.SIGHUP) }

// childPassword asks, and reports what came of it and of the terminal.
func childPassword() error {
	before := modes()
	pw, err := tty.ReadPassword("password: ")
	after := "restored"
	if modes() != before {
		after = "spoilt"
	}
	what := fmt.Sprintf("%q", pw)
	switch {
	case errors.Is(err, tty.ErrNoTerminal):
		what = "no terminal: " + err.Error()
	case errors.Is(err, tty.ErrInterrupted):
		what = "interrupted"
	case err == io.EOF:
		what = "EOF"
	case err != nil:
		return err
	}
	fmt.Printf("<%s %s>", what, after)
	return nil
}

func TestPasswordIsReadAndNeverShown(t *testing.T) {
	tests := []struct{ name, keys, want string }{
		{"line", "s3cret w\xc3\xb6rd\n", `<"s3cret wörd" restored>`},
		{"carriage return", "pw\r", `<"pw" restored>`},
		{"empty", "\n", `<"" restored>`},
		{"erased", "wrong\x15right\n", `<"right" restored>`},
		{"suspend is no suspend", "a\x1ab\n", `<"a\x1ab" restored>`},
		{"end of input", "\x04", "<EOF restored>"},
		{"end of input in the line", "abc\x04\x04", `<"abc" restored>`},
		{"interrupt", "abc\x03", "<interrupted restored>"},
		{"quit", "abc\x1c", "<interrupted restored>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := run(t, "password", true)
			c.until(t, "password: ")
			c.send(t, tt.keys)
			got := c.until(t, ">")
			before, report, _ := strings.Cut(got, "<")
			if "<"+report != tt.want {
				t.Errorf("got <%s, want %s", report, tt.want)
			}
			if before != "\r\n" {
				t.Errorf("shown: %q", before)
			}
			c.succeeds(t)
		})
	}
}

func TestSignalDuringPasswordRestoresTerminal(t *testing.T) {
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			c := run(t, "password", true)
			c.until(t, "password: ")
			if err := c.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if got := c.until(t, ">"); !strings.Contains(got, "<interrupted restored>") {
				t.Errorf("got %q", got)
			}
			c.succeeds(t)
		})
	}
}

// Without a terminal, as under cron, the answer comes at once and is clear.
func TestPasswordWithoutTerminalIsAnError(t *testing.T) {
	c := run(t, "password", false)
	if got := c.until(t, ">"); !strings.Contains(got, "no terminal to ask for a password") {
		t.Errorf("got %q", got)
	}
	c.succeeds(t)
}

// Ctrl-D hands over a part of a line, again and again.
func TestPasswordTooLongIsNotShownEither(t *testing.T) {
	c := run(t, "password", true)
	c.until(t, "password: ")
	for range 12 {
		c.send(t, strings.Repeat("x", 500)+"\x04") // a part of a line
	}
	c.send(t, "\n")
	if got := c.until(t, "too long"); strings.Contains(got, "xxx") {
		t.Errorf("shown: %q", got)
	}
	if got := c.Wait(); got.Code != 1 {
		t.Errorf("child ended with %+v", got)
	}
}
