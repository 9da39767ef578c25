// Package tty controls the user's terminal: its size, its raw mode, and a prompt for a
// password. It is no part of the protocol.
//
// The terminal is shared with the shell that started this program and with the other
// programs of a pipeline, so the package never changes the flags of the user's descriptors:
// a standard input that stays non-blocking would break the shell afterwards. What it does
// change (raw mode, echo) can be restored at any time, even if the terminal no longer
// exists.
//
// The package does not read or interpret keys and does not create terminals; package
// ptyproc does that. Linux only.
package tty
