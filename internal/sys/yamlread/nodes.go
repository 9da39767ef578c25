package yamlread

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

var (
	errNoValue   = errors.New("it has no value; ~ and null mean none in YAML unless they are in quotes")
	errNotScalar = errors.New("it is not a single value")
	errSpecial   = errors.New("anchors, aliases and tags are not used here; a text that begins with *, & or ! needs quotes")
)

// Each calls do for every key of a map, in the order of the file. A map that is
// not there is empty.
func (r *Reader) Each(node ast.Node, what string, do func(name string, key, value ast.Node)) {
	switch node := node.(type) {
	case nil, *ast.NullNode:
	case *ast.MappingNode:
		lines := make(map[string]int)
		for _, pair := range node.Values {
			name, err := keyText(pair.Key)
			if err != nil {
				r.Fail(pair.Key, "a key in %s: %w", what, err)
				continue
			}
			if first, twice := lines[name]; twice {
				r.Fail(pair.Key, "key %q in %s is in line %d already", name, what, first)
				continue
			}
			lines[name], _ = Position(pair.Key)
			do(name, pair.Key, pair.Value)
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.Fail(node, "%s: %w", what, errSpecial)
	default:
		r.Fail(node, "%s is not a map of keys and values", what)
	}
}

func keyText(key ast.MapKeyNode) (string, error) {
	switch key.(type) {
	case *ast.MappingKeyNode:
		return "", errors.New("keys behind ? are not used here")
	case *ast.NullNode:
		return "", errNoValue
	}
	return Text(key)
}

// Text is the text of a node that is one value. Numbers and the like are
// taken as they are written: 007 may be somebody's name.
func Text(node ast.Node) (string, error) {
	var text string
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return "", errNoValue
	case *ast.StringNode:
		text = node.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text = strings.TrimSpace(node.GetToken().Value)
	case *ast.LiteralNode:
		text = node.Value.Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return "", errSpecial
	default:
		return "", errNotScalar
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", errors.New("it has a control character or more than one line")
	}
	return text, nil
}

// Position is where a node begins, counted from 1. A block map's own token is the
// colon of its first key.
func Position(node ast.Node) (line, column int) {
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		node = m.Values[0].Key
	}
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 1, 1
	}
	at := node.GetToken().Position
	return at.Line, at.Column
}

// nodeError is an error about a node inside the one that is being read.
type nodeError struct {
	node ast.Node
	error
}

func (e nodeError) Unwrap() error { return e.error }

// At makes err one about a node inside the one that is being read; FaultNode finds
// it again.
func At(node ast.Node, err error) error { return nodeError{node, err} }

// FaultNode is the node that err is about, node where it does not say.
func FaultNode(err error, node ast.Node) ast.Node {
	var inner nodeError
	if errors.As(err, &inner) {
		return inner.node
	}
	return node
}

// firstLine makes the parser's text fit a line, whatever it quotes.
func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Sprintf("%q", text)
	}
	return text
}
