package tunnel

import (
	"crypto/sha256"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
)

// joined are two ends on one connection.
type joined struct{ client, helper *End }

func join(t *testing.T, c, h Options) joined {
	t.Helper()
	ours, theirs := net.Pipe()
	ce, _ := attach(t, ours, c)
	he, _ := attach(t, theirs, h)
	return joined{ce, he}
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// ragged is a source of left bytes in pieces of all sizes.
type ragged struct {
	left   int
	random *rand.ChaCha8
	sum    hash.Hash
}

func newRagged(left int, seed byte) *ragged {
	return &ragged{left: left, random: rand.NewChaCha8([32]byte{seed}), sum: sha256.New()}
}

func (r *ragged) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.random == nil {
		r.random, r.sum = rand.NewChaCha8([32]byte{}), sha256.New()
	}
	n := min(r.left, len(b))
	switch r.random.Uint64() % 4 {
	case 0:
		n = min(n, 1)
	case 1:
		n = min(n, 1+int(r.random.Uint64()%4096))
	}
	_, _ = r.random.Read(b[:n])
	r.sum.Write(b[:n])
	r.left -= n
	return n, nil
}

// Both directions carry data at once, and each byte arrives at its place.
func TestStreamsArriveWhole(t *testing.T) {
	const total = 64 << 20
	for name, extended := range map[string]bool{"extended": true, "base": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, h := client(extended), helper(extended)
				if extended {
					c.Window, h.PeerWindow = CommandWindow, CommandWindow
					h.Window, c.PeerWindow = PtyWindow, PtyWindow
				}
				p := join(t, c, h)
				type stream struct {
					from, to *End
					channel  int
					source   *ragged
					got      hash.Hash
				}
				streams := []*stream{
					{p.client, p.helper, Stdin, newRagged(total/4, 1), sha256.New()},
					{p.helper, p.client, Stdout, newRagged(total, 2), sha256.New()},
					{p.helper, p.client, Stderr, newRagged(total/4, 3), sha256.New()},
				}
				for _, s := range streams {
					size := s.source.left
					go func() {
						if err := s.from.ReadFrom(s.channel, s.source); err != nil {
							t.Errorf("channel %d: %v", s.channel, err)
						}
						_ = s.from.SendEOF(s.channel)
					}()
					go func() { _ = s.to.WriteTo(s.channel, s.got) }()
					defer func() {
						if n := s.to.Received(s.channel); n != int64(size) {
							t.Errorf("channel %d: %d of %d bytes", s.channel, n, size)
						}
						if string(s.got.Sum(nil)) != string(s.source.sum.Sum(nil)) {
							t.Errorf("channel %d: other bytes came than were sent", s.channel)
						}
					}()
				}
				synctest.Wait()
			})
		})
	}
}

func TestReadFromEndsWithTheTunnel(t *testing.T) {
	o := helper(true)
	o.PeerWindow = 4096
	bubbled(t, o, func(t *testing.T, r *raw) {
		done := make(chan error, 1)
		go func() { done <- r.ReadFrom(Stdout, endless{}) }()
		r.total(Stdout)
		r.Close(Closing{})
		if err := <-done; err != ErrClosed {
			t.Errorf("%v", err)
		}
	})
}

func TestReadFromPassesItsReadersErrorOn(t *testing.T) {
	bubbled(t, helper(true), func(t *testing.T, r *raw) {
		done := make(chan error, 1)
		go func() { done <- r.ReadFrom(Stdout, io.MultiReader(io.LimitReader(endless{}, 3), failing{})) }()
		if n := r.total(Stdout); n != 3 {
			t.Errorf("%d bytes", n)
		}
		if err := <-done; err != io.ErrNoProgress {
			t.Errorf("%v", err)
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrNoProgress }
