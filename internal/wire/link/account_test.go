package link_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/wirecaptures"
	"shvtools/internal/wire/link"
)

// account counts what it is charged.
type account struct {
	queued, begun, most atomic.Int64
	limit               int64 // of begun; 0: none
}

func (a *account) Queue(n int) { a.queued.Add(int64(n)) }

func (a *account) Begin(n int) bool {
	if a.limit > 0 && a.begun.Load()+int64(n) > a.limit {
		return false
	}
	a.most.Store(max(a.most.Load(), a.begun.Add(int64(n))))
	return true
}

func TestWhatWaitsIsChargedToItsPayerUntilItIsWrittenOrDropped(t *testing.T) {
	for name, end := range map[string]func(*link.Link, net.Conn){
		"written": func(_ *link.Link, peer net.Conn) { go func() { _, _ = io.Copy(io.Discard, peer) }() },
		"dropped": func(l *link.Link, _ net.Conn) { l.Close(link.Done) },
		"failed":  func(_ *link.Link, peer net.Conn) { _ = peer.Close() },
	} {
		for _, shared := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				l, peer, _ := pipe(t, link.Options{QueueBytes: 8 << 20}, handler{})
				var own, caller account
				l.SetAccount(&own)
				flow := new(link.Flow)
				if shared {
					l.Share(8 << 20)
				} else {
					flow = nil
				}
				want := map[*account]int{}
				for i := range 200 { // more than are put together
					f, payer := link.NewMessage(message(int64(i), i*7)), &own
					if i%3 == 0 {
						payer = &caller
						f.Charge(payer)
					}
					if err := l.Send(f, flow); err != nil {
						t.Fatal(err)
					}
					want[payer] += f.Size()
					f.Release()
				}
				synctest.Wait()
				if own.queued.Load() != int64(want[&own]) || caller.queued.Load() != int64(want[&caller]) {
					t.Errorf("%s: charged %d and %d, want %v", name, own.queued.Load(), caller.queued.Load(), want)
				}
				if queued, _ := l.Held(); queued != want[&own] {
					t.Errorf("%s: the link holds %d", name, queued)
				}
				other := new(account) // pays from now on
				l.SetAccount(other)
				if other.queued.Load() != int64(want[&own]) || own.queued.Load() != 0 {
					t.Errorf("%s: the new one pays %d, the old one %d", name, other.queued.Load(), own.queued.Load())
				}
				end(l, peer)
				synctest.Wait()
				if other.queued.Load()+own.queued.Load()+caller.queued.Load() != 0 {
					t.Errorf("%s: left are %d, %d, %d", name, other.queued.Load(), own.queued.Load(), caller.queued.Load())
				}
			})
		}
	}
}

// A frame of the queue's own must not hold the bytes of two payers.
func TestSmallFramesOfDifferentPayersArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peer, _ := pipe(t, link.Options{}, handler{})
		payers := [3]account{}
		for i := range 300 {
			f := link.NewMessage(message(int64(i+1), 5))
			if k := i / 2 % 4; k < 3 {
				f.Charge(&payers[k])
			}
			if err := l.Send(f, nil); err != nil {
				t.Fatal(err)
			}
			f.Release()
		}
		if got := readIDs(t, peer, 300); !ascending(got, 300) {
			t.Errorf("order %v", got)
		}
		synctest.Wait()
		for i := range payers {
			if n := payers[i].queued.Load(); n != 0 {
				t.Errorf("payer %d still pays %d", i, n)
			}
		}
	})
}

// begun returns the beginning of a frame of size bytes in each framing.
func begun(size int) map[string]net.Conn {
	payload := bytes.Repeat([]byte{1}, size)
	block := append(chainpack.AppendUIntData(nil, uint64(16<<20)), payload...)
	return map[string]net.Conn{
		"block":     &script{reads: slices.Collect(slices.Chunk(block, 1000))},
		"serial":    serialConn{&script{reads: [][]byte{append([]byte{0xa2}, payload...)}}},
		"websocket": &web{Conn: &script{}, payload: bytes.NewReader(payload)},
	}
}

// web is a WebSocket connection on which a frame has begun.
type web struct {
	net.Conn
	payload *bytes.Reader
}

func (w *web) NextFrame() (io.Reader, error) { return w, nil }
func (w *web) WriteFrame([]byte, int) error  { return nil }
func (w *web) Written() uint64               { return 0 }
func (w *web) CloseFor(int, string) error    { return nil }

// Read fails at the end of what came, which is not that of the frame.
func (w *web) Read(b []byte) (int, error) {
	n, err := w.payload.Read(b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestLargeFramesGrowAsTheirBytesArrive(t *testing.T) {
	const size = 1 << 20
	for name, conn := range begun(size) {
		var a account
		l := link.New(conn, link.Options{})
		l.SetAccount(&a)
		l.Run(handler{})
		if most := a.most.Load(); most < size || most > 2*size+4096 {
			t.Errorf("%s: %d bytes were charged for %d that came of 16 MiB", name, most, size)
		}
		if n := a.begun.Load(); n != 0 {
			t.Errorf("%s: %d are still charged", name, n)
		}
	}
}

func TestAPromiseTakesLittleMemory(t *testing.T) {
	var a account
	l := link.New(begun(1)["block"], link.Options{})
	l.SetAccount(&a)
	l.Run(handler{})
	if most := a.most.Load(); most > 66<<10 {
		t.Errorf("%d bytes for a promise of 16 MiB", most)
	}
}

func TestFrameForWhichNoMemoryIsLeftEndsItsLink(t *testing.T) {
	for name, conn := range begun(1 << 20) {
		a := account{limit: 300 << 10}
		l := link.New(conn, link.Options{})
		l.SetAccount(&a)
		if cause := l.Run(handler{}); cause != link.TooMuchBegun || !strings.Contains(l.Err().Error(), "unfinished") {
			t.Errorf("%s: %v", name, l.Err())
		}
		if n := a.begun.Load(); n != 0 {
			t.Errorf("%s: %d are still charged", name, n)
		}
	}
}

// All frames of real traffic are read by one that may have next to nothing begun.
func TestSmallFramesAreNotCharged(t *testing.T) {
	stream := bytes.Repeat(onWire(message(1, 4<<10)), 20)
	var a account
	a.limit = 1
	l := link.New(&script{reads: [][]byte{stream}}, link.Options{})
	l.SetAccount(&a)
	if cause := l.Run(handler{}); cause != link.PeerClosed {
		t.Error(l.Err())
	}
	if frames, err := wirecaptures.Frames(stream); err != nil || l.Traffic().FramesIn != uint64(len(frames)) {
		t.Errorf("%d frames were read", l.Traffic().FramesIn)
	}
}
