package link_test

import (
	"io"
	"testing"

	"shvtools/internal/wire/link"
)

// Most links are idle most of the time, which must not cost a buffer.
func TestIdleLinksHoldNoBuffers(t *testing.T) {
	const links, most = 200, 5 << 10 // both ends of the connections, too
	targets := make([]*link.Link, links)
	before := heap()
	for i := range targets {
		ours, theirs := tcpPair(t)
		l := link.New(ours, link.Options{})
		start(t, l, handler{message: forward(func(f *link.Frame) error { return l.Send(f, nil) })})
		if _, err := theirs.Write(onWire(message(1, 2000))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(theirs, make([]byte, len(onWire(message(1, 2000))))); err != nil {
			t.Fatal(err)
		}
		targets[i] = l
	}
	if each := (heap() - before) / links; each > most {
		t.Errorf("%d bytes of heap for an idle link, want no more than %d", each, most)
	}
}
