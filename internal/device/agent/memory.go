package agent

import (
	"runtime/debug"
	"runtime/metrics"
)

// muchGarbage is how many bytes must have been allocated before a collection is worth it.
const muchGarbage = 256 << 10

// memory returns the garbage of sessions and calls to the system: an idle agent would never
// collect it. It must not be used concurrently.
type memory struct{ collected uint64 }

// tidy returns memory if there is enough to return. It is called with the heartbeat, so that
// it never wakes the agent up.
func (m *memory) tidy() {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocated)
	if allocated[0].Value.Kind() != metrics.KindUint64 || allocated[0].Value.Uint64()-m.collected < muchGarbage {
		return
	}
	debug.FreeOSMemory()
	m.collected = allocated[0].Value.Uint64()
}
