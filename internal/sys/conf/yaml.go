package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth bounds how deep lists and maps may be in each other.
const maxDepth = 100

// YAML makes a node of a YAML file; one that says nothing is Null. It is strict: keys
// that are given twice, anchors, aliases, tags of YAML itself, control characters and
// second documents are faults. What is not YAML is a fault, and the node Faulty.
func (r *Reader) YAML(file string, data []byte) *Node {
	s := &source{name: file, file: true}
	top := Place{source: s, line: 1, col: 1}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at, what := unreadable(data); what != "" {
		at.source = s
		r.FailAt(at, "%s", what)
		return &Node{kind: Faulty, place: top}
	}
	c := converter{reader: r, source: s, data: data, explicit: bytes.IndexByte(data, '?') >= 0}
	loader, err := yaml.NewLoader(bytes.NewReader(withoutDirective(data)),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	root := &Node{place: top}
	for documents := 0; err == nil; {
		var document yaml.Node
		if err = loader.Load(&document); err != nil || len(document.Content) == 0 {
			continue
		}
		body := document.Content[0]
		switch documents++; documents {
		case 1:
			root = c.node(body)
		case 2:
			r.FailAt(c.at(body), "a second document (want one)")
		}
	}
	if !errors.Is(err, io.EOF) {
		r.FailAt(c.syntax(err))
		return &Node{kind: Faulty, place: top}
	}
	return root
}

// unreadable finds what no configuration may hold: bytes that are not UTF-8, and
// characters that YAML does not allow.
func unreadable(data []byte) (at Place, what string) {
	line, col := int32(1), int32(1)
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		switch {
		case c == utf8.RuneError && size == 1:
			return Place{line: line, col: col}, "not UTF-8"
		case c == '\n':
			line, col = line+1, 0
		case c < ' ' && c != '\t' && c != '\r', c >= 0x7f && c < 0xa0, c == '\ufeff', c == '\u2028', c == '\u2029':
			return Place{line: line, col: col}, "control character " + strconv.QuoteRune(c)
		}
		data, col = data[size:], col+1
	}
	return Place{}, ""
}

// withoutDirective makes a comment of a directive for YAML 1.2: the parser reads that,
// but knows the directive for 1.1 alone.
func withoutDirective(data []byte) []byte {
	directive := []byte("%YAML 1.2")
	for line := range bytes.Lines(data) {
		switch {
		case bytes.HasPrefix(line, directive):
			return bytes.Replace(data, directive, []byte("#YAML 1.2"), 1)
		case len(bytes.TrimSpace(line)) > 0 && line[0] != '#':
			return data
		}
	}
	return data
}

// converter makes nodes of one file.
type converter struct {
	reader   *Reader
	source   *source
	data     []byte
	lines    [][]byte // of data, made when they are needed
	explicit bool     // there may be keys behind ?
}

func (c *converter) at(n *yaml.Node) Place {
	return Place{source: c.source, line: int32(n.Line), col: int32(n.Column)}
}

var errSpecial = errors.New(`anchors, aliases and tags are not used here (want quotes around a text that begins with ` +
	`*, & or !)`)

// node converts a node, and lets go of what it has converted.
func (c *converter) node(from *yaml.Node) *Node {
	n := &Node{place: c.at(from)}
	if from.Anchor != "" || from.Kind == yaml.AliasNode {
		return c.faulty(n, errSpecial)
	}
	if from.Style&yaml.TaggedStyle != 0 || from.Tag == "!" {
		return c.tagged(n, from)
	}
	switch from.Kind {
	case yaml.MappingNode:
		c.mapping(n, from.Content)
	case yaml.SequenceNode:
		n.kind = List
		n.items = make([]*Node, 0, len(from.Content))
		for i, item := range from.Content {
			n.add(c.node(item))
			from.Content[i] = nil
		}
	default:
		if from.Tag == "!!null" {
			n.text, n.bare = from.Value, from.Value == ""
			return n
		}
		text, err := scalarText(from)
		if err != nil {
			return c.faulty(n, err)
		}
		n.kind, n.text = Scalar, text
	}
	return n
}

func (c *converter) faulty(n *Node, err error) *Node {
	c.reader.Fail(n, "%w", err)
	n.kind = Faulty
	return n
}

// nulls are the texts that mean none when they are not quoted.
var nulls = []string{"", "~", "null", "Null", "NULL"}

