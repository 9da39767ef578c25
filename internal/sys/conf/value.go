package conf

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// value makes a node of an SHV value. Values of types that no configuration has are
// faults.
func (r *Reader) value(at Place, v chainpack.Value) *Node {
	n := &Node{place: at}
	switch v.Kind() {
	case chainpack.KindNull:
	case chainpack.KindList:
		n.kind = List
		for _, item := range v.Items() {
			n.add(r.value(at, item))
		}
	case chainpack.KindMap, chainpack.KindIMap:
		n.kind = Map
		for _, e := range v.Entries() {
			r.putValue(n, at, e)
		}
	default:
		text, err := valueText(v)
		if err != nil {
			// Its key is not known yet: Fail asks for it when all is read.
			r.Fail(n, "%w", err)
			n.kind = Faulty
			return n
		}
		n.kind, n.text = Scalar, text
	}
	return n
}

// putValue puts an entry of an SHV map into n.
func (r *Reader) putValue(n *Node, at Place, e chainpack.Entry) {
	if e.Key.IsInt() {
		r.faults = append(r.faults, note{n, at, fmt.Errorf("a key: the number %d (want a name)", e.Key.Int())})
		n.put("", at, &Node{kind: Faulty, place: at})
		return
	}
	n.put(e.Key.Str(), at, r.value(at, e.Value))
}

func valueText(v chainpack.Value) (string, error) {
	if text, ok := v.AsString(); ok {
		return text, nil
	}
	if b, ok := v.AsBool(); ok {
		return fmt.Sprint(b), nil
	}
	if i, ok := v.AsInt(); ok {
		return fmt.Sprint(i), nil
	}
	if t, ok := v.AsTime(); ok {
		return t.Format(time.RFC3339Nano), nil
	}
	return "", errors.New("a value of an unexpected type (want a String, Bool, Int or DateTime)")
}

// Entry makes a node of an SHV value that a call gives for an entry of a map, such as
// access.users and eva: its key is access.users."eva".
func (r *Reader) Entry(keys, name string, v chainpack.Value) *Node {
	parent := (&Node{kind: Map}).Named(keys)
	n := r.value(Place{}, v)
	parent.put(name, Place{}, n)
	n.free = true
	return n
}

// CPON makes a node of the map in a CPON file. Values have the place of the map's key
// that they stand at. What is not CPON is a fault, and the node Faulty.
func (r *Reader) CPON(file string, data []byte) *Node {
	s := &source{name: file, file: true}
	n := &Node{kind: Map, place: Place{source: s}}
	entries, err := cpon.ParseEntries(data, chainpack.Limits{})
	if err != nil {
		n.kind = Faulty
		var syntax *cpon.SyntaxError
		var limit *cpon.LimitError
		switch {
		case errors.As(err, &syntax):
			n.place.line, n.place.col = int32(syntax.Line), int32(syntax.Col)
			err = errors.New(syntax.What)
		case errors.As(err, &limit):
			n.place.line, n.place.col = int32(limit.Line), int32(limit.Col)
			err = errors.New(strings.TrimPrefix(limit.Error(), "cpon: "))
		}
		r.FailAt(n.place, "not CPON: %w", err)
		return n
	}
	for _, e := range entries {
		r.putValue(n, Place{source: s, line: int32(e.Line), col: int32(e.Col)}, chainpack.Entry{Key: e.Key, Value: e.Value})
	}
	return n
}
