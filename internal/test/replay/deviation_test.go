package replay

import (
	"slices"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// end is the place after the last frame of a connection.
const end = -1

// deviation says what our broker sends to a client instead of a recorded frame, and
// which rule is the reason.
type deviation struct {
	place string // connection and number of the frame to it, or "end"
	rule  string
	sends []answer // none: nothing
	seen  bool
}

// answer is one message of our broker, or the end of the connection.
type answer struct {
	text  string // CPON with the recorded ids; "*" instead of a String: any; closed
	after time.Duration

	value chainpack.Value
	raw   []byte // not a message; compared byte by byte
}

func (a answer) String() string {
	text := a.text
	if text == "" {
		text = cpon.String(a.value)
	}
	if a.after > 0 {
		text += " after " + a.after.String()
	}
	return text
}

// instead returns a deviation.
func instead(place, rule string, sends ...answer) deviation {
	return deviation{place: place, rule: rule, sends: sends}
}

// now returns a message that is sent at once, as all recorded ones are.
func now(text string) answer { return answer{text: text} }

// late returns a message that a rule delays.
func late(text string, after time.Duration) answer { return answer{text: text, after: after} }

// fresh returns a copy of a table in which no deviation has happened yet.
func fresh(table []deviation) []deviation {
	copied := slices.Clone(table)
	for i := range copied {
		copied[i].sends = slices.Clone(copied[i].sends)
	}
	return copied
}

// wanted returns what a client must receive at a place.
func (p *player) wanted(c *played, place string, recorded []byte, byBroker bool) []answer {
	for i := range p.differs {
		d := &p.differs[i]
		if d.place != place || d.seen {
			continue
		}
		d.seen = true
		for j, a := range d.sends {
			if a.text != closed {
				d.sends[j].value = parse(p.t, a.text)
			}
		}
		return d.sends
	}
	switch {
	case byBroker:
		return []answer{now(closed)}
	case recorded == nil:
		return nil
	}
	v, ok := message(recorded)
	if !ok {
		return []answer{{raw: recorded, text: show(recorded)}}
	}
	v = everywhere(v)
	if c.helper {
		v = toHelper(v)
	}
	return []answer{{value: v}}
}
