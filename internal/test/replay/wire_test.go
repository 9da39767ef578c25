package replay

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
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

// memListener is a listener whose connections are in memory, so that they work in
// virtual time. They have TCP addresses: that of the broker is the recorded one, which
// it announces for tunnels.
type memListener struct {
	addr   *net.TCPAddr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemListener(port int) *memListener {
	return &memListener{
		addr:   &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port},
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
	}
}

func (l *memListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- addressed{server, l.addr}
	return client
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memListener) Addr() net.Addr { return l.addr }

type addressed struct {
	net.Conn
	local *net.TCPAddr
}

func (c addressed) LocalAddr() net.Addr  { return c.local }
func (c addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: c.local.IP, Port: 50000} }
