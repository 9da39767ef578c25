package sentids

import (
	"slices"
	"sync/atomic"
)

// place is what stands for a device in what connections remember.
type place uint32

const (
	nobody place = 0 // the call reached no device
	anyone place = 1 // the id went to more than MaxPlaces devices
	itself place = 2 // the broker

	// block is how many places in a row there are for links that take over from each
	// other. The first block has the places above.
	block = 1 << 8
	// MaxSpans bounds what a link has of those before it. Links that take over from each
	// other in a row have one span for block places.
	MaxSpans = 64
)

// lastBlock is the block that was begun last. It begins anew after 16 million devices; then
// a link may also answer what was once asked of another one that has long gone.
var lastBlock atomic.Uint32

// broker is never written to.
var broker = Places{now: itself, had: []span{{itself, itself}}}

// newBlock returns the first place of a block, not of the first one.
func newBlock() place {
	const blocks = 1 << 32 / block
	return place(1+lastBlock.Add(1)%(blocks-1)) * block
}

// Places are those under which a link was asked, or a link before it whose mount point it
// took over. The zero value has none. Its owner locks it.
type Places struct {
	now  place  // of what it is asked now; nobody: none yet
	next place  // for now, the one after the last of those before; nobody: none
	had  []span // oldest first, with now
}

// span is the places from first to last.
type span struct{ first, last place }

// current returns the place for what the link is asked now.
func (p *Places) current() place {
	if p.now == nobody {
		if p.now = p.next; p.now == nobody {
			p.now = newBlock()
		}
		p.next = nobody
		p.add(span{p.now, p.now})
	}
	return p.now
}

// Has reports whether the link was asked under a place, or one before it.
func (p *Places) Has(at place) bool {
	for i := len(p.had) - 1; i >= 0; i-- {
		if s := p.had[i]; s.first <= at && at <= s.last {
			return true
		}
	}
	return false
}

// IsEmpty reports whether neither the link nor one before it was asked anything.
func (p *Places) IsEmpty() bool { return len(p.had) == 0 }

// HandOver returns what a link that takes over has. What the link is asked from now on is
// its own again.
func (p *Places) HandOver() Places {
	heir := Places{next: p.next, had: slices.Clone(p.had)}
	if p.now != nobody && (p.now+1)%block != 0 {
		heir.next = p.now + 1
	}
	p.now, p.next = nobody, nobody
	return heir
}

// Take takes over what HandOver returned.
func (p *Places) Take(from Places) {
	own := p.had
	p.had = nil
	for _, s := range slices.Concat(from.had, own) {
		p.add(s)
	}
	if p.now == nobody && p.next == nobody {
		p.next = from.next
	}
}

// add adds a span to those that the link has, as the newest. One that begins in another, or
// goes on where that ends, becomes one with it.
func (p *Places) add(s span) {
	for i, had := range p.had {
		if had.first <= s.first && s.first <= had.last+1 {
			s = span{had.first, max(had.last, s.last)}
			p.had = slices.Delete(p.had, i, i+1)
			break
		}
	}
	if p.had = append(p.had, s); len(p.had) > MaxSpans {
		p.had = slices.Delete(p.had, 0, 1)
	}
}
