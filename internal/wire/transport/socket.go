package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSocketPath is the longest path of a socket in Linux, in bytes.
	maxSocketPath = 107
	// socketMode is the file mode of sockets whose URL names none.
	socketMode fs.FileMode = 0o600
	// probeWait is how long an existing listener may take to answer, and lockWait how long another
	// program may hold the lock of the directory.
	probeWait = time.Second
	lockWait  = 5 * time.Second
)

// listenUnix opens a socket that never, not even briefly, is open to users that its mode excludes.
func listenUnix(ctx context.Context, u URL) (net.Listener, error) {
	if len(u.Path) > maxSocketPath {
		return nil, fmt.Errorf("socket %s: path longer than %d bytes", u.Path, maxSocketPath)
	}
	mode := socketMode
	if u.Mode != 0 {
		mode = u.Mode
	}
	// Without the lock, two programs that start at once could each take the other's new
	// socket for a stale one.
	unlock, err := lockDirectory(ctx, filepath.Dir(u.Path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(ctx, u.Path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return unix.Fchmod(fd, uint32(mode)) }) // bind gives the file this mode
	}}
	l, err := lc.Listen(ctx, Unix, u.Path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(u.Path, mode); err != nil { // adds what the umask removed
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func lockDirectory(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("directory %s is locked by another program: %w", dir, err)
		}
	}
}

// removeStale removes a socket file on which nobody listens.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, Unix, path)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("socket %s: another program listens on it", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("cannot tell whether socket %s is in use: %w", path, err)
	}
	return os.Remove(path)
}
