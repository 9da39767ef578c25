package ptyproc

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	// Code is the exit code, 0 to 255; without meaning when Signal is set.
	Code int
	// Signal is the signal that killed the process; 0: it ended by itself.
	Signal syscall.Signal
}

// codeUnknown is reported where somebody else reaped the process.
const codeUnknown = 255

// Name is the name of the signal, such as "TERM"; empty without one.
func (e Exit) Name() string {
	if e.Signal == 0 {
		return ""
	}
	return SignalName(e.Signal)
}

// ShellCode is the one number of 0 to 255 that a shell would report:
// the exit code, or 128 + the number of the signal.
func (e Exit) ShellCode() int {
	if e.Signal != 0 {
		return (128 + int(e.Signal)) & 0xff
	}
	return e.Code & 0xff
}

func exitOf(ws syscall.WaitStatus) Exit {
	if ws.Signaled() {
		return Exit{Signal: ws.Signal()}
	}
	return Exit{Code: ws.ExitStatus()}
}

// maxSignal is the last real-time signal.
const maxSignal = 64

// SignalNumber finds a signal by its name without SIG, such as "INT", or by
// the decimal number that [SignalName] gives to those without a name.
func SignalNumber(name string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		ok := n > 0 && n <= maxSignal && strconv.Itoa(n) == name
		if !ok {
			return 0, false
		}
		return syscall.Signal(n), true
	}
	sig := unix.SignalNum("SIG" + name)
	return sig, sig != 0
}

// SignalName is the name of a signal without SIG, such as "INT", or its
// decimal number where it has none (the real-time signals).
func SignalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}
