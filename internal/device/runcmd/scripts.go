package runcmd

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// Bounds of the scripts that are kept. The least recently used ones are deleted.
const (
	maxScript      = 1 << 20 // bytes of one
	maxScripts     = 256
	maxScriptBytes = 16 << 20 // of all
)

// codeNoScript is the error code of the C++ agent for an unknown SHA1. Callers then send
// the script.
const codeNoScript = rpc.CodeFirstOfUserCode

// Scripts keeps scripts by their SHA1 in a directory that only the agent's user can read.
// All methods may be called concurrently.
type Scripts struct {
	dir string
	now func() time.Time

	mu   sync.Mutex
	used map[string]int // by name: how often a script runs now
}

// NewScripts returns Scripts that keep scripts in dir, which is created for the first one.
// now is the clock for the order of use.
func NewScripts(dir string, now func() time.Time) *Scripts {
	return &Scripts{dir: dir, now: now, used: make(map[string]int)}
}

// RunScript keeps the script of c, or finds it by its SHA1, and runs it as Run does: in
// bash, or in sh if there is no bash.
func (h Host) RunScript(ctx context.Context, s *Scripts, c Call) (chainpack.Value, error) {
	file, release, err := s.take(c.Text)
	if err != nil {
		return chainpack.Value{}, err
	}
	defer release()
	var handed *os.File
	if h.Foreign {
		if handed, err = handOver(file); err != nil {
			return chainpack.Value{}, rpc.Errorf(rpc.CodeException,
				"the script cannot be handed to another user on this device: %v", err)
		}
		defer handed.Close()
		file = fmt.Sprintf("/dev/fd/%d", ptyproc.HandedFD)
	}
	args := append([]string{file}, c.Args...)
	result, err := h.run(ctx, c, "bash", args, handed)
	var start *StartError
	if errors.As(err, &start) && start.notFound() {
		return h.run(ctx, c, "sh", args, handed)
	}
	return result, err
}

// handOver returns a copy of a script in a sealed memfd, which nobody can change, for a
// user who cannot read the script itself.
func handOver(script string) (*os.File, error) {
	text, err := os.ReadFile(script)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("script", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "script")
	if _, err = file.Write(text); err == nil {
		const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// take returns the file of a script, which is not deleted before release.
func (s *Scripts) take(text string) (file string, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	root, err := s.open()
	if err != nil {
		return "", nil, rpc.Errorf(rpc.CodeException, "scripts cannot be kept on this device: %v", err)
	}
	defer root.Close()
	name := ScriptName(text)
	if !isSHA1(strings.ToLower(text)) {
		if len(text) > maxScript {
			return "", nil, rpc.Errorf(rpc.CodeInvalidParam,
				"the script is too long: %d bytes (at most %d)", len(text), maxScript)
		}
		if err := s.keep(root, name, text); err != nil {
			return "", nil, rpc.Errorf(rpc.CodeException, "the script cannot be kept on this device: %v", err)
		}
	} else if !sound(root, name) {
		// The text of the C++ agent.
		return "", nil, rpc.Errorf(codeNoScript,
			"SHA1_NOT_EXISTS - Script with SHA1 privided doesn't exist, sha1: %s", text)
	}
	_ = root.Chtimes(name, s.now(), s.now()) // the order of use
	s.used[name]++
	return filepath.Join(s.dir, name), func() { s.release(name) }, nil
}

func (s *Scripts) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[name]--; s.used[name] <= 0 {
		delete(s.used, name)
	}
}

// open creates the directory if needed and makes sure that nobody else can read or write
// it.
func (s *Scripts) open() (*os.Root, error) {
	if s.dir == "" {
		return nil, errors.New("the agent has no directory for them (--state-dir)")
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Lstat(s.dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", s.dir)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	if err := private(root, s.dir); err != nil {
		_ = root.Close()
		return nil, err
	}
	return root, nil
}

// private makes dir, which root is, accessible to this process's user only.
func private(root *os.Root, dir string) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	if info.Mode().Perm() != 0o700 {
		return root.Chmod(".", 0o700)
	}
	return nil
}

// keep writes a script unless it exists, after making room.
func (s *Scripts) keep(root *os.Root, name, text string) error {
	if sound(root, name) {
		return nil
	}
	if err := s.makeRoom(root, len(text)); err != nil {
		return err
	}
	const temporary = "new"
	_ = root.Remove(temporary) // left by an agent that was killed
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err // the path means nothing to the caller
	}
	return err
}

// makeRoom deletes the least recently used scripts until one more of size bytes fits. Those
// that run are kept.
func (s *Scripts) makeRoom(root *os.Root, size int) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	var kept []fs.FileInfo
	total := int64(size)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // deleted meanwhile
		}
		kept = append(kept, info)
		total += info.Size()
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	count := len(kept) + 1
	for _, info := range kept {
		if count <= maxScripts && total <= maxScriptBytes {
			return nil
		}
		if s.used[info.Name()] > 0 || root.Remove(info.Name()) != nil {
			continue
		}
		count--
		total -= info.Size()
	}
	return nil
}

// sound reports whether the script exists and matches its name. A power cut may leave a
// part of one.
func sound(root *os.Root, name string) bool {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	return err == nil && scriptName(content) == name
}

// scriptName returns the name of a script: its SHA1 in 40 hex digits.
func scriptName(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

// ScriptName returns the name of the script that a caller means, by its text or its SHA1.
func ScriptName(text string) string {
	if name := strings.ToLower(text); isSHA1(name) {
		return name
	}
	return scriptName([]byte(text))
}

// isSHA1 reports whether a text is a SHA1 in lower-case hex digits.
func isSHA1(text string) bool {
	if len(text) != 2*sha1.Size {
		return false
	}
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
