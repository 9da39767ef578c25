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
		for n := range 10 {
			bad := w.ConnectFrom(fmt.Sprintf("10.0.0.%d:1", n))
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
			`"message":"login refused"`: 5, `"message":"login refused, again and again"`: 1, `"times":5,"latest":"mallory9x`: 1,
			`there is no user`: 5,
		} {
			if n := strings.Count(log, part); n != want {
				t.Errorf("%d times %s, want %d", n, part, want)
			}
		}
		if len(log) > 10_000 {
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
	bounds := core.Limits{UnauthenticatedPerSource: 1, Connections: 2}
	o := core.Options{Log: zerolog.New(zerolog.SyncWriter(&text)).Level(zerolog.InfoLevel), Limits: bounds}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		pending := w.ConnectFrom("10.0.0.1:1")
		synctest.Wait()
		for range 100 {
			w.ConnectFrom("10.0.0.1:2").Gone()
		}
		w.ConnectFrom("10.0.0.2:1")
		synctest.Wait()
		w.ConnectFrom("10.0.0.3:1").Gone()
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
			link.TooManyFromSource.String(): 5, link.TooManyConnections.String() + `","peer":"10.0.0.3`: 1,
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
