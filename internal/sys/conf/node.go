package conf

import (
	"strconv"
	"strings"
)

// Kind is what a Node is.
type Kind uint8

// The kinds of a node.
const (
	Null   Kind = iota
	Scalar      // one text
	List
	Map
	Faulty // reported already; readers pass over it
)

// Node is a value of a configuration with its place. Nodes must not be changed
// once they are made.
type Node struct {
	kind   Kind
	named  bool  // it stands at a key of a map
	free   bool  // its name was chosen by whoever wrote the file
	bare   bool  // a Null of a YAML file that is not written at all
	number int32 // of an item in its list, from 1
	place  Place
	key    Place // of the key, for a named one
	parent *Node
	name   string
	text   string
	items  []*Node
}

// Kind returns what the node is; nil is Null.
func (n *Node) Kind() Kind {
	if n == nil {
		return Null
	}
	return n.kind
}

// Text returns the text of a scalar as it is written: 007 may be somebody's name.
func (n *Node) Text() string { return n.text }

// Name returns the key at which the node stands in its map.
func (n *Node) Name() string { return n.name }

// Items returns the items of a list, or the values of a map in the order of the file.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Parent returns the list or map in which the node stands, nil for the whole.
func (n *Node) Parent() *Node { return n.parent }

// Child returns the value at a key of a map, nil where there is none or it is null.
func (n *Node) Child(name string) *Node {
	if n.Kind() != Map {
		return nil
	}
	for _, item := range n.items {
		if item.name == name && item.kind != Null {
			return item
		}
	}
	return nil
}

// Place returns where the value stands.
func (n *Node) Place() Place { return n.place }

// KeyPlace returns where the key of the node stands, or the node itself if it has none.
func (n *Node) KeyPlace() Place {
	if n.named {
		return n.key
	}
	return n.place
}

// Key returns the keys that lead to the node, such as limits.frame,
// access.users."eva".password or rules[2].level. Items are counted from 1.
func (n *Node) Key() string {
	var b strings.Builder
	n.writeKey(&b)
	return b.String()
}

func (n *Node) writeKey(b *strings.Builder) {
	if n.parent != nil {
		n.parent.writeKey(b)
	}
	switch {
	case n.number > 0:
		b.WriteByte('[')
		b.WriteString(strconv.Itoa(int(n.number)))
		b.WriteByte(']')
		return
	case n.name == "" && !n.free:
		return
	case b.Len() > 0:
		b.WriteByte('.')
	}
	if n.free || strings.Trim(n.name, plainKey) != "" {
		b.WriteString(strconv.Quote(n.name))
	} else {
		b.WriteString(n.name)
	}
}

// plainKey are the characters of keys that are shown without quotes.
const plainKey = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// Place is where something stands: a line and column of a file, a whole file, a
// flag, or an environment variable. The zero Place is nowhere, as for a call.
type Place struct {
	source    *source
	line, col int32
}

type source struct {
	name string
	file bool
}

// FlagPlace and EnvPlace are the places of a flag and of an environment variable.
func FlagPlace(flag string) Place { return Place{source: &source{name: "--" + flag}} }

// EnvPlace is as FlagPlace.
func EnvPlace(variable string) Place { return Place{source: &source{name: "$" + variable}} }

// FilePlace is a whole file.
func FilePlace(file string) Place { return Place{source: &source{name: file, file: true}} }

// String returns `file:line:col`, the file alone, `--flag` or `$VARIABLE`; "" for
// the zero Place.
func (p Place) String() string {
	switch {
	case p.source == nil:
		return ""
	case p.line == 0:
		return p.source.name
	}
	return p.source.name + ":" + strconv.Itoa(int(p.line)) + ":" + strconv.Itoa(int(p.col))
}

// File returns the file of the place, "" where it is in none.
func (p Place) File() string {
	if !p.InFile() {
		return ""
	}
	return p.source.name
}

// Line returns the line in the file, from 1; 0 where there is none.
func (p Place) Line() int { return int(p.line) }

// InFile tells whether the place is in a file, and not a flag, the environment or a call.
func (p Place) InFile() bool { return p.source != nil && p.source.file }

// Named returns n as if it stood below the given keys, for files that hold a part of a
// configuration: with access.users, its child eva has the key access.users."eva".
func (n *Node) Named(keys string) *Node {
	n.name = keys
	return n
}

// FromTexts makes a node of the values of a flag or an environment variable: a scalar
// of one text, else a list.
func FromTexts(at Place, list bool, texts ...string) *Node {
	if !list && len(texts) == 1 {
		return &Node{kind: Scalar, place: at, text: texts[0]}
	}
	n := &Node{kind: List, place: at}
	for _, text := range texts {
		n.add(&Node{kind: Scalar, place: at, text: text})
		n.items[len(n.items)-1].number = 0 // the place says enough
	}
	return n
}

func (n *Node) add(item *Node) {
	item.parent = n
	item.number = int32(len(n.items) + 1)
	n.items = append(n.items, item)
}

func (n *Node) put(name string, key Place, value *Node) {
	value.parent, value.named, value.name, value.key = n, true, name, key
	n.items = append(n.items, value)
}
