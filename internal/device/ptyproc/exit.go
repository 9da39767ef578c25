package ptyproc

import (
	"syscall"

	"shvtools/internal/session/signames"
)

// Exit is how a process ended.
type Exit struct {
	// Code is the exit code, 0 to 255. It has no meaning if Signal is set.
	Code int
	// Signal is the signal that killed the process; 0: it ended by itself.
	Signal syscall.Signal
}

// codeUnknown is the code of a process that something else has reaped.
const codeUnknown = 255

// Name returns the name of Signal, such as "TERM"; "" without one.
func (e Exit) Name() string {
	if e.Signal == 0 {
		return ""
	}
	return signames.Name(e.Signal)
}

func exitOf(ws syscall.WaitStatus) Exit {
	if ws.Signaled() {
		return Exit{Signal: ws.Signal()}
	}
	return Exit{Code: ws.ExitStatus()}
}
