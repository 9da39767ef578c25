package ptyproc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
)

// The exit codes of a program that could not be started, as in every shell.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// defaultPath is searched when the environment has no PATH.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// maxNameRunes bounds names in error messages: clients choose them.
const maxNameRunes = 200

var (
	errNoProgram     = errors.New("no program given")
	errNoInterpreter = errors.New("its interpreter or loader was not found")
)

// StartError is the error of a program that could not be started.
type StartError struct {
	// Path is the program as it was given, or the working directory if that was the
	// obstacle.
	Path string
	// Code is the exit code that a shell would return: 127 if the program was not
	// found; 126 otherwise, as for a file that is not executable, a directory, a script
	// whose interpreter is missing, a working directory that cannot be entered, or a
	// device without free terminals or processes.
	Code int
	// Err is the cause, in most cases a syscall.Errno.
	Err error
}

// Error returns one line without control characters, such as "nosuch: not found".
func (e *StartError) Error() string {
	text := ""
	switch {
	case e.Err == nil:
		text = "cannot be started"
	case errors.Is(e.Err, syscall.ENOENT) && e.Code == codeNotFound:
		text = "not found"
	default:
		text = e.Err.Error()
	}
	if e.Path == "" {
		return printable(text)
	}
	return printable(e.Path) + ": " + printable(text)
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// printable replaces the characters of a name that could act on a terminal, and shortens
// it.
func printable(s string) string {
	r := []rune(s)
	if len(r) > maxNameRunes {
		r = append(r[:maxNameRunes], '…')
	}
	for i, c := range r {
		if !unicode.IsPrint(c) {
			r[i] = '?'
		}
	}
	return string(r)
}

// lookup returns the file to execute for a name. It skips relative entries of PATH, the
// empty one included: what they mean depends on the current directory.
func lookup(name, dir string, env []string) (string, error) {
	switch {
	case name == "":
		return "", &StartError{Code: codeNotFound, Err: errNoProgram}
	case strings.Contains(name, "/"):
		file := name
		if !filepath.IsAbs(name) {
			file = dir + "/" + name // not Join: x/../y may lead elsewhere
			if dir == "" {
				file = name
			}
		}
		if err := executable(file); err != nil {
			return "", startError(name, err)
		}
		return name, nil
	}
	path, ok := getenv(env, "PATH")
	if !ok {
		path = defaultPath
	}
	result := error(syscall.ENOENT)
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue
		}
		file := filepath.Join(d, name)
		err := executable(file)
		if err == nil {
			return file, nil
		}
		if !notFound(err) && notFound(result) {
			result = err // found but not executable: the error if nothing else is found
		}
	}
	return "", startError(name, result)
}

// executable returns an error for a file that nobody can execute. Whether the program's
// user can, execve decides.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return errnoOf(err)
	case info.IsDir():
		return syscall.EISDIR
	case info.Mode()&0o111 == 0:
		return syscall.EACCES
	}
	return nil
}

// checkDir checks the working directory before the fork: after it, its error could not be
// told from the program's.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil {
		return nil
	}
	return &StartError{
		Path: dir, Code: codeNotExecutable,
		Err: fmt.Errorf("cannot be the working directory: %w", errnoOf(err)),
	}
}

func startError(name string, err error) *StartError {
	e := &StartError{Path: name, Code: codeNotExecutable, Err: errnoOf(err)}
	if notFound(err) {
		e.Code = codeNotFound
	}
	return e
}

// openError is the error if there are no pipes or no terminal.
func openError(name string, err error) *StartError {
	if errors.Is(err, syscall.ENOSPC) { // a limit of devpts, not of a disk
		err = fmt.Errorf("no terminal is left on the device: %w", errnoOf(err))
	}
	return &StartError{Path: name, Code: codeNotExecutable, Err: err}
}

// execError is the error if fork or exec fails for a file that lookup accepted.
func execError(name string, err error) *StartError {
	switch {
	case notFound(err):
		return &StartError{Path: name, Code: codeNotExecutable, Err: errNoInterpreter}
	case errors.Is(err, syscall.EAGAIN):
		err = fmt.Errorf("no process can be started on the device: %w", errnoOf(err))
		return &StartError{Path: name, Code: codeNotExecutable, Err: err}
	}
	return &StartError{Path: name, Code: codeNotExecutable, Err: errnoOf(err)}
}

func notFound(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// errnoOf returns the errno in err, without the path that package os adds.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
