package inband

import (
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
)

// receiver puts the pieces of one direction in order. It must not be used concurrently.
type receiver struct {
	taken [channels]int64
}

// place is where a piece lies relative to what was taken before.
type place int

const (
	fits  place = iota // its beginning was taken, or is next
	again              // taken before
	ahead              // something before it is missing
)

// take checks a piece and, if it fits, notes it as taken. It cuts off what was taken before.
func (r *receiver) take(p *piece) place {
	taken := r.taken[p.channel]
	switch {
	case p.at > taken:
		return ahead
	case p.end() <= taken:
		return again
	}
	if channel, total, ok := eofOf(p.control); ok && total > r.taken[channel] {
		return ahead // the channel that it ends is incomplete
	}
	if p.channel != tunnel.Control {
		p.data = p.data[taken-p.at:]
		p.at = taken
	}
	r.taken[p.channel] = p.end()
	return fits
}

// totals returns how much was taken of each channel that a device sends.
func (r *receiver) totals() chainpack.Value {
	return chainpack.IMap(
		chainpack.N(tunnel.Stdout, chainpack.Int(r.taken[tunnel.Stdout])),
		chainpack.N(tunnel.Stderr, chainpack.Int(r.taken[tunnel.Stderr])),
		chainpack.N(tunnel.Control, chainpack.Int(r.taken[tunnel.Control])),
	)
}
