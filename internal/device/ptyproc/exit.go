package ptyproc

import (
	"syscall"

	"shvtools/internal/session/signames"
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
	return signames.Name(e.Signal)
}

func exitOf(ws syscall.WaitStatus) Exit {
	if ws.Signaled() {
		return Exit{Signal: ws.Signal()}
	}
	return Exit{Code: ws.ExitStatus()}
}
