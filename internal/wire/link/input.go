package link

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// readBuffer is the size of a read buffer in bytes. It is small because larger payloads are read
// straight into their own frame.
const readBuffer = 4 << 10

// readBuffers pools the buffers: only links with unread bytes hold one.
var readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// input is the reading side of a connection, with a buffer. An idle link holds no buffer: it takes
// one when the system has something to read. The read loop owns it.
type input struct {
	link     *Link
	raw      syscall.RawConn // nil: the connection is not a socket of Go's poller
	buf      *[readBuffer]byte
	from, to int // the unread bytes in buf

	// Of one read through raw.
	attempt func(fd uintptr) bool
	into    []byte // the destination; nil: buf
	n       int
	err     error
}

func (in *input) init(l *Link, raw syscall.RawConn) {
	in.link, in.raw = l, raw
	in.attempt = in.try // once: a closure for each read would be an allocation
}

// release gives the buffer back to the pool.
func (in *input) release() {
	if in.buf != nil {
		readBuffers.Put(in.buf)
		in.buf, in.from, in.to = nil, 0, 0
	}
}

// buffered returns how many bytes can be consumed without a read.
func (in *input) buffered() int { return in.to - in.from }

// fill waits until something is buffered.
func (in *input) fill() error {
	for in.from == in.to {
		n, err := in.read(nil)
		in.from, in.to = 0, n
		if n == 0 && err != nil {
			return err
		}
	}
	return nil
}

// ReadByte consumes one byte.
func (in *input) ReadByte() (byte, error) {
	if err := in.fill(); err != nil {
		return 0, err
	}
	in.from++
	return in.buf[in.from-1], nil
}

// Read consumes buffered bytes, or reads the connection if there are none; straight into b if that
// is large.
func (in *input) Read(b []byte) (int, error) {
	if in.from == in.to && len(b) >= readBuffer {
		return in.read(b)
	}
	if err := in.fill(); err != nil {
		return 0, err
	}
	n := copy(b, in.buf[in.from:in.to])
	in.from += n
	return n, nil
}

// read reads the connection into b, or into the buffer if b is nil. It first flushes what the read
// loop has relayed, since the next bytes may be long in coming.
func (in *input) read(b []byte) (n int, err error) {
	in.link.flushRelayed()
	if in.raw != nil {
		n, err = in.readRaw(b)
	} else {
		if b == nil {
			b = in.take()
		}
		n, err = in.link.conn.Read(b)
	}
	in.link.pulse.received.Add(uint64(n))
	return n, err
}

// take returns the buffer, and gets one if the input holds none.
func (in *input) take() []byte {
	if in.buf == nil {
		in.buf = readBuffers.Get().(*[readBuffer]byte)
	}
	return in.buf[:]
}

func (in *input) readRaw(b []byte) (int, error) {
	in.into, in.n, in.err = b, 0, nil
	err := in.raw.Read(in.attempt)
	in.into = nil
	switch {
	case err != nil:
		return 0, err
	case in.err != nil:
		return 0, readError(in.link.conn, in.err)
	case in.n == 0:
		return 0, io.EOF
	}
	return in.n, nil
}

// readError wraps an error of the system as package net does.
func readError(conn net.Conn, err error) error {
	at := conn.LocalAddr()
	err = os.NewSyscallError("read", err)
	return &net.OpError{Op: "read", Net: at.Network(), Source: at, Addr: conn.RemoteAddr(), Err: err}
}

// try reads what is available. It returns false if nothing is yet.
func (in *input) try(fd uintptr) bool {
	b := in.into
	if b == nil {
		b = in.take()
	}
	for {
		n, err := unix.Read(int(fd), b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			in.release()
			return false
		}
		in.n, in.err = max(n, 0), err
		return true
	}
}

// rawOf returns the way past package net to a socket of Go's poller, nil for other connections.
func rawOf(conn net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	err := errors.ErrUnsupported
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}
