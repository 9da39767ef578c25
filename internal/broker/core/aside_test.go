package core_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/core"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// A login runs on a stack of its own. A panic there ends the link of its client alone,
// and its report names the place.
func TestPanicAsideIsTheCallers(t *testing.T) {
	var text bytes.Buffer
	bug := func(_ *zerolog.Event, _ zerolog.Level, message string) {
		if message == "login refused" {
			panic("of a login")
		}
	}
	log := zerolog.New(&text).Hook(zerolog.HookFunc(bug))
	world.Run(t, core.Options{Log: log}, func(t *testing.T, w *world.World) {
		other, bad := w.Client(), w.Connect()
		bad.Send(plainLogin, 1, "guess", "PLAIN", "iot")
		bad.Gone()
		if w.Ended(link.Bug) != 1 {
			t.Errorf("causes %v", w.Stats().Ended)
		}
		other.Fence()
	})
	if got := text.String(); !strings.Contains(got, "of a login") || !strings.Contains(got, "aside_test.go") {
		t.Errorf("the log has no place of it: %s", got)
	}
}
