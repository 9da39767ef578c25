package e2e_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// cutter carries connections to the broker, and can end one after a number of bytes from the broker.
type cutter struct {
	l      net.Listener
	broker string
	passed int64 // of the last connection
	over   sync.WaitGroup
}

func newCutter(t *testing.T, broker string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &cutter{l: l, broker: broker}
}

// one carries the next connection until after bytes; without an end if after is negative.
func (c *cutter) one(after int64) {
	c.over.Go(func() {
		near, err := c.l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", c.broker)
		if err != nil {
			return
		}
		defer far.Close()
		go func() {
			_, _ = io.Copy(far, near)
			_ = far.(*net.TCPConn).CloseWrite()
		}()
		from := io.Reader(far)
		if after >= 0 {
			from = io.LimitReader(far, after)
		}
		c.passed, _ = io.Copy(near, from)
	})
}

// Wherever the connection breaks, either the whole output arrived and shvrsh ends with the
// command's exit code, or shvrsh reports a failure.
func TestCutLinkIsNeverASuccess(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	c := newCutter(t, w.url[len("tcp://"):])
	run := func(after int64) result {
		c.one(after)
		cmd := w.rshCommand("head -c 2000 /dev/zero; echo err >&2; head -c 2000 /dev/zero")
		cmd.Env = append(cmd.Env, "SHV_URL=tcp://"+c.l.Addr().String())
		r := w.finish(cmd)
		c.over.Wait()
		return r
	}
	whole := run(-1)
	whole.wants(t, 0, string(make([]byte, 4000)), "err\n")
	total, step := c.passed, int64(97)
	if long {
		step = 7
	}
	cut := 0
	for after := int64(0); after < total; after += step {
		r := run(after)
		if r.code == 0 {
			// Messages after the end of the session may be missing.
			if !bytes.Equal(r.stdout, whole.stdout) || !bytes.Equal(r.stderr, whole.stderr) {
				t.Errorf("cut after %d of %d bytes: success with %d bytes of stdout, stderr %q",
					after, total, len(r.stdout), r.stderr)
			}
			continue
		}
		cut++
		line := bytes.TrimPrefix(r.stderr, []byte("err\n"))
		if r.code != 255 || len(line) == 0 {
			t.Errorf("cut behind %d of %d bytes: exit code %d, stderr %q", after, total, r.code, r.stderr)
			continue
		}
		wantsLine(t, string(line), "connection")
	}
	if cut < 10 {
		t.Errorf("only %d runs were cut off", cut)
	}
}
