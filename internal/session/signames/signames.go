// Package signames translates between signal numbers and the names that sessions
// carry them under (docs/protocol.md, Control): a name without SIG, such as "INT".
package signames

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSignal is the last real-time signal.
const maxSignal = 64

// Number finds a signal by its name without SIG, such as "INT", or by
// the decimal number that [Name] gives to those without a name.
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

// Name is the name of a signal without SIG, such as "INT", or its
// decimal number where it has none (the real-time signals).
func Name(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}
