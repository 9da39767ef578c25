// Package signames translates between signal numbers and the names of signals in sessions
// (protocol.md 3): a name without SIG, such as "INT".
package signames

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSignal is the last real-time signal.
const maxSignal = 64

// Number returns the signal with a name without SIG, such as "INT", or with the decimal number that
// [Name] gives to signals without a name.
func Number(name string) (syscall.Signal, bool) {
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

// Name returns the name of a signal without SIG, such as "INT", or its decimal number if it has
// none, as the real-time signals.
func Name(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}
