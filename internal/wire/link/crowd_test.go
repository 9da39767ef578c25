package link_test

import (
	"io"
	"net"
	"runtime"
	"testing"

	"shvtools/internal/wire/link"
)

// A client that calls ping and never reads must not cost the broker a buffer for each answer: 4 MiB
// of answers once took 370 MB.
func TestCrowdOfSmallFramesTakesNoMoreThanItsBytes(t *testing.T) {
	const limit = 4 << 20
	ours, theirs := net.Pipe()
	l := link.New(ours, link.Options{QueueBytes: limit})
	ended := make(chan link.Cause)
	go func() { ended <- l.Run(handler{}) }()

	before := heap()
	sent := 0
	for {
		f := link.NewMessage(message(int64(sent+1), 0))
		err := l.Send(f, nil)
		f.Release()
		if err == link.ErrQueueFull {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if grown := heap() - before; grown > 2*limit {
		t.Errorf("%d frames of %d bytes in all take %d bytes", sent, limit, grown)
	}

	stream := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(theirs)
		stream <- b
	}()
	for l.Queued() > 0 {
		runtime.Gosched()
	}
	l.Close(link.Done)
	got := ids(t, <-stream)
	<-ended
	if len(got) != sent {
		t.Fatalf("%d of %d frames arrived", len(got), sent)
	}
	for i, id := range got {
		if id != int64(i+1) {
			t.Fatalf("frame %d has id %d", i, id)
		}
	}
}

// heap returns how many bytes are in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools are emptied by the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
