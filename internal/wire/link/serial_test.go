package link_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// serialConn marks a connection as one of the serial framing.
type serialConn struct{ net.Conn }

func (c serialConn) Serial() net.Conn { return c.Conn }

// onSerial returns a frame of the serial framing (spec.md 4.2).
func onSerial(payload []byte) []byte {
	b := []byte{0xa2}
	for _, c := range payload {
		switch c {
		case 0xa2, 0xa3, 0xa4, 0xaa:
			b = append(b, 0xaa, c&0x0f)
		default:
			b = append(b, c)
		}
	}
	return append(b, 0xa3)
}

func serialMessage(message []byte) []byte { return onSerial(append([]byte{1}, message...)) }

// readSerial makes a link of the serial framing read until it ends.
func readSerial(o link.Options, reads ...[]byte) outcome {
	return readOf(serialConn{&script{reads: reads}}, o)
}

// allBytes is a message with every byte in it, also the control bytes.
func allBytes(id int64) []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return rpc.AppendResult(nil, rpc.Address{ID: id}, chainpack.String(string(all)))
}

func TestSerialFramesHoweverTheStreamIsCut(t *testing.T) {
	var stream []byte
	var want []string
	for i, m := range [][]byte{message(1, 0), allBytes(2), message(0xa2, 300), message(0xaa, 5000)} {
		want = append(want, string(m))
		stream = append(stream, serialMessage(m)...)
		// Between frames all is passed over: noise, an end, a checksum, right or
		// wrong.
		stream = append(stream, "\r\n\xa3\xa4\xaa\x02\xd2\x02\xef\x8d"[i:]...)
	}
	for name, reads := range map[string][][]byte{
		"all at once":  {stream},
		"byte by byte": slices.Collect(slices.Chunk(stream, 1)),
		"by seven":     slices.Collect(slices.Chunk(stream, 7)),
	} {
		if got := readSerial(link.Options{}, reads...); !slices.Equal(got.messages, want) || got.cause != link.PeerClosed {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSerialLargeFramesArriveWhole(t *testing.T) {
	for _, size := range []int{500, 520, 4 << 10, 33 << 10, 264 << 10, 3<<20 + 1} {
		m := message(0xa3, size)
		got := readSerial(link.Options{}, serialMessage(m), serialMessage(message(8, 1)))
		if len(got.messages) != 2 || got.messages[0] != string(m) || got.messages[1] != string(message(8, 1)) {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

func TestSerialCauseOfEachStream(t *testing.T) {
	const good = "a2 01 8b 41 41 48 42 ff 8a ff a3"
	for _, test := range []struct {
		name, in string
		messages int
		resets   int
		cause    link.Cause
		detail   string // part of the error
	}{
		{"the end", "", 1, 0, link.PeerClosed, ""},
		{"reset", "a2 00 a3", 1, 1, link.PeerClosed, ""},
		{"reset with its checksum", "a2 00 a3 d2 02 ef 8d", 1, 1, link.PeerClosed, ""},
		{"with a wrong checksum", "a2 00 a3 d2 02 ef 8e" + good, 2, 1, link.PeerClosed, ""},
		{"aborted", "a2 01 8b 41 a4 ff 8a ff a3" + good, 2, 0, link.PeerClosed, ""},
		{"aborted at once", "a2 a4" + good, 2, 0, link.PeerClosed, ""},
		{"begun anew", "a2 01 8b 41" + good, 2, 0, link.PeerClosed, ""},
		{"empty", "a2 a3", 1, 0, link.ProtocolError, "frame 2: empty frame"},
		{"escape of another byte", "a2 01 8b aa 07", 1, 0, link.ProtocolError, "aa 07 at byte 2"},
		{"escape of an escaped byte", "a2 aa a2", 1, 0, link.ProtocolError, "aa a2 at byte 0"},
		{"escaped end", "a2 01 aa a3", 1, 0, link.ProtocolError, "frame 2: escape"},
		{"CPON", "a2 02 3c 38 3a 31 3e 69 a3", 1, 0, link.ProtocolError, "unknown protocol byte 2"},
		{"meta cut short", "a2 01 8b 48 a3", 1, 0, link.ProtocolError, ""},
		{"cut short", "a2 01 8b", 1, 0, link.ReadError, "frame 2: unexpected EOF"},
		{"cut short in an escape", "a2 aa", 1, 0, link.ReadError, "frame 2: unexpected EOF"},
		{"above the limit", "a2 01" + strings.Repeat("00", 100) + "a3", 1, 0,
			link.FrameTooLong, "frame 2: more than the 100 bytes"},
		{"above the limit, without an end", "a2" + strings.Repeat("aa02", 101), 1, 0,
			link.FrameTooLong, "frame 2: more than the 100 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := readSerial(link.Options{MaxFrame: 100}, unhex(t, good+test.in))
			if len(got.messages) != test.messages || got.resets != test.resets || got.cause != test.cause {
				t.Errorf("got %v, want %d messages, %d resets, %v", got, test.messages, test.resets, test.cause)
			}
			if !strings.Contains(got.err.Error(), test.detail) {
				t.Errorf("error %q, want %q in it", got.err, test.detail)
			}
		})
	}
}

// Each sending method writes what spec.md 4.2 says, whatever is batched.
func TestSerialFramesGoOutAsTheyShould(t *testing.T) {
	messages := [][]byte{allBytes(1), message(2, 40<<10), message(0xaa, 32<<10)}
	for id := range int64(40) {
		messages = append(messages, message(id, 20)) // many small ones are gathered
	}
	var want []byte
	for _, m := range messages {
		want = append(want, serialMessage(m)...)
	}
	for name, send := range map[string]func(*link.Link, []byte) error{"Send": send, "SendNow": sendNow} {
		t.Run(name, func(t *testing.T) {
			ours, peer := net.Pipe()
			l := link.New(serialConn{ours}, link.Options{})
			ended := start(t, l, handler{})
			got := make(chan []byte)
			go func() {
				b := make([]byte, len(want))
				n, _ := io.ReadFull(peer, b)
				got <- b[:n]
			}()
			for _, m := range messages {
				if err := send(l, m); err != nil {
					t.Fatal(err)
				}
			}
			if b := <-got; !bytes.Equal(b, want) {
				t.Errorf("%d bytes, want %d, or others", len(b), len(want))
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if !l.Flush(ctx) {
				t.Error("something is still queued")
			}
			_ = peer.Close()
			<-ended
		})
	}
}

// A broker between the two framings changes the head and nothing else.
func TestSerialAndBlockMeet(t *testing.T) {
	body := chainpack.String("\x01\xa2\xa3\xa4\xaa")
	in := rpc.AppendResult(nil, rpc.Address{ID: 3, Callers: rpc.CallerIDs{1, 2}}, body)
	want := rpc.AppendResult(nil, rpc.Address{ID: 3, Callers: rpc.CallerIDs{1}}, body)
	for name, tt := range map[string]struct {
		from, to  func(net.Conn) net.Conn
		send, get []byte
	}{
		"serial to block": {asSerial, asBlock, serialMessage(in), onWire(want)},
		"block to serial": {asBlock, asSerial, onWire(in), serialMessage(want)},
	} {
		t.Run(name, func(t *testing.T) {
			ours, peer := net.Pipe()
			to := link.New(tt.to(ours), link.Options{})
			start(t, to, handler{})
			from := link.New(tt.from(&script{reads: [][]byte{tt.send}}), link.Options{})
			go from.Run(handler{message: forward(func(f *link.Frame) error { return to.Relay(f, nil, from) })})
			b := make([]byte, len(tt.get))
			if n, err := io.ReadFull(peer, b); err != nil || !bytes.Equal(b, tt.get) {
				t.Errorf("% x, %v\nwant % x", b[:n], err, tt.get)
			}
			<-from.Done()
			_ = peer.Close()
		})
	}
}

func asSerial(conn net.Conn) net.Conn { return serialConn{conn} }
func asBlock(conn net.Conn) net.Conn  { return conn }

// FuzzReadSerial checks that nothing breaks the reader, that it does not matter where a stream is
// cut into reads, and that frames are written as they were read.
func FuzzReadSerial(f *testing.F) {
	f.Add(slices.Concat(serialMessage(message(1, 3)), []byte{0xa2, 0, 0xa3}, serialMessage(message(2, 200))), uint16(4))
	f.Add(unhex(f, "a2 00 a3 d2 02 ef 8d a2 01 8b 41 41 48 42 ff 8a ff a3"), uint16(1))
	f.Add(unhex(f, "a2 01 a4 a2 a2 aa 02 aa 0a a3 a2 aa 07 a3"), uint16(9))
	f.Add(bytes.Repeat([]byte{0xa2, 0, 0xa3}, 3000), uint16(4095))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16) {
		cut := min(int(at), len(stream))
		o := link.Options{MaxFrame: 1 << 16}
		whole := readSerial(o, slices.Clone(stream))
		reads := append([][]byte{stream[:cut:cut]}, slices.Collect(slices.Chunk(stream[cut:], 7))...)
		if len(stream) > 1000 {
			reads = [][]byte{stream[:cut:cut], stream[cut:]}
		}
		split := readSerial(o, slices.DeleteFunc(reads, func(b []byte) bool { return len(b) == 0 })...)
		if !slices.Equal(whole.messages, split.messages) || whole.String() != split.String() || whole.cause != split.cause {
			t.Fatalf("% x: whole %v, cut at %d %v", stream, whole, cut, split)
		}
		var again []byte
		for _, m := range whole.messages {
			again = append(again, serialMessage([]byte(m))...)
		}
		if got := readSerial(o, again); !slices.Equal(got.messages, whole.messages) {
			t.Fatalf("% x: %v, again %v", stream, whole, got)
		}
	})
}
