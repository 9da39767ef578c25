// Package ptyproc runs one process on a pseudo-terminal or on three pipes, and passes its
// bytes to and from a caller such as the helper's end of a tunnel (spec.md 8.8).
//
// It takes care of what is easily lost: the last output before the exit, a long paste into
// a slow reader, the end of a Read when the session is closed, and processes that outlive
// their user. It knows no protocol, has no buffers of its own, and decides neither what
// runs nor as whom nor with which environment: the caller does.
//
// The package reads and writes descriptors itself, with a blocking poll(2) before each
// wait, instead of through the runtime's poller: the echo of a key takes one thread's
// wake-up instead of two, and a pty keeps working after a resize, which it would not with
// [os.File.Fd]. This process's ends are non-blocking; the child's never are, since
// programs expect blocking standard streams.
//
// Linux only.
package ptyproc
