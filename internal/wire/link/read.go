package link

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

const (
	// maxLength is the size of the longest length prefix that is read, in bytes (spec.md 1.3).
	maxLength = 18
)

var (
	errEmptyFrame = errors.New("empty frame")
	errProtocol   = errors.New("unknown protocol byte")
)

// messages pools what links parse into: a link that waits needs none.
var messages = sync.Pool{New: func() any { return new(rpc.Message) }}

func (l *Link) readLoop(h Handler) (Cause, error) {
	in := &l.in
	defer in.release()
	defer l.flushRelayed()
	for {
		// Wait here and no deeper. The stack is the largest part of an idle link's memory, and
		// the garbage collector shrinks it to what the wait needs.
		if _, own := l.framing.(webSocket); !own {
			if err := in.fill(); err != nil {
				return readCause(err), err
			}
		}
		f, cause, err := l.nextFrame(in)
		if err != nil {
			return cause, err
		}
		l.rx.Add(1)
		err = handle(h, f)
		f.Release()
		if err != nil {
			return ProtocolError, err
		}
	}
}

// nextFrame reads one frame.
func (l *Link) nextFrame(in *input) (*Frame, Cause, error) {
	defer l.reading.done()
	if l.framing != nil {
		return l.framing.readFrame(l)
	}
	return l.readFrame(in)
}

// handle passes the content of a frame to h.
func handle(h Handler, f *Frame) error {
	switch f.buf[f.start] {
	case protocolChainPack:
		m := messages.Get().(*rpc.Message)
		defer messages.Put(m)
		if err := m.Parse(f.Message()); err != nil {
			return err
		}
		f.seal(f.start + 1) // ready to be sent as received, until the handler replaces its head
		h.Message(m, f)
	case protocolReset:
		h.Reset()
	default:
		return fmt.Errorf("%w %d", errProtocol, f.buf[f.start])
	}
	return nil
}

// readFrame reads one frame of the block framing. It checks the length before it allocates.
func (l *Link) readFrame(in *input) (*Frame, Cause, error) {
	length, err := l.readLength(in)
	defer l.pulse.left()
	if err != nil {
		return nil, readCause(err), err
	}
	switch limit := l.maxFrame.Load(); {
	case length == 0:
		return nil, ProtocolError, errEmptyFrame
	case length > uint64(limit):
		return nil, FrameTooLong, fmt.Errorf("%d bytes declared, %d allowed", length, limit)
	}
	if uint64(in.buffered()) < length {
		l.pulse.entered()
	}
	first := min(int(length), firstReserved)
	if err := l.reading.reserve(first); err != nil {
		return nil, TooMuchBegun, err
	}
	f := NewFrame(first)
	for remaining := int(length); ; {
		n := min(remaining, len(f.buf)-tailroom-f.end)
		if _, err := io.ReadFull(in, f.buf[f.end:f.end+n]); err != nil {
			f.Release()
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, readCause(err), err
		}
		f.end += n
		if remaining -= n; remaining == 0 {
			return f, Open, nil
		}
		if f, err = l.grow(f, min(remaining, f.end-f.start)); err != nil {
			f.Release()
			return nil, TooMuchBegun, err
		}
	}
}

// readLength reads a length prefix of any form (spec.md 1.3). An end before its first byte is
// io.EOF, an end within it is io.ErrUnexpectedEOF.
func (l *Link) readLength(in *input) (uint64, error) {
	var b [maxLength]byte
	for n := 0; ; {
		if n > 0 && in.buffered() == 0 {
			l.pulse.entered()
		}
		c, err := in.ReadByte()
		switch {
		case err == io.EOF && n > 0:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		}
		b[n], n = c, n+1
		length, _, err := chainpack.UIntData(b[:n])
		if n == len(b) || !errors.Is(err, io.ErrUnexpectedEOF) {
			return length, err
		}
	}
}

func readCause(err error) Cause {
	var syntax *chainpack.SyntaxError
	switch {
	case errors.Is(err, errMemory):
		return TooMuchBegun
	case errors.Is(err, io.EOF):
		return PeerClosed
	case errors.As(err, &syntax), isViolation(err):
		return ProtocolError
	}
	return ReadError
}
