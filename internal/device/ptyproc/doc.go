// Package ptyproc runs one process on a pseudo-terminal or on three pipes and
// gives its bytes to somebody who carries them on, such as the helper end of
// a tunnel.
//
// It cares for what is easily lost on that way: the last output before the
// exit, a long paste into a slow reader, the end of a Read when the session
// is closed, and processes that outlive their user. It knows no protocol,
// keeps no buffers of its own and judges neither commands nor environments;
// what runs, as whom and with which variables is decided by the caller.
//
// Descriptors are read and written by this package itself, a blocking poll(2)
// before each wait, and not through the runtime's poller: the echo of a key
// is back sooner (a wakeup of one thread instead of two), and a pty keeps
// working after a resize, which it doesn't with [os.File.Fd]. Our ends are
// non-blocking; the child's never are, since programs expect that of their
// standard streams.
//
// Linux only.
package ptyproc
