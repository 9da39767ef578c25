package replyroutes

import "shvtools/internal/broker/internal/sentids"

// MaxLeft is how many devices a Left remembers at least, once so many have left.
const MaxLeft = 10_000

// Left remembers what devices were asked whose links have ended. One that comes back may
// answer, once its new link has a reply route for that. Its owner locks it. The zero value
// is empty.
type Left struct {
	fresh, old map[device]sentids.Places
}

// device is what a device has in common with itself when it comes back.
type device struct{ mount, user string }

// Leave remembers what the link of a device was asked, and those before it.
func (l *Left) Leave(mount, user string, from *Table) {
	places := from.handOver()
	if places.IsEmpty() {
		return
	}
	if before, ok := l.take(device{mount, user}); ok {
		places.Take(before)
	}
	if len(l.fresh) >= MaxLeft {
		l.fresh, l.old = nil, l.fresh
	}
	if l.fresh == nil {
		l.fresh = make(map[device]sentids.Places)
	}
	l.fresh[device{mount, user}] = places
}

// Return lets the new link of a device answer what it was asked before it left.
func (l *Left) Return(mount, user string, to *Table) {
	if places, ok := l.take(device{mount, user}); ok {
		to.mu.Lock()
		defer to.mu.Unlock()
		to.places.Take(places)
	}
}

func (l *Left) take(d device) (places sentids.Places, ok bool) {
	for _, devices := range []map[device]sentids.Places{l.fresh, l.old} {
		if places, ok = devices[d]; ok {
			delete(devices, d)
			return places, true
		}
	}
	return places, false
}
