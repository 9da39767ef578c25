package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/sys/yamlread"
	"shvtools/internal/wire/transport"
)

// key is one setting that a host can have.
type key struct {
	name string
	// single: it makes sense for one device only.
	single bool
	// set reads node into h; the error is about node.
	set  func(h *Host, node ast.Node, source Source) error
	fill func(h, other *Host)
	show func(h *Host) (text string, source Source, ok bool)
}

// keys are all of them.
var keys []key

// init, for the methods of Host read the table.
func init() {
	keys = []key{
		newKey("url", func(h *Host) *Value[transport.URL] { return &h.URL }, scalar(parseURL), transport.URL.String),
		onlyForOne(newKey("path", func(h *Host) *Value[string] { return &h.Path }, scalar(parsePath), asIs)),
		newKey("user", func(h *Host) *Value[string] { return &h.User }, scalar(notEmpty), asIs),
		newKey("shell", func(h *Host) *Value[string] { return &h.Shell }, scalar(notEmpty), asIs),
		newKey("password-file", func(h *Host) *Value[string] { return &h.PasswordFile }, readFileName, asIs),
		newKey("escape", func(h *Host) *Value[sshargs.Escape] { return &h.Escape }, scalar(sshargs.ParseEscape), sshargs.Escape.String),
		newKey("env", func(h *Host) *Value[[]string] { return &h.Env }, readEnv, func(list []string) string { return strings.Join(list, " ") }),
		newKey("connect-timeout", func(h *Host) *Value[time.Duration] { return &h.ConnectTimeout }, scalar(sshargs.ParseTime), time.Duration.String),
	}
}

func newKey[T any](name string, field func(h *Host) *Value[T], read func(ast.Node, Source) (T, error), show func(T) string) key {
	return key{
		name: name,
		set: func(h *Host, node ast.Node, source Source) error {
			value, err := read(node, source)
			if err != nil {
				return err
			}
			*field(h) = Value[T]{Value: value, Set: true, Source: source}
			return nil
		},
		fill: func(h, other *Host) {
			if !field(h).Set {
				*field(h) = *field(other)
			}
		},
		show: func(h *Host) (string, Source, bool) {
			v := field(h)
			if !v.Set {
				return "", Source{}, false
			}
			return show(v.Value), v.Source, true
		},
	}
}

func onlyForOne(k key) key {
	k.single = true
	return k
}

func findKey(name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

func keyNames() string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// scalar reads a value that is one text.
func scalar[T any](parse func(string) (T, error)) func(ast.Node, Source) (T, error) {
	return func(node ast.Node, _ Source) (T, error) {
		text, err := yamlread.Text(node)
		if err != nil {
			var none T
			return none, err
		}
		return parse(text)
	}
}

func asIs(text string) string { return text }

func notEmpty(text string) (string, error) {
	if text == "" {
		return "", errors.New("it is empty")
	}
	return text, nil
}

func parseURL(text string) (transport.URL, error) { return transport.ParseClientURL(text) }

func parsePath(text string) (string, error) {
	clean := sshargs.DecodePath(text)
	switch {
	case clean == "":
		return "", errors.New("it is empty")
	case strings.Contains(text, "://"):
		// It may hold a password.
		return "", errors.New("it is a URL; the broker's belongs to url, and path is an SHV path such as test/agent")
	}
	return clean, nil
}

func readFileName(node ast.Node, source Source) (string, error) {
	text, err := scalar(notEmpty)(node, source)
	if err != nil || filepath.IsAbs(text) || strings.HasPrefix(text, "~/") {
		return text, err
	}
	return filepath.Join(filepath.Dir(source.File), text), nil
}

func readEnv(node ast.Node, _ Source) ([]string, error) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return nil, errors.New("it is not a list such as [LANG, LC_*]")
	}
	patterns := make([]string, 0, len(list.Values))
	for _, item := range list.Values {
		text, err := yamlread.Text(item)
		if err == nil {
			err = sshargs.CheckEnvPattern(text)
		}
		if err != nil {
			return nil, yamlread.At(item, fmt.Errorf("a name in it: %w", err))
		}
		patterns = append(patterns, text)
	}
	return patterns, nil
}
