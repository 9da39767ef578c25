package link

import (
	"errors"
	"fmt"
	"io"
)

// webConn is a connection that separates frames itself: a WebSocket (spec.md 4.3) of package
// transport.
type webConn interface {
	// NextFrame waits for a frame and returns its payload, which ends with io.EOF. A clean end of
	// the connection is io.EOF. An error with a method Violation means that the peer broke a rule
	// of the framing.
	NextFrame() (io.Reader, error)
	// WriteFrame writes a frame, given in the block framing with its payload from wire[payload] on.
	WriteFrame(wire []byte, payload int) error
	// Written grows with the bytes that are written.
	Written() uint64
	// CloseFor closes the connection with a status of RFC 6455 section 7.4 and a reason.
	CloseFor(status int, reason string) error
}

// webSocket is the framing of a webConn.
type webSocket struct{ conn webConn }

func (w webSocket) readFrame(l *Link) (*Frame, Cause, error) {
	l.flushRelayed()
	payload, err := w.conn.NextFrame()
	if err != nil {
		return nil, readCause(err), err
	}
	l.pulse.entered()
	defer l.pulse.left()
	for f, limit := NewFrame(classes[0]), l.maxFrame.Load(); ; {
		if f, err = l.withSpace(f); err != nil {
			f.Release()
			return nil, readCause(err), err
		}
		n, err := payload.Read(f.buf[f.end : len(f.buf)-tailroom])
		f.end += n
		l.pulse.received.Add(uint64(n))
		size := int64(f.end - f.start)
		switch {
		case size > limit:
			err = fmt.Errorf("frame %d: more than the %d bytes allowed", l.rx.Load()+1, limit)
			f.Release()
			return nil, FrameTooLong, err
		case err == io.EOF && size > 0:
			return f, Open, nil
		case err == io.EOF:
			err = errEmptyFrame
		}
		if err != nil {
			f.Release()
			return nil, readCause(err), fmt.Errorf("frame %d: %w", l.rx.Load()+1, err)
		}
	}
}

func (w webSocket) writeFrame(_ *Link, wire []byte, payload int, _ bool) error {
	return w.conn.WriteFrame(wire, payload)
}

// isViolation reports whether err is the fault of the peer's framing.
func isViolation(err error) bool {
	var v interface{ Violation() }
	return errors.Is(err, errEmptyFrame) || errors.As(err, &v)
}

// status returns the close status of RFC 6455 section 7.4 for the cause.
func (c Cause) status() int {
	switch c {
	case PeerClosed, Done, TunnelEnded:
		return 1000
	case Shutdown:
		return 1001
	case ProtocolError:
		return 1002
	case FrameTooLong:
		return 1009
	case Bug:
		return 1011
	case TooManyConnections, TooManyLogins, TooManyFromSource, HandshakeLate:
		return 1013
	}
	return 1008 // policy violation
}
