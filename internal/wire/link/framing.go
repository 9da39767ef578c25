package link

import (
	"net"

	"shvtools/internal/shv/chainpack"
)

// framing separates the frames on a connection. The block framing (spec.md 4.1) does not implement
// it: frames hold their bytes in that form and are written as they are.
type framing interface {
	// readFrame waits for a frame and reads it. The read loop calls it. The end of the connection
	// before the first byte of a frame is io.EOF.
	readFrame(l *Link) (*Frame, Cause, error)
	// writeFrame writes one frame, given in the block framing with its payload from wire[payload]
	// on. more says that another frame follows at once. The goroutine that took the queue calls it.
	writeFrame(l *Link, wire []byte, payload int, more bool) error
}

// framingOf returns the framing of conn, nil for block, and the connection to use it on.
func framingOf(conn net.Conn) (framing, net.Conn) {
	if c, ok := conn.(interface{ Serial() net.Conn }); ok {
		return new(serial), c.Serial()
	}
	if c, ok := conn.(webConn); ok {
		return webSocket{c}, conn
	}
	return nil, conn
}

// writeFramed writes frames in order and releases those that are written.
func (l *Link) writeFramed(frames []*Frame) (written int, err error) {
	for i, f := range frames {
		if err := l.writeWire(f.wireBytes(), i+1 < len(frames)); err != nil {
			return i, err
		}
		l.account(f.Size(), frames[i:i+1])
		f.Release()
		frames[i] = nil
	}
	return len(frames), nil
}

// writeWire writes the whole frames that wire holds in the block framing. more says that others
// follow.
func (l *Link) writeWire(wire []byte, more bool) error {
	for len(wire) > 0 {
		length, payload, err := chainpack.UIntData(wire)
		if err != nil {
			return err // never: this program wrote the prefix
		}
		size := payload + int(length)
		if err := l.framing.writeFrame(l, wire[:size], payload, more || size < len(wire)); err != nil {
			return err
		}
		wire = wire[size:]
	}
	return nil
}

// withSpace returns a frame with space for more bytes and the content of f: f itself, or a larger
// one that replaces it. It serves frames whose length nobody declares.
// With an error it is f, and the caller's account has no more memory.
func (l *Link) withSpace(f *Frame) (*Frame, error) {
	if f.end < len(f.buf)-tailroom {
		return f, nil
	}
	return l.grow(f, f.end-f.start)
}

// grow returns a frame with space for at least more bytes after the content of f, which it
// releases. With an error it is f.
func (l *Link) grow(f *Frame, more int) (*Frame, error) {
	size := f.end - f.start + more
	if err := l.reading.reserve(size); err != nil {
		return f, err
	}
	larger := NewFrame(size)
	larger.end += copy(larger.buf[larger.end:], f.Payload())
	f.Release()
	return larger, nil
}
