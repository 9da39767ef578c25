// Package policy decides what a caller may do on a device. A policy is a list of rules,
// of which the first that fits decides. The agent asks it before it starts anything, and
// passes the grant to the helper, which checks it again.
//
// It reads no file (package config does) and starts no process (package ptyproc does).
// Brokers grant access levels (spec.md 3.8); a policy only takes away. It is no part of the
// protocol: no peer knows of it.
package policy

import (
	"shvtools/internal/shv/rpc"
)

// Use is a way to use a device. Each rule names the uses that it is about.
type Use int

// The uses.
const (
	Shell    Use = iota // an interactive shell
	Commands            // a program, or a line for the shell; runCmd
	Scripts             // runScript
	Files               // nodes below sys/fs
	SFTP                // subsystem sftp
)

var useNames = [...]string{Shell: "shell", Commands: "commands", Scripts: "scripts", Files: "files", SFTP: "sftp"}

// Uses returns all uses.
func Uses() []Use { return []Use{Shell, Commands, Scripts, Files, SFTP} }

// String returns the word for the use in configurations.
func (u Use) String() string { return useNames[u] }

// ParseUse reads the word for a use; ok is false if there is no such use.
func ParseUse(text string) (u Use, ok bool) {
	for _, u := range Uses() {
		if u.String() == text {
			return u, true
		}
	}
	return 0, false
}

// Ask is a request that the policy judges.
type Ask struct {
	User  string     // the caller, as rpc.UserOf returns it; "": unknown
	Level rpc.Access // that the brokers granted to the call
	Wanted
}

// Wanted is what a caller wants to do. At most one of Argv and Line is set.
type Wanted struct {
	Use  Use
	Argv []string // Commands: a program and its arguments
	Line string   // Commands: a line for the shell
	Pty  bool     // on a terminal
}
