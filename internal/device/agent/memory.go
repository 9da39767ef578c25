package agent

import (
	"runtime/debug"
	"runtime/metrics"
)

// muchGarbage is how much must have been allocated, in bytes, before it is worth a
// collection to give memory back.
const muchGarbage = 256 << 10

// memory gives the system back what sessions and calls have left as garbage: an
// agent that has nothing to do would never collect it. It is of one goroutine at a
// time.
type memory struct{ collected uint64 }

// tidy does it, where there is something to give back. It goes with the heartbeat,
// so that it is no reason to wake up.
func (m *memory) tidy() {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocated)
	if allocated[0].Value.Kind() != metrics.KindUint64 || allocated[0].Value.Uint64()-m.collected < muchGarbage {
		return
	}
	debug.FreeOSMemory()
	m.collected = allocated[0].Value.Uint64()
}
