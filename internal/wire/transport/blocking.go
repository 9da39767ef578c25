package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// blockingConn is a connection whose reads and writes block their thread in the system instead of
// parking in Go's poller. In a program with one connection that saves a detour on each wake-up,
// which shows in the echo of a keystroke.
//
// It does not support deadlines. Close ends pending reads and writes by shutting the connection
// down. It closes the descriptor only when nobody uses it any more, since the system could give its
// number to another file meanwhile.
type blockingConn struct {
	local, remote net.Addr
	fd            int

	mu     sync.Mutex
	users  int
	closed bool
}

// newBlockingConn takes over conn, a socket. The caller must not use conn any more.
func newBlockingConn(conn net.Conn) (net.Conn, error) {
	defer conn.Close()
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var failed error
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 3)
		if failed == nil {
			failed = unix.SetNonblock(fd, false)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return nil, os.NewSyscallError("dup", err)
	}
	return &blockingConn{local: conn.LocalAddr(), remote: conn.RemoteAddr(), fd: fd}, nil
}

// use registers a user of the descriptor. It returns false after Close.
func (c *blockingConn) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.users++
	return true
}

func (c *blockingConn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
	c.closeUnusedLocked()
}

// closeUnusedLocked closes the descriptor if Close was called and nobody uses it.
func (c *blockingConn) closeUnusedLocked() {
	if c.closed && c.users == 0 && c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// Read waits for data.
func (c *blockingConn) Read(b []byte) (int, error) {
	if !c.use() {
		return 0, net.ErrClosed
	}
	defer c.release()
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Read(c.fd, b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, c.opError("read", "read", err)
		case n == 0:
			return 0, c.endOfInput()
		}
		return n, nil
	}
}

// opError wraps an error of the system call as package net does.
func (c *blockingConn) opError(op, call string, err error) error {
	err = os.NewSyscallError(call, err)
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// endOfInput returns net.ErrClosed after our own Close, and io.EOF after the peer's.
func (c *blockingConn) endOfInput() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return io.EOF
}

// Write writes all of b.
func (c *blockingConn) Write(b []byte) (written int, err error) {
	if !c.use() {
		return 0, net.ErrClosed
	}
	defer c.release()
	for written < len(b) {
		// Not write(2): a connection that the peer has closed would send this process
		// SIGPIPE.
		n, err := unix.SendmsgN(c.fd, b[written:], nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return written, c.opError("write", "send", err)
		}
		written += n
	}
	return written, nil
}

// AckNow sends the acknowledgement of what was read. The system would hold it back for about 40 ms
// and send it with data.
func (c *blockingConn) AckNow() {
	if c.use() {
		defer c.release()
		_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) // other sockets do not need it
	}
}

// PeerClosed reports whether the peer has closed the connection, even if data that it sent before
// is still unread.
func (c *blockingConn) PeerClosed() bool {
	if !c.use() {
		return true
	}
	defer c.release()
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// CloseWrite tells the peer that no more comes.
func (c *blockingConn) CloseWrite() error {
	if !c.use() {
		return net.ErrClosed
	}
	defer c.release()
	return unix.Shutdown(c.fd, unix.SHUT_WR)
}

// Close ends the connection and everything that waits on it.
func (c *blockingConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	if c.users > 0 {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
	c.closeUnusedLocked()
	return nil
}

// LocalAddr returns our address.
func (c *blockingConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's address.
func (c *blockingConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline returns os.ErrNoDeadline, and so do SetReadDeadline and SetWriteDeadline.
func (c *blockingConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline is like SetDeadline.
func (c *blockingConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline is like SetDeadline.
func (c *blockingConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
