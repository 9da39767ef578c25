package core_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestRequestToADeviceThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{Limits: core.Limits{QueueBytes: 64 << 10}})
		user, agent := w.Client(), w.Device("test/a")
		filling := strings.Repeat("x", 16<<10)
		for id := 3; ; id++ {
			user.Send(`<1:1,8:%d,9:"test/a",10:"x">i{1:"%s"}`, id, filling)
			synctest.Wait()
			if w.Stats().Requests == uint64(id-3) {
				user.ExpectError(int64(id), rpc.CodeTryAgainLater, "does not keep up")
				break
			}
			if id > 20 {
				t.Fatal("never full")
			}
		}
		for range w.Stats().Requests {
			agent.Next()
		}
		agent.Fence()
		user.Reaches("test/a", agent, "")
	})
}

func TestClientThatDoesNotReadItsAnswersIsClosed(t *testing.T) {
	for _, method := range []string{"ping", "name"} { // a ping has an answer of its own
		synctest.Test(t, func(t *testing.T) {
			w := world.New(t, core.Options{Limits: core.Limits{QueueBytes: 4 << 10}})
			other, user := w.Client(), w.Client()
			go func() {
				call := world.Frame(rpc.AppendRequest(nil, 3, ".app", method, world.Value(t, "null")))
				for range 10_000 {
					if _, err := user.Conn.Write(call); err != nil {
						return
					}
				}
			}()
			synctest.Wait()
			if n := w.Stats().Clients; n != 1 {
				t.Errorf("%s: %d clients", method, n)
			}
			other.Fence()
		})
	}
}
