package cpon

import "shvtools/internal/shv/chainpack"

// open consumes the opening byte of a container.
func (p *parser) open() error {
	if p.depth >= p.lim.Depth {
		return p.limitAt(p.off, "depth", p.lim.Depth)
	}
	p.depth++
	p.off++
	return nil
}

// close consumes end if it comes next, after separators. At the end of the text it reports that the
// container, which began at start, is not closed.
func (p *parser) close(end byte, start int) (bool, error) {
	if err := p.space(); err != nil {
		return false, err
	}
	if p.off >= len(p.text) {
		return false, p.errorAt(start, "no %q to close what begins here", end)
	}
	if p.text[p.off] != end {
		return false, nil
	}
	p.depth--
	p.off++
	return true, nil
}

func (p *parser) list() (v chainpack.Value, err error) {
	start, base := p.off, len(p.items)
	if err := p.open(); err != nil {
		return v, err
	}
	for {
		done, err := p.close(']', start)
		if err != nil {
			return v, err
		}
		if done {
			break
		}
		item, err := p.value()
		if err != nil {
			return v, err
		}
		p.items = append(p.items, item)
	}
	v = chainpack.List(p.items[base:]...)
	p.items = p.items[:base]
	return v, nil
}

// mapValue reads a Map or IMap. The constructors let the keys decide which of the two it is, as in
// the right column of spec.md 2.4.
func (p *parser) mapValue(build func(...chainpack.Entry) chainpack.Value) (v chainpack.Value, err error) {
	base := len(p.entries)
	if err := p.readEntries('}', false); err != nil {
		return v, err
	}
	v = build(p.entries[base:]...)
	p.entries = p.entries[:base]
	return v, nil
}

// readEntries reads the entries of a map or MetaMap onto the stack. Only a MetaMap may mix String
// and Int keys.
func (p *parser) readEntries(end byte, mixed bool) error {
	start, base := p.off, len(p.entries)
	if err := p.open(); err != nil {
		return err
	}
	for {
		done, err := p.close(end, start)
		if done || err != nil {
			return err
		}
		at := p.off
		k, err := p.key()
		if err != nil {
			return err
		}
		if !mixed && len(p.entries) > base && p.entries[base].Key.IsInt() != k.IsInt() {
			return p.errorAt(at, "String and Int keys in one map")
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		p.entries = append(p.entries, chainpack.Entry{Key: k, Value: v})
	}
}

func (p *parser) key() (k chainpack.Key, err error) {
	at := p.off
	switch c := p.peek(0); {
	case c == '"':
		s, err := p.str()
		return chainpack.StringKey(s), err
	case c == '+' || c == '-' || isDigit(c):
		v, err := p.number()
		if err != nil {
			return k, err
		}
		if i, ok := v.AsInt(); ok {
			return chainpack.IntKey(i), nil
		}
	}
	return k, p.errorAt(at, "key is neither String nor Int")
}

// PlacedEntry is an entry of a map with the place of its key: line and column from 1, the column in
// bytes.
type PlacedEntry struct {
	chainpack.Entry
	Line, Col int
}

// ParseEntries is Parse for a text that is one map, such as a configuration file, whose faults are
// reported with their place. A map entry that occurs twice is returned twice.
func ParseEntries(text []byte, lim chainpack.Limits) ([]PlacedEntry, error) {
	p := parser{text: text, lim: lim.Effective()}
	if err := p.space(); err != nil {
		return nil, err
	}
	start := p.off
	if p.peek(0) != '{' {
		return nil, p.errorAt(p.off, "a map was expected, {…}")
	}
	if err := p.open(); err != nil {
		return nil, err
	}
	var entries []PlacedEntry
	for {
		done, err := p.close('}', start)
		if err != nil {
			return nil, err
		}
		if done {
			break
		}
		line, col := place(text, p.off)
		k, err := p.key()
		if err != nil {
			return nil, err
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		entries = append(entries, PlacedEntry{chainpack.Entry{Key: k, Value: v}, line, col})
	}
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.off < len(text) {
		return nil, p.errorAt(p.off, "text after the map")
	}
	return entries, nil
}
