package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The control bytes of the serial framing (spec.md 4.2). Within a frame each of them
// is sent as two bytes: the escape and its own lower half.
const (
	serialStart  = 0xa2 // STX
	serialEnd    = 0xa3 // ETX
	serialAbort  = 0xa4 // ATX
	serialEscape = 0xaa // ESC
)

// isSerial reports whether c is a control byte.
func isSerial(c byte) bool { return c >= serialStart && c <= serialAbort || c == serialEscape }

var errEscape = errors.New("escape of a byte that needs none")

// serial is the serial framing over a stream that loses nothing (protocol.md 9). No checksum
// follows a frame; one that a peer sends is skipped, like everything between frames. A frame that
// is begun again or aborted is dropped, as its sender wants. An escape of a byte that needs none is
// a protocol error, since a reliable stream has no noise that could cause it.
type serial struct {
	out *batch // bytes that are not written yet; nil: none
}

func (s *serial) readFrame(l *Link) (*Frame, Cause, error) {
	if err := l.in.seek(serialStart); err != nil {
		return nil, readCause(err), err
	}
	f, cause, err := readSerial(l, NewFrame(classes[0]))
	l.pulse.left()
	if err == nil {
		return f, Open, nil
	}
	f.Release()
	if err == io.EOF {
		return nil, cause, err
	}
	return nil, cause, fmt.Errorf("frame %d: %w", l.rx.Load()+1, err)
}

// readSerial reads the rest of a frame that has begun into f. It returns f or the larger frame that
// replaced it, also with an error.
func readSerial(l *Link, f *Frame) (*Frame, Cause, error) {
	in := &l.in
	for {
		c, err := in.within(l)
		if err != nil {
			return f, readCause(err), err
		}
		if !isSerial(c) {
			in.from-- // takePlain moves it with the bytes after it
			if f, err = in.takePlain(l, f); err != nil {
				return f, readCause(err), err
			}
		}
		switch c {
		case serialStart:
			f.end = f.start
		case serialEnd:
			if f.end == f.start {
				return f, ProtocolError, errEmptyFrame
			}
			return f, Open, nil
		case serialAbort:
			f.end = f.start
			l.pulse.left()
			if err := in.seek(serialStart); err != nil {
				return f, readCause(err), err
			}
		case serialEscape:
			low, err := in.within(l)
			if err != nil {
				return f, readCause(err), err
			}
			c = 0xa0 | low
			if low > 0x0f || !isSerial(c) {
				return f, ProtocolError, fmt.Errorf("%w: %02x %02x at byte %d", errEscape, serialEscape, low, f.end-f.start)
			}
			if f, err = l.withSpace(f); err != nil {
				return f, readCause(err), err
			}
			f.buf[f.end] = c
			f.end++
		}
		if limit := l.maxFrame.Load(); int64(f.end-f.start) > limit {
			return f, FrameTooLong, fmt.Errorf("more than the %d bytes allowed", limit)
		}
	}
}

// seek consumes everything up to and including the next b.
func (in *input) seek(b byte) error {
	for {
		if err := in.fill(); err != nil {
			return err
		}
		if i := bytes.IndexByte(in.buf[in.from:in.to], b); i >= 0 {
			in.from += i + 1
			return nil
		}
		in.from = in.to
	}
}

// within reads a byte of a frame that has begun.
func (in *input) within(l *Link) (byte, error) {
	if in.buffered() == 0 {
		l.pulse.entered()
	}
	c, err := in.ReadByte()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return c, err
}

// takePlain moves the buffered bytes before the next control byte into f, as many as fit. It
// returns f or the larger frame that replaced it, also with an error.
func (in *input) takePlain(l *Link, f *Frame) (*Frame, error) {
	f, err := l.withSpace(f)
	if err != nil {
		return f, err
	}
	b := in.buf[in.from:in.to]
	b = b[:min(len(b), len(f.buf)-tailroom-f.end)]
	n := 0
	for n < len(b) && !isSerial(b[n]) {
		n++
	}
	f.end += copy(f.buf[f.end:], b[:n])
	in.from += n
	return f, nil
}

func (s *serial) writeFrame(l *Link, wire []byte, payload int, more bool) error {
	if s.out == nil {
		s.out = batches.Get().(*batch)
		s.out.b = s.out.b[:0]
	}
	err := s.encode(l, wire[payload:])
	if err == nil && !more {
		_, err = l.writePieces(s.out.b)
	}
	if err != nil || !more {
		s.out.b = s.out.b[:0]
		batches.Put(s.out)
		s.out = nil
	}
	return err
}

// encode appends a frame to the output and writes the output whenever it is full.
func (s *serial) encode(l *Link, payload []byte) error {
	b := s.out.b
	for i, c := range payload {
		if len(b)+4 > cap(b) { // a start byte, two for this byte, and the end byte
			if _, err := l.writePieces(b); err != nil {
				return err
			}
			b = b[:0]
		}
		if i == 0 {
			b = append(b, serialStart)
		}
		if isSerial(c) {
			b = append(b, serialEscape, c&0x0f)
		} else {
			b = append(b, c)
		}
	}
	s.out.b = append(b, serialEnd)
	return nil
}
