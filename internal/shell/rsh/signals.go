package rsh

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"shvtools/internal/session/signames"
	"shvtools/internal/session/tunnel"
)

// errSignal ends the session because shvrsh received a signal.
type errSignal struct{ sig os.Signal }

func (e errSignal) Error() string { return fmt.Sprintf("ended by signal: %v", e.sig) }

// forwarded are the signals that shvrsh passes on to a remote command, with their names
// in the protocol.
var forwarded = map[os.Signal]string{syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGQUIT: "QUIT"}

func (s *session) setRunning(end *tunnel.End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = end
}

// signalled handles a signal that shvrsh received. The first one is passed on to a
// remote command; a second one, and any that cannot be passed on, ends shvrsh.
func (s *session) signalled(sig os.Signal, cancel context.CancelCauseFunc) {
	switch sig {
	case syscall.SIGTSTP:
		s.suspend()
		return
	case syscall.SIGCONT:
		s.continued()
		return
	}
	s.mu.Lock()
	end := s.running
	name := forwarded[sig]
	pass := end != nil && !closed(end) && !s.local && s.extended && name != "" && s.signals == 0
	if pass {
		s.signals++
	}
	s.mu.Unlock()
	if pass && end.Signal(name) == nil {
		return
	}
	cancel(errSignal{sig})
}

func closed(end *tunnel.End) bool {
	select {
	case <-end.Closed():
		return true
	default:
		return false
	}
}

// signalCode returns the exit code for a remote command that a signal killed, as a
// shell does.
func signalCode(name string) int {
	if number, ok := signames.Number(name); ok {
		return 128 + int(number)
	}
	return 255
}
