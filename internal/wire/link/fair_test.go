package link

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sharedPipe returns a shared link and the other end of its connection.
func sharedPipe(t *testing.T, room int) (*Link, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	l := New(ours, Options{})
	l.Share(room)
	ended := make(chan struct{})
	go func() {
		l.Run(nothing{})
		close(ended)
	}()
	t.Cleanup(func() {
		l.Close(Done)
		_ = theirs.Close()
		<-ended
	})
	return l, theirs
}

// nothing is a Handler that ignores everything.
type nothing struct{ Handler }

func named(name byte, size int) *Frame {
	return NewMessage(bytes.Repeat([]byte{name}, size))
}

// order reads the given number of frames and returns the first byte of each.
func order(t *testing.T, from net.Conn, frames int) (names string) {
	t.Helper()
	in := newFrames(from)
	for range frames {
		f, err := in.next()
		if err != nil {
			t.Fatal(err)
		}
		names += string(f[1])
	}
	return names
}

// frames reads frames from a connection.
type frames struct{ conn io.Reader }

func newFrames(conn io.Reader) *frames { return &frames{conn} }

func (r *frames) next() ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r.conn, head[:1]); err != nil {
		return nil, err
	}
	// The forms of a length that the tests use: one byte, two, three.
	n, more := int(head[0]), 0
	switch {
	case head[0]&0x80 == 0:
	case head[0]&0x40 == 0:
		n, more = n&0x3f, 1
	default:
		n, more = n&0x1f, 2
	}
	for range more {
		if _, err := io.ReadFull(r.conn, head[:1]); err != nil {
			return nil, err
		}
		n = n<<8 | int(head[0])
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r.conn, payload)
	return payload, err
}

// Streams have turns. Frames of no stream go before them, and each stream keeps its order.
func TestStreamsOfASharedLinkHaveTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peer := sharedPipe(t, 1<<20)
		var a, b, c Flow
		send := func(flow *Flow, name byte, size int) {
			f := named(name, size)
			defer f.Release()
			if err := l.Send(f, flow); err != nil {
				t.Fatal(err)
			}
		}
		send(nil, '-', 1) // it occupies the writer
		synctest.Wait()
		for _, name := range "ABCDEF" {
			send(&a, byte(name), 16<<10)
		}
		for _, name := range "abcdef" {
			send(&b, byte(name), 16<<10)
		}
		send(&c, '1', 10)
		send(&c, '2', 10)
		send(nil, '+', 10)
		if got := order(t, peer, 16); got != "-+Aa12BbCcDdEeFf" && got != "-+Aa12bBcCdDeEfF" {
			t.Errorf("order %s", got)
		}
	})
}

// Small frames overtake a large stream, but it gets its turns however many they are.
func TestManySmallStreamsDoNotStarveALargeOne(t *testing.T) {
	var r fair
	var large Flow
	push := func(flow *Flow, size int) {
		f := named('x', size)
		defer f.Release()
		r.push(f, flow)
	}
	for range 8 {
		push(&large, quantum)
	}
	left := 8
	for turn := 0; left > 0; turn++ {
		if turn == 100 {
			t.Fatalf("%d frames of the large stream still wait", left)
		}
		for range 40 { // more than goes at a time, each with nothing else waiting
			push(new(Flow), 1<<10)
		}
		for _, f := range r.take(nil, sliceBytes) {
			f.Release()
		}
		left = len(large.frames)
	}
	(&queue{fair: &r}).dropAllLocked()
}

// Full streams together leave queue space for the keystrokes of others.
func TestFullStreamsLeaveRoomForThoseThatHaveNothingWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := sharedPipe(t, 64<<10)
		f := named('x', 16<<10)
		defer f.Release()
		full := make([]Flow, 2*sharing)
		for i := range full {
			for l.Send(f, &full[i]) == nil {
			}
		}
		if q := l.Queued(); q > (sharing+1)*64<<10 {
			t.Errorf("%d bytes wait", q)
		}
		key := named('k', 10)
		defer key.Release()
		var other Flow
		if err := l.Send(key, &other); err != nil {
			t.Error(err)
		}
	})
}

// A full stream refuses frames and leaves the others their queue space.
func TestFullStreamLeavesOthersTheirRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peer := sharedPipe(t, 64<<10)
		var full, other Flow
		f := named('x', 16<<10)
		defer f.Release()
		_ = l.Send(f, nil)
		synctest.Wait()
		sent := 0
		for l.Send(f, &full) == nil {
			sent++
		}
		if sent < 3 || sent > 4 {
			t.Errorf("%d frames of 16 KiB fit in 64", sent)
		}
		if err := l.Send(f, &other); err != nil {
			t.Error(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- l.SendWait(f, &full, nil) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		if got := order(t, peer, sent+3); len(got) != sent+3 {
			t.Errorf("%q", got)
		}
		if err := <-waited; err != nil {
			t.Error(err)
		}
		go func() { waited <- l.SendWait(f, &full, nil) }()
		synctest.Wait()
		l.Close(Done)
		<-waited
	})
}

// Bulk in one stream delays the frames of others by at most 5 ms on a line of 100 Mbit/s. A stalled
// stream does not delay them at all.
func TestBulkInOneStreamDelaysOthersByLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peer := sharedPipe(t, 4<<20)
		const perMillisecond = 100_000_000 / 8 / 1000
		type arrival struct {
			name byte
			at   time.Time
		}
		arrived := make(chan arrival, 10000)
		var running sync.WaitGroup
		running.Go(func() { // a line of that speed
			in := newFrames(slow{peer, perMillisecond})
			for {
				f, err := in.next()
				if err != nil {
					return
				}
				arrived <- arrival{f[1], time.Now()}
			}
		})
		var bulk, keys Flow
		big, small := named('B', 32<<10), named('k', 20)
		defer big.Release()
		defer small.Release()
		running.Go(func() {
			for l.SendWait(big, &bulk, nil) == nil {
			}
		})
		time.Sleep(100 * time.Millisecond)
		var took []time.Duration
		for range 200 {
			time.Sleep(7 * time.Millisecond)
			began := time.Now()
			if err := l.Send(small, &keys); err != nil {
				t.Fatal(err)
			}
			for a := range arrived {
				if a.name == 'k' {
					took = append(took, a.at.Sub(began))
					break
				}
			}
		}
		slices.Sort(took)
		if p99 := took[len(took)*99/100]; p99 > 5*time.Millisecond {
			t.Errorf("p99 %v, median %v", p99, took[len(took)/2])
		}
		l.Close(Done)
		running.Wait()
	})
}

// slow reads a fixed number of bytes per millisecond.
type slow struct {
	net.Conn
	rate int
}

func (s slow) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:min(len(p), s.rate)])
	time.Sleep(time.Duration(n) * time.Millisecond / time.Duration(s.rate))
	return n, err
}
