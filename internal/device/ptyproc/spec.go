package ptyproc

import (
	"os"
	"strings"
	"syscall"
)

// Size is the size of a terminal in character cells. With either field zero
// it is "not set", and the kernel's 0×0 or the former size stays.
type Size struct {
	Cols, Rows uint16
}

func (s Size) isSet() bool { return s.Cols != 0 && s.Rows != 0 }

// HandedFD is where a process finds the file that it is handed.
const HandedFD = 3

// Spec says what to start, and how.
type Spec struct {
	// Path is the program. Without a slash it is looked up in Search; a
	// relative one with a slash is meant from Dir.
	Path string
	// Search is the PATH in which Path is looked up; empty: that of Env.
	Search string
	// Argv holds the arguments, argv[0] first: "-bash" makes a login shell.
	// Empty means {Path}.
	Argv []string
	// Env is the whole environment as KEY=value; nothing is inherited, not
	// even when it is nil. Of equal keys the last one counts.
	Env []string
	// Dir is the working directory; empty: the caller's.
	Dir string
	// Pty asks for a terminal of that size (a zero Size: a terminal without
	// a size). Nil: three pipes.
	Pty *Size
	// Handed, if set, is a file that the process has as descriptor HandedFD. Start
	// does not close it.
	Handed *os.File
	// Credential is the user to run as; nil: unchanged.
	Credential *syscall.Credential
	// Via, if set, says what is executed in the place of the program that was
	// found; it is to become that program.
	Via func(program string, argv []string) (path string, viaArgv []string)
}

// searchEnv is env with the PATH that the program is looked up in.
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

// environ returns Env with one entry for each key. Programs disagree which
// of two counts (libc: the first, bash: the last), and a filter that looked
// at one of them must not be passed by the other.
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
