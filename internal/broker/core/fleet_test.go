//go:build !race

// With the race detector this takes minutes.

package core_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/core"
	"shvtools/internal/test/world"
)

// A device of the same account is not the account: what waits for one is its own.
func TestFleetOfOneAccountIsWholeBesideAnAttacker(t *testing.T) {
	const count = 15_000
	world.Run(t, core.Options{Limits: core.Limits{Connections: 20_000}}, func(t *testing.T, w *world.World) {
		mal := w.As("eve", `{"device":{"mountPoint":"test/mal"}}`)
		for range 60 {
			echoes(w.As("eve", `{}`), 2, 3900<<10/2)
		}
		for range 60 {
			echoes(w.As("iot", `{}`), 2, 3900<<10/2) // someone has stolen the account of the fleet too
		}
		synctest.Wait()
		mal.Send(`<1:1,8:9,9:"test/x",10:"x">i{}`)
		mal.Next()
		user := w.Admin()
		call := func(i int, device *world.Peer) {
			path := fmt.Sprintf("test/pump%d", i)
			user.Reaches(path, device, "")
			device.Send(`<1:1,8:7,9:".broker/currentClient",10:"info">i{}`) // it calls, too
			if !isResult(device.Next()) {
				t.Fatalf("%s is refused", path)
			}
		}
		devices := make([]*world.Peer, count)
		for i := range devices {
			devices[i] = w.Mounted("iot", fmt.Sprintf("test/pump%d", i))
			call(i, devices[i])
		}
		for i, device := range devices {
			call(i, device)
		}
		if s := w.Stats(); s.Mounts != count+1 || s.Queued < 150<<20 {
			t.Errorf("%d mounts, %d bytes wait", s.Mounts, s.Queued)
		}
	})
}
