// Package policy is the one judge of what a caller may do on a device: a list of
// rules, of which the first that fits decides. The agent asks it before it starts
// anything; what it grants goes to the helper, which checks it once more. It
// reads no file and starts no process: package config does the one, and who
// asks the other.
package policy

import (
	"shvtools/internal/shv/rpc"
)

// Use is a kind of what a device can be used for.
type Use int

// The uses.
const (
	Shell    Use = iota // a shell to type in
	Commands            // a program, or a line for the shell
	Scripts             // runScript
	Files               // the nodes below sys/fs
	SFTP                // the subsystem
)

var useNames = [...]string{Shell: "shell", Commands: "commands", Scripts: "scripts", Files: "files", SFTP: "sftp"}

// Uses are all of them.
func Uses() []Use { return []Use{Shell, Commands, Scripts, Files, SFTP} }

// String is the word for it in configurations.
func (u Use) String() string { return useNames[u] }

// ParseUse reads such a word.
func ParseUse(text string) (Use, bool) {
	for _, u := range Uses() {
		if u.String() == text {
			return u, true
		}
	}
	return 0, false
}

// Ask is a question to the judge.
type Ask struct {
	User  string // as UserOf has it
	Level rpc.Access
	Wanted
}

// Wanted is what somebody wants to do. Of Argv and Line at most one is set.
type Wanted struct {
	Use  Use
	Argv []string // Commands: a program and its arguments
	Line string   // Commands: a line for the shell
}
