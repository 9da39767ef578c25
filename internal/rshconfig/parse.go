package rshconfig

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"shvtools/internal/shvpath"
	"shvtools/internal/sshargs"
)

// Parse reads a configuration; file is its name in errors and sources.
func Parse(file string, data []byte) (*Config, error) {
	r := &reader{file: file, config: new(Config)}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := invalidUTF8(data); i >= 0 {
		return nil, fmt.Errorf("%s:%d: not UTF-8", file, 1+bytes.Count(data[:i], []byte("\n")))
	}
	// The parser takes "a.b" and b below a for duplicates, so it is not asked.
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, r.syntax(err, data)
	}
	var body ast.Node
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.DirectiveType:
		case body != nil:
			r.fail(doc.Body, "a second document; there is one only")
		default:
			body = doc.Body
		}
	}
	r.top(body)
	if err := errors.Join(r.faults...); err != nil {
		return nil, err
	}
	return r.config, nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// reader is one call of Parse. It goes on after a fault, to tell all of them.
type reader struct {
	file   string
	config *Config
	faults []error
}

func (r *reader) fail(node ast.Node, format string, args ...any) {
	line, column := position(node)
	r.faults = append(r.faults, fmt.Errorf("%s:%d:%d: %w", r.file, line, column, fmt.Errorf(format, args...)))
}

// syntax drops the part of the parser's text that is several lines, and knows the
// mistake that patterns invite.
func (r *reader) syntax(err error, data []byte) error {
	var detailed yaml.Error
	if !errors.As(err, &detailed) || detailed.GetToken() == nil {
		return fmt.Errorf("%s: not YAML: %s", r.file, firstLine(err.Error()))
	}
	at, hint := detailed.GetToken().Position, ""
	if lines := bytes.Split(data, []byte("\n")); at.Line >= 1 && at.Line <= len(lines) {
		if bytes.HasPrefix(bytes.TrimLeft(lines[at.Line-1], " {"), []byte("*")) {
			hint = "; a name that begins with * needs quotes"
		}
	}
	return fmt.Errorf("%s:%d:%d: not YAML: %s%s", r.file, at.Line, at.Column, firstLine(detailed.GetMessage()), hint)
}

func (r *reader) top(node ast.Node) {
	r.each(node, "the file", func(name string, key, value ast.Node) {
		switch name {
		case "defaults":
			r.config.defaults = new(entry)
			r.host(value, Source{File: r.file}, &r.config.defaults.Host)
		case "hosts":
			r.hosts(value)
		default:
			r.fail(key, "unknown key %q; known are defaults, hosts", name)
		}
	})
}

func (r *reader) hosts(node ast.Node) {
	lines := make(map[string]int)
	r.each(node, "hosts", func(name string, key, value ast.Node) {
		e := new(entry)
		line, _ := position(key)
		clean := sshargs.DecodePath(name)
		switch first, twice := lines[clean]; {
		case clean == "":
			r.fail(key, "the name of a host is empty")
		case twice:
			r.fail(key, "host %q is in line %d already", name, first)
		case isPattern(clean):
			var err error
			if e.pattern, err = shvpath.ParsePattern(clean); err != nil {
				r.fail(key, "host %q is not a pattern: %v", name, err)
				break
			}
			r.config.patterns = append(r.config.patterns, e)
		default:
			if r.config.exact == nil {
				r.config.exact = make(map[string]*entry)
			}
			r.config.exact[clean] = e
		}
		lines[clean] = line
		r.host(value, Source{File: r.file, Entry: name}, &e.Host)
	})
}

// host reads the settings of one entry; those of source that are known.
func (r *reader) host(node ast.Node, source Source, host *Host) {
	single := source.Entry != "" && !isPattern(source.Entry)
	r.each(node, source.section(), func(name string, key, value ast.Node) {
		k, ok := findKey(name)
		switch {
		case !ok:
			r.fail(key, "unknown key %q in %s; known are %s", name, source.section(), keyNames())
		case k.single && !single:
			r.fail(key, "%s in %s would make all names the same device; it belongs to a host without a pattern", name, source.section())
		default:
			source := source
			source.Line, _ = position(key)
			if err := k.set(host, value, source); err != nil {
				if value == nil {
					value = key
				}
				r.fail(faultNode(err, value), "%s of %s: %w", name, source.section(), err)
			}
		}
	})
}

func isPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }
