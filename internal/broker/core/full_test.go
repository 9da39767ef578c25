package core

import (
	"strings"
	"testing"
	"testing/synctest"

	"shvtools/internal/shv/rpc"
)

func TestRequestToADeviceThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{Limits: Limits{QueueBytes: 64 << 10}})
		user, agent := w.client(), w.device("test/a")
		filling := strings.Repeat("x", 16<<10)
		for id := 3; ; id++ {
			user.send(`<1:1,8:%d,9:"test/a",10:"x">i{1:"%s"}`, id, filling)
			synctest.Wait()
			if w.Stats().Requests == uint64(id-3) {
				user.expectError(int64(id), rpc.CodeTryAgainLater, "does not keep up")
				break
			}
			if id > 20 {
				t.Fatal("never full")
			}
		}
		for range w.Stats().Requests {
			agent.next()
		}
		agent.fence()
		user.calls("test/a", agent, "")
	})
}

func TestClientThatDoesNotReadItsAnswersIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{Limits: Limits{QueueBytes: 4 << 10}})
		other, user := w.client(), w.client()
		go func() {
			ping := frame([]byte{0x8b, 0x48, 0x43, 0x49, 0x86, 4, '.', 'a', 'p', 'p', 0x4a, 0x86, 4, 'p', 'i', 'n', 'g', 0xff, 0x8a, 0xff})
			for {
				if _, err := user.conn.Write(ping); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if n := w.Stats().Clients; n != 1 {
			t.Errorf("%d clients", n)
		}
		other.fence()
	})
}
