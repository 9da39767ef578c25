package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/yamlread"
)

// Parse reads a configuration; file is its name in errors and sources.
func Parse(file string, data []byte) (*Config, error) {
	in, body, err := yamlread.Parse(file, data)
	if err != nil {
		return nil, err
	}
	r := &reader{Reader: in, config: new(Config)}
	r.top(body)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return r.config, nil
}

// reader is one call of Parse.
type reader struct {
	*yamlread.Reader
	config *Config
}

func (r *reader) top(node ast.Node) {
	r.Each(node, "the file", func(name string, key, value ast.Node) {
		switch name {
		case "defaults":
			r.config.defaults = new(entry)
			r.host(value, Source{File: r.File()}, &r.config.defaults.Host)
		case "hosts":
			r.hosts(value)
		default:
			r.Fail(key, "unknown key %q; known are defaults, hosts", name)
		}
	})
}

func (r *reader) hosts(node ast.Node) {
	lines := make(map[string]int)
	r.Each(node, "hosts", func(name string, key, value ast.Node) {
		e := new(entry)
		line, _ := yamlread.Position(key)
		clean := sshargs.DecodePath(name)
		switch first, twice := lines[clean]; {
		case clean == "":
			r.Fail(key, "the name of a host is empty")
		case twice:
			r.Fail(key, "host %q is in line %d already", name, first)
		case isPattern(clean):
			var err error
			if e.pattern, err = shvpath.ParsePattern(clean); err != nil {
				r.Fail(key, "host %q is not a pattern: %v", name, err)
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
		r.host(value, Source{File: r.File(), Entry: name}, &e.Host)
	})
}

// host reads the settings of one entry; those of source that are known.
func (r *reader) host(node ast.Node, source Source, host *Host) {
	single := source.Entry != "" && !isPattern(source.Entry)
	r.Each(node, source.section(), func(name string, key, value ast.Node) {
		k, ok := findKey(name)
		switch {
		case !ok:
			r.Fail(key, "unknown key %q in %s; known are %s", name, source.section(), keyNames())
		case k.single && !single:
			r.Fail(key, "%s in %s would make all names the same device; it belongs to a host without a pattern", name, source.section())
		default:
			source := source
			source.Line, _ = yamlread.Position(key)
			if err := k.set(host, value, source); err != nil {
				if value == nil {
					value = key
				}
				r.Fail(yamlread.FaultNode(err, value), "%s of %s: %w", name, source.section(), err)
			}
		}
	})
}

func isPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }
