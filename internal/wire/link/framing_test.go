package link_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/test/wirecaptures"
	"shvtools/internal/wire/link"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

func TestFramesHoweverTheStreamIsCut(t *testing.T) {
	var stream []byte
	var want []string
	for i, size := range []int{0, 1, 60, 130, 300} {
		m := message(int64(i+1), size)
		want = append(want, string(m))
		stream = append(stream, onWire(m)...)
	}
	check := func(how string, reads ...[]byte) {
		t.Helper()
		if got := read(link.Options{}, reads...); !slices.Equal(got.messages, want) || got.cause != link.PeerClosed {
			t.Errorf("%s: %v", how, got)
		}
	}
	check("all at once", stream)
	check("byte by byte", slices.Collect(slices.Chunk(stream, 1))...)
	for i := 1; i < len(stream); i++ {
		check("in two", stream[:i:i], stream[i:])
	}
	frames, err := wirecaptures.Frames(stream)
	if err != nil {
		t.Fatal(err)
	}
	reads := make([][]byte, len(frames))
	for i, f := range frames {
		reads[i] = onWire(f[1:])
	}
	check("frame by frame", reads...)
}

// The sizes lie around those at which buffers change.
func TestLargeFramesArriveWhole(t *testing.T) {
	for _, size := range []int{500, 520, 4 << 10, 33 << 10, 66 << 10, 256 << 10, 264 << 10, 512<<10 + 3, 3<<20 + 1} {
		m := message(7, size)
		got := read(link.Options{}, onWire(m)[:1], onWire(m)[1:], onWire(message(8, 1)))
		if len(got.messages) != 2 || got.messages[0] != string(m) || got.messages[1] != string(message(8, 1)) {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

func TestLengthPrefixOfAnyForm(t *testing.T) {
	const payload = "01 8b 41 41 48 42 ff 8a ff" // 9 bytes
	long := func(n int) string {
		return hex.EncodeToString(append([]byte{byte(0xf0 + n - 4)}, make([]byte, n-1)...)) + "09"
	}
	forms := []string{"09", "8009", "c00009", "e0000009", long(4), long(5), long(8), long(9), long(16), long(17)}
	for _, prefix := range forms {
		got := read(link.Options{}, unhex(t, prefix+payload))
		if len(got.messages) != 1 || got.cause != link.PeerClosed {
			t.Errorf("%s: %v", prefix, got)
		}
	}
}

func TestCauseOfEachBadStream(t *testing.T) {
	const good = "09 01 8b 41 41 48 42 ff 8a ff"
	for _, test := range []struct {
		name, in string
		cause    link.Cause
	}{
		{"the end", "", link.PeerClosed},
		{"empty frame", "00", link.ProtocolError},
		{"empty frame of a long form", "c0 00 00", link.ProtocolError},
		{"CPON", "07 02 3c 38 3a 31 3e 69", link.ProtocolError},
		{"JSON", "03 03 7b 7d", link.ProtocolError},
		{"unknown protocol", "02 ff 8a", link.ProtocolError},
		{"protocol byte alone", "01 01", link.ProtocolError},
		{"no meta", "03 01 8a ff", link.ProtocolError},
		{"meta cut short", "03 01 8b 48", link.ProtocolError},
		{"no body", "05 01 8b 48 41 ff", link.ProtocolError},
		{"length of a reserved form", "fe", link.ProtocolError},
		{"length that is a TERM", "ff 09", link.ProtocolError},
		{"length above 64 bits", "f5 01 00 00 00 00 00 00 00 00", link.ProtocolError},
		{"HTTP", hex.EncodeToString([]byte("GET / HTTP/1.1\r\n\r\n")), link.ReadError}, // 71 bytes that never come
		{"length cut short", "c0 00", link.ReadError},
		{"long length cut short", "fd 00 00", link.ReadError},
		{"frame cut short", "09 01 8b", link.ReadError},
		{"length alone", "09", link.ReadError},
		{"above the limit", "f0 01 00 00 01", link.FrameTooLong},
		{"far above the limit", "f4 ff ff ff ff ff ff ff ff", link.FrameTooLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := read(link.Options{}, unhex(t, good+"01 00"+good+test.in))
			if len(got.messages) != 2 || got.resets != 1 || got.cause != test.cause {
				t.Errorf("got %v, want %v", got, test.cause)
			}
			var end *link.EndError
			if !errors.As(got.err, &end) || end.Cause != test.cause {
				t.Errorf("error %#v", got.err)
			}
		})
	}
}

func TestLimitHoldsForFramesAfterIt(t *testing.T) {
	m := message(1, 1000)
	size := len(m) + 1
	for limit, want := range map[int]link.Cause{size: link.PeerClosed, size - 1: link.FrameTooLong} {
		if got := read(link.Options{MaxFrame: limit}, onWire(m)); got.cause != want {
			t.Errorf("limit %d of %d: %v", limit, size, got)
		}
	}
	// After a login the next frame may be large, in the same read.
	stream := slices.Concat(onWire(message(1, 1)), onWire(m))
	l := link.New(&script{reads: [][]byte{stream}}, link.Options{MaxFrame: 100})
	h := &counting{first: func() { l.SetMaxFrame(size) }}
	if cause := l.Run(h); cause != link.PeerClosed || h.count != 2 {
		t.Errorf("limit raised: %d messages, %v", h.count, cause)
	}
	l = link.New(&script{reads: [][]byte{stream}}, link.Options{MaxFrame: 10000})
	h = &counting{first: func() { l.SetMaxFrame(100) }}
	if cause := l.Run(h); cause != link.FrameTooLong || h.count != 1 {
		t.Errorf("limit lowered: %d messages, %v", h.count, cause)
	}
}

// A peer that declares much and sends little must not cost memory.
func TestDeclaredLengthTakesNoMemory(t *testing.T) {
	in := unhex(t, "f0 00 ff ff ff 01 8b") // 16 MiB less a byte, of which two come
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := read(link.Options{}, in)
	runtime.ReadMemStats(&after)
	if got.cause != link.ReadError {
		t.Errorf("got %v", got)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<20 {
		t.Errorf("%d bytes taken", taken)
	}
}

// FuzzRead checks that it does not matter where a stream is cut into reads.
func FuzzRead(f *testing.F) {
	f.Add(slices.Concat(onWire(message(1, 3)), []byte{1, 0}, onWire(message(2, 200))), uint16(4))
	f.Add(unhex(f, "c0 00 09 01 8b 41 41 48 42 ff 8a ff 00"), uint16(1))
	f.Add(unhex(f, "fd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 01 00"), uint16(9))
	f.Add(unhex(f, "03 01 8b ff 02 02 3c f0 00 01 00 00 01 00"), uint16(3))
	f.Add(bytes.Repeat([]byte{1, 0}, 3000), uint16(4095))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16) {
		cut := min(int(at), len(stream))
		o := link.Options{MaxFrame: 1 << 20}
		whole := read(o, slices.Clone(stream))
		reads := append([][]byte{stream[:cut:cut]}, slices.Collect(slices.Chunk(stream[cut:], 7))...)
		if len(stream) > 1000 {
			reads = [][]byte{stream[:cut:cut], stream[cut:]}
		}
		split := read(o, slices.DeleteFunc(reads, func(b []byte) bool { return len(b) == 0 })...)
		if !slices.Equal(whole.messages, split.messages) || whole.String() != split.String() || whole.cause != split.cause {
			t.Fatalf("% x: whole %v, cut at %d %v", stream, whole, cut, split)
		}
	})
}