// tagged makes a map of one key of a value with a tag: the Rust broker's files have
// both forms.
func (c *converter) tagged(n *Node, from *yaml.Node) *Node {
	name := strings.TrimPrefix(from.Tag, "!")
	if !c.reader.Tags || name == "" || name == from.Tag || strings.HasPrefix(name, "!") {
		return c.faulty(n, errSpecial)
	}
	plain := *from
	plain.Style &^= yaml.TaggedStyle
	plain.Tag = ""
	if plain.Kind == yaml.ScalarNode && plain.Style == 0 && slices.Contains(nulls, plain.Value) {
		plain.Tag = "!!null"
	}
	n.kind = Map
	n.put(name, n.place, c.node(&plain))
	return n
}

func scalarText(from *yaml.Node) (string, error) {
	switch {
	case from.Tag == "!!merge":
		return "", errSpecial
	case strings.ContainsFunc(from.Value, unicode.IsControl):
		return "", errors.New("a control character or more than one line (want one line)")
	}
	return from.Value, nil
}

func (c *converter) mapping(n *Node, content []*yaml.Node) {
	n.kind = Map
	n.items = make([]*Node, 0, len(content)/2)
	lines := make(map[string]int, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		key, value := content[i], c.node(content[i+1])
		at := c.at(key)
		n.put(key.Value, at, value)
		first, twice := lines[key.Value]
		switch err := c.keyFault(key); {
		case err != nil:
			c.reader.faults = append(c.reader.faults, note{n, at, fmt.Errorf("a key: %w", err)})
			value.name, value.kind = "", Faulty
		case twice:
			c.reader.FailKey(value, "the key is in line %d already", first)
			value.kind = Faulty
		default:
			lines[key.Value] = key.Line
		}
		content[i], content[i+1] = nil, nil
	}
}

func (c *converter) keyFault(key *yaml.Node) error {
	switch {
	case key.Anchor != "", key.Kind == yaml.AliasNode, key.Style&yaml.TaggedStyle != 0, key.Tag == "!":
		return errSpecial
	case key.Kind != yaml.ScalarNode:
		return errors.New("not a single value")
	case c.isExplicit(key):
		return errors.New("keys behind ? are not used here (want KEY: VALUE)")
	case key.Tag == "!!null":
		return errors.New("no name: ~ and null mean none unless they are quoted")
	}
	_, err := scalarText(key)
	return err
}

// isExplicit tells whether a key stands behind a question mark.
func (c *converter) isExplicit(key *yaml.Node) bool {
	if !c.explicit {
		return false
	}
	before := []rune(string(c.line(key.Line)))
	before = before[:min(max(key.Column-1, 0), len(before))]
	text := strings.TrimRight(string(before), " \t")
	rest, found := strings.CutSuffix(text, "?")
	return found && (rest == "" || strings.ContainsAny(rest[len(rest)-1:], " \t-?:{[,"))
}

func (c *converter) line(number int) []byte {
	if c.lines == nil {
		c.lines = bytes.Split(c.data, []byte("\n"))
	}
	if number < 1 || number > len(c.lines) {
		return nil
	}
	return c.lines[number-1]
}

// syntax is the place and the text of a parser's error, for FailAt.
func (c *converter) syntax(err error) (at Place, format string, text any) {
	at = Place{source: c.source, line: 1, col: 1}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return at, notYAML, quoted(err.Error())
	}
	mark := load.Mark
	if load.Stage == composerStage && mark.Line > 0 {
		at.line, at.col = int32(mark.Line), int32(mark.Column)
		return at, "%w", errSpecial
	}
	message := load.Message
	if load.ContextMsg != "" {
		message = load.ContextMsg + ": " + message
		// What is not closed is found at its beginning, not where the file ends.
		for _, what := range []string{"flow", "quoted", "alias"} {
			if strings.Contains(load.ContextMsg, what) && load.ContextMark.Line > 0 {
				mark = load.ContextMark
			}
		}
	}
	if mark.Line > 0 {
		at.line, at.col = int32(mark.Line), int32(max(mark.Column, 1))
	}
	if last := c.last(); last.line < at.line {
		at = last // the parser counts a line that is not there
	}
	if bytes.HasPrefix(bytes.TrimLeft(c.line(mark.Line), " {"), []byte("*")) {
		message += " (want quotes around a name that begins with *)"
	}
	return at, notYAML, quoted(message)
}

// last is the place of the last character that is not blank.
func (c *converter) last() Place {
	text := bytes.TrimRight(c.data, " \t\r\n")
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	return Place{source: c.source, line: int32(1 + bytes.Count(text, []byte("\n"))), col: int32(max(utf8.RuneCount(line),
		1))}
}

const (
	notYAML = "not YAML: %s"
	// composerStage is where the parser looks up aliases.
	composerStage = "composer"
)

// quoted makes a parser's text fit a line, whatever it repeats of the file.
func quoted(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if strings.ContainsFunc(text, unicode.IsControl) {
		return strconv.Quote(text)
	}
	return text
}
