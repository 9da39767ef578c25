package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// target is where records go.
type target interface {
	// write writes whole lines and returns how many of them it has written.
	write(lines [][]byte) (int, error)
	sync() error
	reopen() error
	close()
}

// file is a target that is appended to.
type file struct {
	name    string
	open    *os.File // nil: it could not be opened
	partial bool     // the file ends within a line
}

// openFile opens a file for appending, for its owner alone if it is new. Nobody else may
// have had a say in which file that is: no link of somebody else is followed.
func openFile(name string) (*os.File, error) {
	if err := checkWay(name); err != nil {
		return nil, err
	}
	// O_NONBLOCK: opening a named pipe must not wait.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link; name the file itself", name)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkFile(name, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// checkFile returns an error for a file that may not hold records.
func checkFile(name string, info fs.FileInfo) error {
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", name)
	case stat != nil && !trusted(stat.Uid):
		return fmt.Errorf("%s belongs to another user (uid %d)", name, stat.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by others (mode %04o); chmod it to 0600", name, info.Mode().Perm())
	case stat != nil && stat.Nlink > 1:
		return fmt.Errorf("%s has %d hard links; name a file that has one", name, stat.Nlink)
	}
	return nil
}

func trusted(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// checkWay returns an error if a directory on the way to a file is a link that another user
// made, or lets another user take the file away or put one in its place.
func checkWay(name string) error {
	way := []string{filepath.Dir(name)}
	if real, err := filepath.EvalSymlinks(way[0]); err != nil {
		return err
	} else if real != way[0] {
		way = append(way, real)
	}
	for _, dir := range way {
		for holds := true; ; holds, dir = false, filepath.Dir(dir) {
			info, err := os.Lstat(dir)
			if err != nil {
				return err
			}
			if err := checkDir(dir, info, holds); err != nil {
				return err
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return nil
}

// unmapped is the owner of whatever belongs to nobody inside of a container.
const unmapped = 65534

// checkDir is checkWay for one directory; holds says that the file is in it.
func checkDir(dir string, info fs.FileInfo, holds bool) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case !ok:
	case mode&fs.ModeSymlink != 0:
		if !trusted(stat.Uid) {
			return fmt.Errorf("%s is a symbolic link of another user (uid %d)", dir, stat.Uid)
		}
	case !trusted(stat.Uid) && (holds || stat.Uid != unmapped):
		return fmt.Errorf("the directory %s belongs to another user (uid %d)", dir, stat.Uid)
	case mode.Perm()&0o002 != 0 && mode&fs.ModeSticky == 0:
		return fmt.Errorf("the directory %s can be written by everybody (mode %04o)", dir, mode.Perm())
	}
	return nil
}

// reopen opens the file again, since logrotate has moved it away. If that fails, the one
// that is open stays.
func (t *file) reopen() error {
	f, err := openFile(t.name)
	if err != nil {
		return err
	}
	if t.open != nil {
		_ = t.open.Close()
	}
	t.open = f
	t.partial, err = endsWithin(t.name, f)
	return err
}

// endsWithin reports whether a file ends within a line, as after a crash.
func endsWithin(name string, f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return true, nil // an empty line more does no harm
	}
	if err != nil {
		return true, err
	}
	defer reader.Close()
	last := make([]byte, 1)
	if _, err := reader.ReadAt(last, info.Size()-1); err != nil {
		return true, err
	}
	return last[0] != '\n', nil
}

func (t *file) write(lines [][]byte) (int, error) {
	if t.open == nil {
		if err := t.reopen(); err != nil && t.open == nil {
			return 0, err
		}
	}
	var text []byte
	if t.partial {
		text = append(text, '\n')
	}
	first := len(text)
	for _, each := range lines {
		text = append(text, each...)
	}
	n, err := t.open.Write(text)
	if n > 0 {
		t.partial = text[n-1] != '\n'
	}
	if err == nil {
		return len(lines), nil
	}
	written := 0
	for end := first; written < len(lines); written++ {
		if end += len(lines[written]); end > n {
			break
		}
	}
	return written, plain(err)
}

func (t *file) sync() error {
	if t.open == nil {
		return nil
	}
	return plain(t.open.Sync())
}

func (t *file) close() {
	if t.open != nil {
		_ = t.open.Close()
	}
}

// plain returns the error of the system: the file is named beside it.
func plain(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// sysLog is the local syslog (RFC 3164, as /dev/log takes it).
type sysLog struct {
	network, address string // "": the usual socket
	program          string
	w                *syslog.Writer
}

func (t *sysLog) reopen() error { return nil }
func (t *sysLog) sync() error   { return nil }

func (t *sysLog) write(lines [][]byte) (int, error) {
	if t.w == nil {
		w, err := syslog.Dial(t.network, t.address, syslog.LOG_AUTHPRIV|syslog.LOG_INFO, t.program)
		if err != nil {
			return 0, fmt.Errorf("syslog: %w", err)
		}
		t.w = w
	}
	for i, each := range lines {
		if _, err := t.w.Write(each); err != nil {
			return i, fmt.Errorf("syslog: %w", err)
		}
	}
	return len(lines), nil
}

func (t *sysLog) close() {
	if t.w != nil {
		_ = t.w.Close()
	}
}

// Check returns why records could not be written to a file at the moment. It changes
// nothing.
func Check(name string) error {
	if err := checkWay(name); err != nil {
		return err
	}
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := unix.Access(filepath.Dir(name), unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("%s cannot be made: its directory: %w", name, err)
		}
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link; name the file itself", name)
	}
	if err := checkFile(name, info); err != nil {
		return err
	}
	if err := unix.Access(name, unix.W_OK); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
