package ptyproc

import (
	"os"
	"strings"
	"syscall"
)

// Size is the size of a terminal in character cells. If either field is 0 it is not set,
// and the terminal keeps the size that it has (0×0 for a new one).
type Size struct {
	Cols, Rows uint16
}

func (s Size) isSet() bool { return s.Cols != 0 && s.Rows != 0 }

// HandedFD is the descriptor of Spec.Handed in the process.
const HandedFD = 3

// Spec says what to start, and how.
type Spec struct {
	// Path is the program. Without a slash it is looked up in Search; a relative path
	// with a slash is relative to Dir.
	Path string
	// Search is the PATH in which Path is looked up; "": that of Env.
	Search string
	// Argv holds the arguments, argv[0] first: "-bash" makes a login shell. Empty means
	// {Path}.
	Argv []string
	// Env is the whole environment as KEY=value; nothing is inherited, even if it is
	// nil. Of equal keys the last one counts.
	Env []string
	// Dir is the working directory; "": that of this process.
	Dir string
	// Pty is the size of the process's terminal; a zero Size: not set. Nil: three pipes
	// instead of a terminal.
	Pty *Size
	// Handed, if set, is a file that the process gets as descriptor HandedFD. Start does
	// not close it.
	Handed *os.File
	// Credential is the user to run as; nil: that of this process.
	Credential *syscall.Credential
	// Via, if set, returns what to execute instead of the program that was found. It
	// must become that program.
	Via func(program string, argv []string) (path string, viaArgv []string)
}

// searchEnv returns env with the PATH in which the program is looked up.
func (s Spec) searchEnv(env []string) []string {
	if s.Search == "" {
		return env
	}
	return append(env[:len(env):len(env)], "PATH="+s.Search)
}

func (s Spec) argv() []string {
	if len(s.Argv) > 0 {
		return s.Argv
	}
	return []string{s.Path}
}

// environ returns Env with one entry for each key. Programs disagree on which of two counts
// (libc: the first, bash: the last), and a filter that checks one of them must not let the
// other through.
func (s Spec) environ() []string {
	last := make(map[string]int, len(s.Env))
	for i, kv := range s.Env {
		last[envKey(kv)] = i
	}
	out := make([]string, 0, len(last))
	for i, kv := range s.Env {
		if last[envKey(kv)] == i {
			out = append(out, kv)
		}
	}
	return out
}

func envKey(kv string) string {
	key, _, _ := strings.Cut(kv, "=")
	return key
}

func getenv(env []string, key string) (value string, ok bool) {
	for _, kv := range env {
		if k, v, found := strings.Cut(kv, "="); found && k == key {
			value, ok = v, true
		}
	}
	return value, ok
}
