package cliapp

import "golang.org/x/sys/unix"

// KeepPrivate keeps other processes of the same user from reading this process's environment and
// memory, which hold passwords and keys, and from tracing it (prctl(2), PR_SET_DUMPABLE); root
// still may. Programs that this process starts are not concerned. Call it first in main: exec
// undoes it. Where the kernel refuses, the program goes on.
func KeepPrivate() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
