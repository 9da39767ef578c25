package sentids_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"shvtools/internal/broker/internal/sentids"
)

// model is the rule of design.md 5 for one connection, written to be read and not to be
// fast: what it remembers is a list, the next to be forgotten first.
type model struct {
	limit      int
	unanswered []sent
	answered   []sent
	highest    map[int]int64 // by stack
	gone       bool
}

// sent is an id that went to a device, which is the epoch of a link.
type sent struct {
	stack int
	id    int64
	epoch int // everyone, or none
}

const (
	everyone = -1
	none     = -2
)

// send says that an id went to a link, and reports whether that was not known before.
func (m *model) send(stack int, id int64, epoch int, good map[int]bool) (isNew bool) {
	m.highest[stack] = max(m.highest[stack], id)
	is := func(s sent) bool { return s.stack == stack && s.id == id && s.epoch != none }
	devices := 0
	for _, s := range slices.Concat(m.unanswered, m.answered) {
		if !is(s) {
			continue
		}
		if s.epoch == everyone || good[s.epoch] {
			m.forget(s)
			m.unanswered = append(m.unanswered, s)
			return false
		}
		devices++
	}
	if devices >= sentids.MaxPlaces {
		m.unanswered = slices.DeleteFunc(m.unanswered, is)
		m.answered = slices.DeleteFunc(m.answered, is)
		m.unanswered = append(m.unanswered, sent{stack, id, everyone})
		return false
	}
	if len(m.unanswered)+len(m.answered) == m.limit {
		if len(m.answered) > 0 {
			m.answered = m.answered[1:]
		} else {
			m.unanswered = m.unanswered[1:]
		}
	}
	m.unanswered = append(m.unanswered, sent{stack, id, epoch})
	return true
}

// takeBack undoes the send of an id that was not known before. The space that it took is
// the first to be used again.
func (m *model) takeBack(s sent) {
	m.forget(s)
	m.answered = slices.Insert(m.answered, 0, sent{epoch: none})
}

func (m *model) forget(s sent) {
	is := func(o sent) bool { return o == s }
	m.unanswered = slices.DeleteFunc(m.unanswered, is)
	m.answered = slices.DeleteFunc(m.answered, is)
}

func (m *model) mayAnswer(stack int, id int64, good map[int]bool) bool {
	if m.gone {
		return true
	}
	var here []sent
	elsewhere := false
	for _, s := range slices.Concat(m.unanswered, m.answered) {
		switch {
		case s.stack != stack || s.id != id || s.epoch == none:
		case s.epoch == everyone || good[s.epoch]:
			here = append(here, s)
		default:
			elsewhere = true
		}
	}
	for _, s := range here {
		m.forget(s)
		m.answered = append(m.answered, s)
	}
	return len(here) > 0 || !elsewhere && id <= m.highest[stack]
}

// link is a link with the epochs under which it was asked, of the model, and its Places.
type link struct {
	now    int // 0: not asked since it began, or since another link took over
	good   map[int]bool
	places sentids.Places
}

// both is the model beside what it is a model of.
type both struct {
	m      model
	ids    *sentids.IDs
	stacks []*sentids.Stack
	links  []*link
	epochs int
	// takeovers are bounded, so that no link has more spans than are kept.
	takeovers int
}

func newBoth(limit int) *both {
	const links, stacks = 4, 3
	b := &both{m: model{limit: limit, highest: make(map[int]int64)}, ids: sentids.New(limit, stacks, nil)}
	for i := range stacks {
		b.stacks = append(b.stacks, b.ids.Stack([]byte{byte(i)}))
	}
	for range links {
		b.links = append(b.links, &link{good: make(map[int]bool)})
	}
	return b
}

// step does what three bytes say, to both, and returns in what they differ.
func (b *both) step(op, what, id byte) error {
	l, stack := b.links[int(what)%len(b.links)], int(what/16)%len(b.stacks)
	number := int64(id%8) + 1
	if id >= 0xf0 {
		number = 1<<63 - 1 - int64(id%4)
	}
	switch op % 8 {
	case 0, 1, 2: // a request, which may be refused
		if l.now == 0 {
			b.epochs++
			l.now = b.epochs
			l.good[l.now] = true
		}
		b.ids.Sent(b.stacks[stack], number, &l.places)
		isNew := b.m.send(stack, number, l.now, l.good)
		if op&0x80 != 0 {
			b.ids.TakeBack()
			if isNew {
				b.m.takeBack(sent{stack, number, l.now})
			}
		}
	case 3, 4, 5: // a response
		want := b.m.mayAnswer(stack, number, l.good)
		if got := b.ids.MayAnswer(b.stacks[stack], number, &l.places); got != want {
			return fmt.Errorf("link %d may answer %d of stack %d: %v, want %v", int(what)%len(b.links), number, stack, got, want)
		}
	case 6: // another link takes over, and the old one lives on or ends
		if b.takeovers++; b.takeovers > sentids.MaxSpans/2 {
			return nil
		}
		heir := &link{good: make(map[int]bool)}
		if id&1 != 0 { // it was asked before it could take over
			b.epochs++
			heir.now = b.epochs
			heir.good[heir.now] = true
			own := int64(1000 + b.epochs) // which of two places is renewed first is not said
			b.ids.Sent(b.stacks[stack], own, &heir.places)
			b.m.send(stack, own, heir.now, heir.good)
		}
		for epoch := range l.good {
			heir.good[epoch] = true
		}
		heir.places.Take(l.places.HandOver())
		l.now = 0
		b.links[(int(what)+int(id/2))%len(b.links)] = heir
	case 7: // the stack is looked up anew
		b.stacks[stack] = b.ids.Stack([]byte{byte(stack)})
	}
	if got, want := b.ids.Len(), len(b.m.unanswered)+len(b.m.answered); got < want || got > b.m.limit {
		return fmt.Errorf("%d ids are remembered, want %d", got, want)
	}
	return nil
}

func (b *both) run(ops []byte) error {
	for i := 0; i+2 < len(ops); i += 3 {
		if err := b.step(ops[i], ops[i+1], ops[i+2]); err != nil {
			return fmt.Errorf("step %d: %w", i/3, err)
		}
	}
	return nil
}

// What the fast tables say is what the rule says, for any order of requests, refused
// requests, answers, forged answers, take-overs and evictions.
func TestIDsAreAsTheModel(t *testing.T) {
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 0))
		ops := make([]byte, 3*(20+random.IntN(300)))
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		limit := 1 + int(seed%40)
		if err := newBoth(limit).run(ops); err != nil {
			t.Fatalf("seed %d, limit %d: %v", seed, limit, err)
		}
	}
}

func FuzzIDsAreAsTheModel(f *testing.F) {
	f.Add(byte(1), []byte{0, 0, 0, 0, 1, 0, 3, 0, 0, 3, 1, 0})
	f.Add(byte(7), []byte{0, 0, 0, 6, 0, 2, 0, 0, 1, 3, 1, 0, 3, 1, 1, 128, 2, 5, 3, 3, 5})
	f.Fuzz(func(t *testing.T, limit byte, ops []byte) {
		if err := newBoth(1 + int(limit)).run(ops); err != nil {
			t.Error(err)
		}
	})
}
