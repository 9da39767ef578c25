// Package tty is the user's terminal: its size, its raw mode, and a question
// for a password.
//
// The terminal is shared with the shell that started us and with the other
// programs of a pipeline, so nothing here changes the flags of the user's
// descriptors: a standard input left non-blocking would break the shell after
// our end. What is changed (raw mode, echo) can be put back at any time, also
// when the terminal is gone.
//
// The package neither reads keys nor knows what they mean, and never makes a
// terminal; for that see package ptyproc. Linux only.
package tty
