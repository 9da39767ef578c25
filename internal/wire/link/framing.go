package link

import (
	"net"

	"shvtools/internal/shv/chainpack"
)

// framing is how frames are kept apart on a connection. The block framing
// (spec.md 4.1) is none of them: it is what frames hold, so that they go out
// as they are.
type framing interface {
	// readFrame waits for a frame and reads it. It is called by the read loop, and
	// an end before the first byte of a frame is io.EOF.
	readFrame(l *Link) (*Frame, Cause, error)
	// writeFrame writes one frame of the block framing, whose payload begins at
	// wire[payload]; more tells that another one follows at once. It is called by
	// whoever took the queue.
	writeFrame(l *Link, wire []byte, payload int, more bool) error
}

// framingOf is the framing of conn, nil for block, and the connection that it is
// spoken on.
func framingOf(conn net.Conn) (framing, net.Conn) {
	if c, ok := conn.(interface{ Serial() net.Conn }); ok {
		return new(serial), c.Serial()
	}
	if c, ok := conn.(webConn); ok {
		return webSocket{c}, conn
	}
	return nil, conn
}

// writeFramed writes the frames in order and releases those that are out.
func (l *Link) writeFramed(frames []*Frame) error {
	for i, f := range frames {
		if err := l.writeWire(f.wireBytes(), i+1 < len(frames)); err != nil {
			return err
		}
		l.account(f.Size())
		f.Release()
		frames[i] = nil
	}
	return nil
}

// writeWire writes the frames of the block framing in wire, which are whole.
func (l *Link) writeWire(wire []byte, more bool) error {
	for len(wire) > 0 {
		length, payload, err := chainpack.UIntData(wire)
		if err != nil {
			return err // never: we made it
		}
		size := payload + int(length)
		if err := l.framing.writeFrame(l, wire[:size], payload, more || size < len(wire)); err != nil {
			return err
		}
		wire = wire[size:]
	}
	return nil
}

// withSpace gives a frame with room for more, which holds what f held: f itself or one
// in its place. It is for frames whose length nobody has declared.
func (f *Frame) withSpace() *Frame {
	if f.end < len(f.buf)-tailroom {
		return f
	}
	larger := NewFrame(2 * (f.end - f.start))
	larger.end += copy(larger.buf[larger.end:], f.Payload())
	f.Release()
	return larger
}
