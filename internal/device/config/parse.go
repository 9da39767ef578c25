package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"shvtools/internal/device/policy"
	"shvtools/internal/sys/yamlread"
)

// reader is one file that is being read.
type reader struct {
	*yamlread.Reader
	config *Config
}

// parse reads data, which came from file, over what c has.
func (c *Config) parse(file string, data []byte) error {
	in, body, err := yamlread.Parse(file, data)
	if err != nil {
		return err
	}
	r := &reader{Reader: in, config: c}
	var base, rules, rulesKey ast.Node
	r.Each(body, "the file", func(name string, key, value ast.Node) {
		switch name {
		case "connection", "sessions", "files", "commands":
			r.Each(value, name, func(inner string, key, value ast.Node) { r.setting(name+"."+inner, key, value) })
		case "defaults":
			base = value
		case "rules":
			rules, rulesKey = value, key
		default:
			r.setting(name, key, value)
		}
	})
	limits := policy.DefaultLimits()
	r.Each(base, "defaults", func(name string, key, value ast.Node) {
		if !r.limit(&limits, name, key, value) {
			r.Fail(key, "unknown key %q in defaults; known are %s", name, strings.Join(limitNames(), ", "))
		}
	})
	if rulesKey != nil {
		c.rules = r.Place(rulesKey)
		c.Policy = &policy.Policy{}
		r.rules(rules, rulesKey, limits)
	} else {
		c.Policy.Rules[0].Limits = limits
	}
	return r.Err()
}

// setting reads one of the settings, by its key.
func (r *reader) setting(name string, key, value ast.Node) {
	for _, each := range settings {
		if each.key != name {
			continue
		}
		values, err := texts(value)
		if err == nil {
			err = each.apply(r.config, values)
		}
		if err != nil {
			r.fail(key, value, name, err)
			return
		}
		r.config.sources[name] = r.Place(key)
		return
	}
	r.Fail(key, "unknown key %q; known are %s", name, strings.Join(keyNames(), ", "))
}

func keyNames() []string {
	var names []string
	for _, each := range settings {
		names = append(names, each.key)
	}
	return append(names, "defaults", "rules")
}

// fail tells a fault of a value at its place, or at that of its key.
func (r *reader) fail(key, value ast.Node, name string, err error) {
	if value == nil {
		value = key
	}
	r.Fail(yamlread.FaultNode(err, value), "%s: %w", name, err)
}

// texts reads one text or a list of them.
func texts(node ast.Node) ([]string, error) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		text, err := yamlread.Text(node)
		return []string{text}, err
	}
	all := []string{}
	for _, item := range list.Values {
		text, err := yamlread.Text(item)
		if err != nil {
			return nil, yamlread.At(item, err)
		}
		all = append(all, text)
	}
	return all, nil
}

// one reads one text.
func one(node ast.Node) (string, error) {
	if _, list := node.(*ast.SequenceNode); list {
		return "", errors.New("it is a list; one value was expected")
	}
	return yamlread.Text(node)
}

func truth(node ast.Node) (bool, error) {
	text, err := one(node)
	if err == nil && text != "true" && text != "false" {
		err = fmt.Errorf("%q is neither true nor false", text)
	}
	return text == "true", err
}
