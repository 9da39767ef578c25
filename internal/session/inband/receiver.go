package inband

import (
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
)

// receiver puts the pieces of one direction in order. It must not be used by two
// goroutines at once.
type receiver struct {
	taken [channels]int64
}

// place says what a piece is to the receiver.
type place int

const (
	fits place = iota
	again
	ahead
)

// take judges a piece and notes it as taken where it fits. What was taken already
// is cut off its front.
func (r *receiver) take(p *piece) place {
	taken := r.taken[p.channel]
	switch {
	case p.at > taken:
		return ahead
	case p.end() <= taken:
		return again
	}
	if channel, total, ok := eofOf(p.control); ok && total > r.taken[channel] {
		return ahead // of the channel whose end it tells
	}
	if p.channel != tunnel.Control {
		p.data = p.data[taken-p.at:]
		p.at = taken
	}
	r.taken[p.channel] = p.end()
	return fits
}

// totals is what was taken of the channels that a device sends.
func (r *receiver) totals() chainpack.Value {
	return chainpack.IMap(
		chainpack.N(tunnel.Stdout, chainpack.Int(r.taken[tunnel.Stdout])),
		chainpack.N(tunnel.Stderr, chainpack.Int(r.taken[tunnel.Stderr])),
		chainpack.N(tunnel.Control, chainpack.Int(r.taken[tunnel.Control])),
	)
}
