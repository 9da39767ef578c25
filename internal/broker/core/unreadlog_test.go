package core_test

import (
	"testing"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/core"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// unread is a log that nobody reads: a write to it waits until the test ends.
type unread struct{ done chan struct{} }

func (u unread) Write(p []byte) (int, error) {
	<-u.done
	return len(p), nil
}

// A log that nobody reads holds up the sessions whose lines it is to take, and nobody
// else: no line is written under a lock, in the accept loop, or before the answer to a
// login.
func TestUnreadLogStopsNobodyElse(t *testing.T) {
	log := unread{make(chan struct{})}
	o := core.Options{Log: zerolog.New(log).Level(zerolog.InfoLevel), Limits: core.Limits{UnauthenticatedPerSource: 1}}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		defer close(log.done)
		for range 2 {
			w.Connect().Login("iot", world.Password, `{}`)
			w.Connect().Login("iot", world.Password, `{"device":{"mountPoint":"test/a"}}`)
		}
		w.Connect().Nonce()
		refusedAtOnce(w.Connect(), link.TooManyFromSource)
		refusedAtOnce(w.Connect(), link.TooManyFromSource)
		if !w.Healthy(t.Context()) {
			t.Error("the broker is not healthy")
		}
		if s := w.Stats(); s.Mounts != 1 || s.Clients != 5 {
			t.Errorf("%d mounts, %d clients", s.Mounts, s.Clients)
		}
	})
}
