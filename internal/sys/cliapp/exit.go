package cliapp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"shvtools/internal/sys/visible"
	"shvtools/internal/wire/transport"
)

// Exit is an error that chooses the program's exit code. Without Err nothing is
// printed; shvrsh returns the code of the remote command that way.
type Exit struct {
	Code int
	Err  error
}

// Error returns the text of Err, or one that names the code.
func (e Exit) Error() string {
	if e.Err == nil {
		return "exit status " + strconv.Itoa(e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e Exit) Unwrap() error { return e.Err }

// ExitCode returns Code.
func (e Exit) ExitCode() int { return e.Code }

// UsageError is an error of the command line.
type UsageError struct{ Err error }

// Usagef returns a UsageError with a formatted text.
func Usagef(format string, args ...any) error {
	return UsageError{Err: fmt.Errorf(format, args...)}
}

// Error returns the text of Err.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e UsageError) Unwrap() error { return e.Err }

// signalError is the cause of a context that Main cancelled because of a signal.
type signalError struct{ Signal os.Signal }

// Error names the signal.
func (e signalError) Error() string {
	if s, ok := e.Signal.(syscall.Signal); ok {
		switch s {
		case syscall.SIGINT:
			return "ended by SIGINT"
		case syscall.SIGTERM:
			return "ended by SIGTERM"
		case syscall.SIGHUP:
			return "ended by SIGHUP"
		}
	}
	return "ended by signal: " + e.Signal.String()
}

// Codes are the exit codes of a program for errors without a code of their own.
type Codes struct {
	Failure int // any other error
	Usage   int // a command line that cannot be read
	Panic   int // a bug
	Signal  int // ended by a signal; 0: 128 and the signal's number
}

// defaultCodes are the codes of the broker, the agent and the helper. 70 is EX_SOFTWARE
// of sysexits.h.
func defaultCodes() Codes { return Codes{Failure: 1, Usage: 2, Panic: 70} }

// SSHCodes are the codes of shvrsh. As with ssh, 255 stands for every error of its own,
// and other codes are the remote command's.
func SSHCodes() Codes { return Codes{Failure: 255, Usage: 255, Panic: 255, Signal: 255} }

// codePlaintext is the exit code of every program that would have to connect without encryption.
const codePlaintext = 255

// HowToAllow ends the text of a *transport.PlaintextError of a program with these settings.
const HowToAllow = ", or allow it with --" + FlagAllowPlaintext + ", " + EnvAllowPlaintext +
	"=1 or allow-plaintext: true in the configuration"

// explain returns the exit code for err and the line that explains it, "" for none.
func (c Codes) explain(program string, err error) (code int, line string) {
	if err == nil {
		return 0, ""
	}
	text := oneLine(err.Error())
	var plaintext *transport.PlaintextError
	if errors.As(err, &plaintext) {
		return codePlaintext, text + HowToAllow
	}
	if code, ok := ownCode(err); ok {
		var exit Exit
		if errors.As(err, &exit) && exit.Err == nil {
			return code, ""
		}
		return code, text
	}
	var usage UsageError
	var ended signalError
	switch {
	case errors.As(err, &usage):
		return c.Usage, text + "; see " + program + " --help"
	case errors.As(err, &ended):
		if s, ok := ended.Signal.(syscall.Signal); ok && c.Signal == 0 {
			return 128 + int(s), text
		}
		return c.Signal, text
	}
	return c.Failure, text
}

// ownCode returns the code of the first error in err's chain that has one. A wrapped
// *exec.ExitError does not count: its code is that of a child process, not one that
// the program has chosen.
func ownCode(err error) (int, bool) {
	var coded interface {
		error
		ExitCode() int
	}
	if !errors.As(err, &coded) {
		return 0, false
	}
	if _, child := coded.(*exec.ExitError); child {
		return 0, false
	}
	return coded.ExitCode(), true
}

// withSignal replaces a bare cancellation by the signal that caused it.
func withSignal(ctx context.Context, err error) error {
	var ended signalError
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &ended) {
		if _, coded := ownCode(err); !coded {
			return ended
		}
	}
	return err
}

// maxLine bounds a line on stderr, in bytes: much of it may be a peer's text.
const maxLine = 4 << 10

// oneLine makes text fit one line of a terminal. It joins lines with "; " and escapes
// control characters, which may come from a peer.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return visible.Within(strings.Join(lines, "; "), maxLine)
}
