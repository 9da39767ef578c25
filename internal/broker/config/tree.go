package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/sys/yamlread"
)

// node is a value of a configuration, from whatever it was read: YAML, CPON, or
// a param of a call.
type node struct {
	at   string // "file:line:col"; "" for a call
	kind nodeKind
	text string // of a scalar
	list []*node
	keys []key // of a map, in its order
}

type nodeKind int

const (
	null nodeKind = iota
	scalar
	list
	table
)

// what the kinds are called towards people.
var kindNames = [...]string{null: "nothing", scalar: "a single value", list: "a list", table: "a map"}

// key is an entry of a map.
type key struct {
	name  string
	at    string
	value *node
}

// reader collects faults and warnings, each with its place.
type reader struct {
	faults   []error
	warnings []string
}

func (r *reader) fail(at, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if at != "" {
		err = fmt.Errorf("%s: %w", at, err)
	}
	r.faults = append(r.faults, err)
}

func (r *reader) warn(at, format string, args ...any) {
	r.warnings = append(r.warnings, at+": "+fmt.Sprintf(format, args...))
}

// is tells whether n has the kind, and says what was expected where it has not.
func (r *reader) is(n *node, kind nodeKind, what, example string) bool {
	if n.kind == kind {
		return true
	}
	r.fail(n.at, "%s is %s; %s was expected, such as %s", what, kindNames[n.kind], kindNames[kind], example)
	return false
}

// child gives the value of a key, nil where there is none or it is null.
func (n *node) child(name string) *node {
	for _, k := range n.keys {
		if k.name == name && k.value.kind != null {
			return k.value
		}
	}
	return nil
}

// fromYAML makes a node of a YAML file. A tag such as !Plain makes a map of one
// key, as the Rust broker's files have it both ways.
func (r *reader) fromYAML(file string, data []byte) (*node, error) {
	in, body, err := yamlread.Parse(file, data)
	if err != nil {
		return nil, err
	}
	n := convertYAML(in, body)
	return n, in.Err()
}

func convertYAML(in *yamlread.Reader, from ast.Node) *node {
	n := &node{at: in.File()}
	if from == nil {
		return n
	}
	n.at = in.Place(from)
	switch from := from.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		n.kind = table
		in.Each(from, "a map", func(name string, at, value ast.Node) {
			child := convertYAML(in, value)
			if value == nil {
				child.at = in.Place(at)
			}
			n.keys = append(n.keys, key{name: name, at: in.Place(at), value: child})
		})
	case *ast.SequenceNode:
		n.kind = list
		for _, item := range from.Values {
			n.list = append(n.list, convertYAML(in, item))
		}
	case *ast.TagNode:
		name := strings.TrimPrefix(from.Start.Value, "!")
		if name == "" || strings.HasPrefix(name, "!") {
			in.Fail(from, "a tag of YAML itself, %s, is not used here", from.Start.Value)
			return n
		}
		n.kind = table
		n.keys = []key{{name: name, at: n.at, value: convertYAML(in, from.Value)}}
	default:
		text, err := yamlread.Text(from)
		if err != nil {
			in.Fail(from, "%w", err)
			return n
		}
		n.kind, n.text = scalar, text
	}
	return n
}

// fromValue makes a node of an SHV value.
func fromValue(at string, v chainpack.Value) (*node, error) {
	n := &node{at: at}
	switch v.Kind() {
	case chainpack.KindNull:
	case chainpack.KindList:
		n.kind = list
		for _, item := range v.Items() {
			child, err := fromValue(at, item)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, child)
		}
	case chainpack.KindMap, chainpack.KindIMap:
		n.kind = table
		for _, e := range v.Entries() {
			if e.Key.IsInt() {
				return nil, errors.New("a map with a number for a key was not expected")
			}
			child, err := fromValue(at, e.Value)
			if err != nil {
				return nil, err
			}
			n.keys = append(n.keys, key{name: e.Key.Str(), at: at, value: child})
		}
	default:
		n.kind = scalar
		return n, n.setText(v)
	}
	return n, nil
}

func (n *node) setText(v chainpack.Value) error {
	if text, ok := v.AsString(); ok {
		n.text = text
	} else if b, ok := v.AsBool(); ok {
		n.text = fmt.Sprint(b)
	} else if i, ok := v.AsInt(); ok {
		n.text = fmt.Sprint(i)
	} else if t, ok := v.AsTime(); ok {
		n.text = t.Format(time.RFC3339Nano)
	} else {
		return errors.New("a value of an unexpected type: a String, a Bool, an Int or a DateTime is")
	}
	return nil
}
