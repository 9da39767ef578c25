package core_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/core"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// Peers without a login must not be able to fill the disk with log lines.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	var text bytes.Buffer
	bounds := core.Limits{Unauthenticated: 1, Connections: 30}
	o := core.Options{Log: zerolog.New(zerolog.SyncWriter(&text)).Level(zerolog.InfoLevel), Limits: bounds}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		pending := w.Connect()
		synctest.Wait()
		for range 100 {
			w.Connect().Gone()
		}
		pending.Close()
		for n := range 30 {
			bad := w.ConnectFrom("10.0.0.1:1")
			bad.Nonce()
			bad.Send(plainLogin, 2, "wrong", "PLAIN", fmt.Sprint("mallory", n, strings.Repeat("x", 10000)))
			bad.Text()
			bad.Close()
			synctest.Wait()
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		log := text.String()
		cause := `"cause":"` + link.TooManyLogins.String() + `"`
		for part, want := range map[string]int{
			`"message":"connection refused`: 6, `"times":95`: 1, cause: 6, `"connection refused, again and again"`: 1,
			`"message":"login refused"`: 20, `"message":"login refused, again and again"`: 1,
			`"times":10,"peers":1,"users":10,"latest":"mallory29x`: 1, `there is no user`: 21,
		} {
			if n := strings.Count(log, part); n != want {
				t.Errorf("%d times %s, want %d", n, part, want)
			}
		}
		if len(log) > 30_000 {
			t.Errorf("the log has %d bytes", len(log))
		}
		if t.Failed() {
			t.Log(log)
		}
	})
}

// What everybody can provoke does not hide lines of the same message for other reasons.
func TestStrangersHideNoOtherReason(t *testing.T) {
	var text bytes.Buffer
	bounds := core.Limits{UnauthenticatedPerSource: 2, Unauthenticated: 3}
	o := core.Options{Log: zerolog.New(zerolog.SyncWriter(&text)).Level(zerolog.InfoLevel), Limits: bounds}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		pending, other := w.ConnectFrom("10.0.0.1:1"), w.ConnectFrom("10.0.0.1:2")
		synctest.Wait()
		for range 100 {
			w.ConnectFrom("10.0.0.1:3").Gone()
		}
		other.Close()
		synctest.Wait()
		w.ConnectFrom("10.0.0.2:1")
		w.ConnectFrom("10.0.0.3:1")
		synctest.Wait()
		w.ConnectFrom("10.0.0.3:2").Gone() // all have as many
		pending.Close()
		for range 100 {
			synctest.Wait()
			w.Device(strings.Repeat("x", 1000)).Close()
		}
		synctest.Wait()
		w.Device(".broker/x")
		synctest.Wait()
		log := text.String()
		for part, want := range map[string]int{
			link.TooManyFromSource.String(): 5, link.TooManyLogins.String() + `","peer":"10.0.0.3`: 1,
			`"reason":"its mount point is too long"`: 5, `"reason":"its user may not mount there"`: 1,
		} {
			if n := strings.Count(log, part); n != want {
				t.Errorf("%d times %s, want %d", n, part, want)
			}
		}
		if t.Failed() {
			t.Log(log)
		}
	})
}
