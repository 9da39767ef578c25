package replay

import (
	"bufio"
	"errors"
	"io"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// appendFrame appends the block framing of a payload (spec.md 4.1).
func appendFrame(dst, payload []byte) []byte {
	dst = chainpack.AppendUIntData(dst, uint64(len(payload)))
	return append(dst, payload...)
}

// readFrame reads the payload of one frame.
func readFrame(in *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		b, err := in.ReadByte()
		if err != nil {
			return nil, err
		}
		head = append(head, b)
		size, _, err := chainpack.UIntData(head)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		payload := make([]byte, size)
		_, err = io.ReadFull(in, payload)
		return payload, err
	}
}

// message decodes a payload; ok is false if it is not a ChainPack message.
func message(payload []byte) (v chainpack.Value, ok bool) {
	if len(payload) == 0 || payload[0] != 1 {
		return v, false
	}
	v, n, err := chainpack.Decode(payload[1:], chainpack.Limits{})
	return v, err == nil && n == len(payload)-1
}

// payload is the reverse of message.
func payload(v chainpack.Value) []byte { return chainpack.Append([]byte{1}, v) }

// parse reads a message as the captures print it.
func parse(t testing.TB, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
