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
	"unicode"
)

// Exit is an error that chooses the program's exit code. Without Err nothing is
// printed: shvrsh ends so with the code of the remote command.
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

// UsageError is a command line that the program cannot act on.
type UsageError struct{ Err error }

// Usagef returns a UsageError with a formatted text.
func Usagef(format string, args ...any) error {
	return UsageError{Err: fmt.Errorf(format, args...)}
}

// Error returns the text of Err.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e UsageError) Unwrap() error { return e.Err }

// SignalError is the cause of a context that Main cancelled for a signal.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e SignalError) Error() string {
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

// Codes are the exit codes of a program for the endings that are not a choice of
// its own.
type Codes struct {
	Failure int // an error without a code of its own
	Usage   int // a command line that cannot be read
	Panic   int // a bug
	Signal  int // ended by a signal; 0: 128 and the signal's number
}

// DefaultCodes are those of the broker, the agent and the helper; 70 is EX_SOFTWARE.
func DefaultCodes() Codes { return Codes{Failure: 1, Usage: 2, Panic: 70} }

// SSHCodes are those of shvrsh: as with ssh, 255 is everything that is not the
// remote command's own.
func SSHCodes() Codes { return Codes{Failure: 255, Usage: 255, Panic: 255, Signal: 255} }

// judge returns the exit code for err and the line that explains it, "" where
// nothing is to be said.
func (c Codes) judge(program string, err error) (code int, line string) {
	if err == nil {
		return 0, ""
	}
	text := oneLine(err.Error())
	if code, ok := ownCode(err); ok {
		var exit Exit
		if errors.As(err, &exit) && exit.Err == nil {
			return code, ""
		}
		return code, text
	}
	var usage UsageError
	var ended SignalError
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

// ownCode returns the code of the error in err's chain that has one. A wrapped
// *exec.ExitError does not count: it is the code of a child process, and would
// make a program's failure look like a choice.
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

// withSignal replaces a bare cancellation by the signal that caused it, which
// says more to whoever reads the line.
func withSignal(ctx context.Context, err error) error {
	var ended SignalError
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &ended) {
		if _, coded := ownCode(err); !coded {
			return ended
		}
	}
	return err
}

// oneLine makes text fit one line of a terminal: lines are joined with "; ", and
// control characters, which may come from the far side, are written as escapes.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return escapeControl(strings.Join(lines, "; "))
}

// escapeControl writes all but printable characters as Go escapes, and bytes that
// are not UTF-8, among them the 8-bit escape sequences, as replacement characters.
func escapeControl(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, string(unicode.ReplacementChar)) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
