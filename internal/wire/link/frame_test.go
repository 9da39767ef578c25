package link_test

import (
	"bytes"
	"slices"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// counting counts messages and passes the first to a function.
type counting struct {
	handler
	first func()
	count int
}

func (c *counting) Message(*rpc.Message, *link.Frame) {
	if c.count++; c.count == 1 {
		c.first()
	}
}

// sink is a connection that keeps what is written to it.
type sink struct {
	script
	written bytes.Buffer
}

func (s *sink) Write(b []byte) (int, error) { return s.written.Write(b) }

// written returns the form of a frame on the wire.
func written(t *testing.T, f *link.Frame) []byte {
	t.Helper()
	conn := new(sink)
	if err := link.New(conn, link.Options{}).SendNow(f); err != nil {
		t.Fatal(err)
	}
	if conn.written.Len() != f.Size() {
		t.Errorf("%d bytes of a frame of %d", conn.written.Len(), f.Size())
	}
	return conn.written.Bytes()
}

func TestFrameIsOnTheWireWhatItWasMadeOf(t *testing.T) {
	for _, size := range []int{0, 100, 111, 112, 115, 120, 500, 16 << 10, 300 << 10} {
		m := message(1, size)
		f := link.NewMessage(m)
		if got := written(t, f); !bytes.Equal(got, onWire(m)) {
			t.Errorf("%d: got % .20x", size, got)
		}
		if !bytes.Equal(f.Message(), m) || !bytes.Equal(f.Payload()[1:], m) || f.Payload()[0] != 1 {
			t.Errorf("%d: message % .20x", size, f.Message())
		}
		f.Release()
	}
}

func TestFrameBuiltInPlace(t *testing.T) {
	for _, n := range []int{0, 1, 500, 32 << 10} {
		text := bytes.Repeat([]byte("x"), n)
		whole := rpc.AppendResult(nil, rpc.Address{ID: 3, Callers: rpc.CallerIDs{2}},
			chainpack.List(chainpack.Int(1), chainpack.String(string(text))))
		headLen := len(whole) - n - 2
		for _, padding := range []int{0, 240 - headLen} {
			head := append(bytes.Repeat([]byte{0}, padding), whole[:headLen]...)
			f := link.NewFrame(n)
			copy(f.Room(n), text)
			f.Wrap(head, n, whole[headLen+n:])
			want := append(bytes.Repeat([]byte{0}, padding), whole...)
			if got := written(t, f); !bytes.Equal(got, onWire(want)) {
				t.Errorf("%d bytes, head of %d: got % .40x…", n, len(head), got)
			}
			f.Release()
		}
	}
}

func TestHeadOfAnyLengthIsReplaced(t *testing.T) {
	m := message(9, 400)
	for _, headLen := range []int{1, 5, 100, 240, 246, 247, 255, 256, 257, 300, 5000, 100000} {
		const bodyLen = 395
		head := bytes.Repeat([]byte{0x55}, headLen)
		f := link.NewMessage(m)
		f.ReplaceHead(head, bodyLen)
		want := slices.Concat(head, m[len(m)-bodyLen:])
		if got := written(t, f); !bytes.Equal(got, onWire(want)) {
			t.Errorf("head of %d: got % .40x…", headLen, got)
		}
		// And once more, as each broker on the way does it.
		f.ReplaceHead([]byte{1, 2}, bodyLen)
		if !bytes.Equal(f.Message(), append([]byte{1, 2}, want[headLen:]...)) {
			t.Errorf("head of %d, then of 2: got % .40x…", headLen, f.Message())
		}
		f.Release()
	}
}

// A retained frame must not be used again for another message.
func TestRetainedFrameKeepsItsBytes(t *testing.T) {
	var stream []byte
	const count = 200
	for id := range int64(count) {
		stream = append(stream, onWire(message(id, int(id)%70))...)
	}
	var kept []*link.Frame
	l := link.New(&script{reads: [][]byte{stream}}, link.Options{})
	l.Run(handler{message: func(m *rpc.Message, f *link.Frame) {
		if m.ID()%3 == 0 {
			f.Retain()
			kept = append(kept, f)
		}
		other := link.NewMessage(message(1, 60)) // takes what was given back
		other.Release()
	}})
	for i, f := range kept {
		if id := int64(i) * 3; !bytes.Equal(f.Message(), message(id, int(id)%70)) {
			t.Errorf("frame %d is now % x", id, f.Message())
		}
		f.Release()
	}
	if len(kept) < count/3 {
		t.Errorf("kept %d", len(kept))
	}
}
