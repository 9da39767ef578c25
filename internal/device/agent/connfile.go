package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// WriteStatus keeps a file that holds 1 while the agent is connected and 0 otherwise, like the
// C++ agent (spec.md 10.4). It writes the file at each change and after each interval, so
// that the file's age shows that the agent runs. When ctx ends, it writes 0 and returns.
// failed is called for the first of several failures in a row: a full disk must not fill
// the log.
func (s *Status) WriteStatus(ctx context.Context, file string, interval time.Duration, failed func(error)) {
	failing := false
	write := func(text string) {
		err := replaceFile(file, text)
		if err != nil && !failing {
			failed(err)
		}
		failing = err != nil
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if s.Report().Connected {
			write("1")
		} else {
			write("0")
		}
		select {
		case <-ticker.C:
		case <-s.Changed():
		case <-ctx.Done():
			write("0")
			return
		}
	}
}

// replaceFile writes a file at once, and makes its directory. It follows no link that others can
// have made.
func replaceFile(file, text string) error {
	dir, err := openDir(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	temporary := ".conn-status-" + rand.Text()
	fd, err := unix.Openat(dir, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return &os.PathError{Op: "create a file beside", Path: file, Err: err}
	}
	out := os.NewFile(uintptr(fd), file)
	_, err = out.WriteString(text)
	if err == nil {
		err = out.Chmod(0o644) // whatever the umask is
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err == nil {
		if err = unix.Renameat(dir, temporary, dir, filepath.Base(file)); err != nil {
			err = &os.PathError{Op: "replace", Path: file, Err: err}
		}
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary, 0)
	}
	return err
}

// maxLinks is how many links openDir follows, as the kernel does.
const maxLinks = 40

// openDir opens a directory, and makes what is missing of it. A link counts only in a directory
// in which nobody can have put it but root and this process's user: another could make root
// write anywhere. The caller closes fd, which is good for openat(2) and the like.
func openDir(path string) (fd int, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return -1, err
	}
	if fd, err = openAt(unix.AT_FDCWD, "/"); err != nil {
		return -1, err
	}
	names, links := strings.Split(path, "/"), 0
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if name == "" || name == "." {
			continue
		}
		next, target, err := enter(fd, name)
		if err == nil && target != "" {
			if links++; links > maxLinks {
				err = unix.ELOOP
			}
			if names = append(strings.Split(target, "/"), names...); strings.HasPrefix(target, "/") && err == nil {
				next, err = openAt(unix.AT_FDCWD, "/")
			}
		}
		if err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("directory %s: %s: %w", path, name, err)
		}
		if next >= 0 {
			_ = unix.Close(fd)
			fd = next
		}
	}
	return fd, nil
}

func openAt(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// enter opens a name in a directory, and makes a directory if there is none. If the name is a
// link, it returns its target, and -1.
func enter(dir int, name string) (next int, target string, err error) {
	next, err = openAt(dir, name)
	if err == unix.ENOENT {
		if err = unix.Mkdirat(dir, name, 0o755); err == nil || err == unix.EEXIST {
			next, err = openAt(dir, name)
		}
	}
	if err != nil {
		return -1, "", err
	}
	var info, parent unix.Stat_t
	if err = unix.Fstat(next, &info); err == nil {
		err = unix.Fstat(dir, &parent)
	}
	kind := info.Mode & unix.S_IFMT
	if err == nil && kind == unix.S_IFDIR {
		return next, "", nil
	}
	defer unix.Close(next)
	switch {
	case err != nil:
	case kind != unix.S_IFLNK:
		err = unix.ENOTDIR
	case parent.Mode&0o022 != 0 || parent.Uid != 0 && int(parent.Uid) != os.Geteuid():
		err = errors.New("a link in a directory in which others can make links; it is not followed")
	default:
		buf := make([]byte, unix.PathMax)
		var n int
		if n, err = unix.Readlinkat(next, "", buf); err == nil {
			return -1, string(buf[:n]), nil
		}
	}
	return -1, "", err
}
