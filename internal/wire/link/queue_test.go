package link_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// bubble runs f in virtual time. It fails goroutines that are blocked at the end.
func bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }

// numbered is message n of a sender.
func numbered(sender, n int64) []byte {
	return rpc.AppendResult(nil, rpc.Address{ID: sender<<16 | n}, chainpack.Null())
}

func TestEachSenderKeepsItsOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const senders, each = 6, 300
		l, peer, _ := pipe(t, link.Options{}, handler{})
		var group sync.WaitGroup
		for s := range int64(senders) {
			group.Go(func() {
				for n := range int64(each) {
					push := send
					if (s+n)%3 == 0 {
						push = sendNow
					}
					if err := push(l, numbered(s+1, n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		next := map[int64]int64{}
		for _, id := range readIDs(t, peer, senders*each) {
			if s, n := id>>16, id&0xffff; n != next[s] {
				t.Fatalf("sender %d: message %d, want %d", s, n, next[s])
			}
			next[id>>16]++
		}
		group.Wait()
		synctest.Wait()
		if queued := l.Traffic().FramesOut; queued != senders*each || l.Queued() != 0 {
			t.Errorf("%d frames queued, %d bytes left", queued, l.Queued())
		}
	})
}

func TestFullQueueLeavesTheLinkAlive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, _ := pipe(t, link.Options{QueueBytes: 2000}, handler{})
		for round := range 3 {
			count := fill(t, l, 100)
			if count < 10 || l.Queued() > 2000 || l.Cause() != link.Open || l.Err() != nil {
				t.Errorf("round %d: %d frames, %d bytes, %v", round, count, l.Queued(), l.Cause())
			}
			if got := readIDs(t, peer, int(count)); !ascending(got, count) {
				t.Errorf("round %d: got %v", round, got)
			}
			synctest.Wait()
			if l.Queued() != 0 {
				t.Errorf("round %d: %d bytes left", round, l.Queued())
			}
		}
	})
}

func TestFrameAboveTheLimitPassesAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, _ := pipe(t, link.Options{QueueBytes: 100}, handler{})
		if err := send(l, message(1, 5000)); err != nil {
			t.Fatal(err)
		}
		if err := send(l, message(2, 0)); err != link.ErrQueueFull {
			t.Errorf("a second one: %v", err)
		}
		readIDs(t, peer, 1)
		synctest.Wait()
		if err := send(l, message(3, 0)); err != nil {
			t.Errorf("after it: %v", err)
		}
		if err := send(l, message(4, 5000)); err != link.ErrQueueFull {
			t.Errorf("not alone: %v", err)
		}
	})
}

func TestSendNowWaitsForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, _ := pipe(t, link.Options{QueueBytes: 500}, handler{})
		count := fill(t, l, 100)
		sent := make(chan error, 1)
		go func() { sent <- sendNow(l, message(count+1, 100)) }()
		synctest.Wait()
		if len(sent) > 0 {
			t.Fatal("it did not wait")
		}
		if got := readIDs(t, peer, int(count)+1); !ascending(got, count+1) {
			t.Errorf("got %v", got)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// SendWait of a read loop: a helper's link is not read while there is no queue space for its
// output.
func TestSendWaitHoldsItsOwnReadLoop(t *testing.T) {
	for name, end := range map[string]func(to, from *link.Link){
		"room":           nil,
		"receiver's end": func(to, _ *link.Link) { to.Close(link.SlowPeer) },
		"sender's end":   func(_, from *link.Link) { from.Close(link.Shutdown) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				to, toPeer, _ := pipe(t, link.Options{QueueBytes: 500}, handler{})
				var from *link.Link
				sent := make(chan error, 1)
				from, fromPeer, _ := pipe(t, link.Options{}, handler{message: forward(func(f *link.Frame) error {
					err := to.SendWait(f, nil, from)
					sent <- err
					return err
				})})
				from.SetIdle(time.Second)
				count := fill(t, to, 100)
				if _, err := fromPeer.Write(onWire(message(count+1, 100))); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // nobody's silence: from is not being read
				if len(sent) > 0 || from.Cause() != link.Open {
					t.Fatalf("it did not wait, from is %v", from.Cause())
				}
				if end != nil {
					end(to, from)
					if err := <-sent; err != link.ErrClosed {
						t.Errorf("got %v", err)
					}
					return
				}
				if got := readIDs(t, toPeer, int(count)+1); !ascending(got, count+1) {
					t.Errorf("got %v", got)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestCloseUnblocksEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, _, ended := pipe(t, link.Options{QueueBytes: 500}, handler{})
		fill(t, l, 100)
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- sendNow(l, message(1, 100)) }()
		}
		finished := make(chan struct{})
		go func() { l.Finish(t.Context(), link.Done); close(finished) }()
		synctest.Wait()
		l.Close(link.Shutdown)
		for range 3 {
			if err := <-errs; err != link.ErrClosed {
				t.Errorf("SendNow: %v", err)
			}
		}
		<-finished
		<-l.Done()
		if cause := <-ended; cause != link.Shutdown {
			t.Errorf("cause %v", cause)
		}
		if err := send(l, message(1, 1)); err != link.ErrClosed {
			t.Errorf("Send: %v", err)
		}
	})
}

// brokenWriter fails each write.
type brokenWriter struct{ net.Conn }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no route to host") }

func TestFailedWriteEndsTheLink(t *testing.T) {
	for name, push := range map[string]func(*link.Link, []byte) error{"Send": send, "SendNow": sendNow} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ours, peer := net.Pipe()
				defer peer.Close()
				l := link.New(brokenWriter{ours}, link.Options{})
				ended := start(t, l, handler{})
				if err := push(l, message(1, 1)); name == "SendNow" && err != link.ErrClosed {
					t.Errorf("got %v", err)
				}
				cause, want := <-ended, "connection lost while writing: no route to host"
				if cause != link.WriteError || l.Err().Error() != want {
					t.Errorf("%v, %v", cause, l.Err())
				}
			})
		})
	}
}

func TestFinishGivesUpWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, _, ended := pipe(t, link.Options{}, handler{})
		fill(t, l, 100_000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		l.Finish(ctx, link.Shutdown)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %v", took)
		}
		if cause := <-ended; cause != link.Shutdown {
			t.Errorf("cause %v", cause)
		}
	})
}
