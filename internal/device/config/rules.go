package config

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"shvtools/internal/device/policy"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/yamlread"
)

// rules reads the list of rules; each begins with the limits of defaults.
func (r *reader) rules(node, key ast.Node, limits policy.Limits) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.fail(key, node, "rules", errors.New("it is not a list of rules such as [{name: all, level: cmd}]; [] allows nothing"))
		return
	}
	for i, item := range list.Values {
		line, _ := yamlread.Position(item)
		rule := policy.Rule{Name: strconv.Itoa(i + 1), At: fmt.Sprintf("%s:%d", filepath.Base(r.File()), line), Limits: limits}
		given := make(map[string]ast.Node)
		r.Each(item, "rule "+rule.Name, func(name string, key, value ast.Node) {
			given[name] = key
			set, known := ruleKeys[name]
			switch {
			case known:
				if err := set(&rule, value); err != nil {
					r.fail(key, value, name, err)
				}
			case !r.limit(&rule.Limits, name, key, value):
				r.Fail(key, "unknown key %q in a rule; known are %s, %s", name, strings.Join(ruleNames(), ", "), strings.Join(limitNames(), ", "))
			}
		})
		r.complete(&rule, given)
		r.config.Policy.Rules = append(r.config.Policy.Rules, rule)
	}
}

// complete gives a rule the uses that it means, and finds what does not go
// together.
func (r *reader) complete(rule *policy.Rule, given map[string]ast.Node) {
	if given["use"] == nil {
		rule.Uses = policy.Uses()
		if rule.Commands != nil {
			rule.Uses = []policy.Use{policy.Commands}
		}
	}
	for _, use := range []policy.Use{policy.Shell, policy.Scripts} {
		if rule.Commands != nil && rule.Force == "" && slices.Contains(rule.Uses, use) {
			r.Fail(given["commands"], "a list of commands limits nothing in a rule that allows %s too", use)
		}
	}
	switch {
	case rule.Commands != nil && rule.Force != "":
		r.Fail(given["force"], "a rule has either commands or force")
	case rule.Force != "" && given["use"] != nil && slices.Contains(rule.Uses, policy.Files):
		r.Fail(given["force"], "a rule with force serves no files")
	case rule.Deny && (rule.Commands != nil || rule.Force != ""):
		r.Fail(given["deny"], "a rule that denies has neither commands nor force")
	}
	if key := given["level"]; key != nil && rule.Level > 0 && rule.Level < rpc.AccessCommand && !rule.Deny {
		for _, use := range rule.Uses {
			if use != policy.Files {
				r.Fail(key, "level %s: calls for %s take cmd at least", rule.Level, use)
				break
			}
		}
	}
}

var ruleKeys = map[string]func(*policy.Rule, ast.Node) error{
	"name": func(rule *policy.Rule, node ast.Node) (err error) {
		rule.Name, err = one(node)
		return err
	},
	"users": func(rule *policy.Rule, node ast.Node) (err error) {
		if rule.Users, err = texts(node); err != nil {
			return err
		}
		for _, pattern := range rule.Users {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				return fmt.Errorf("%q is no name and no pattern", pattern)
			}
		}
		return nil
	},
	"level": func(rule *policy.Rule, node ast.Node) error {
		text, err := one(node)
		if err != nil {
			return err
		}
		level, ok := rpc.ParseAccess(text)
		if !ok || level.String() != text {
			return fmt.Errorf("%q is none of the levels bws, rd, wr, cmd, cfg, srv, ssrv, dev, su", text)
		}
		rule.Level = level
		return nil
	},
	"use": func(rule *policy.Rule, node ast.Node) error {
		names, err := texts(node)
		if err != nil {
			return err
		}
		rule.Uses = []policy.Use{}
		for _, name := range names {
			use, ok := policy.ParseUse(name)
			if !ok {
				return fmt.Errorf("%q is none of shell, commands, scripts, files, sftp", name)
			}
			rule.Uses = append(rule.Uses, use)
		}
		return nil
	},
	"deny": func(rule *policy.Rule, node ast.Node) (err error) {
		rule.Deny, err = truth(node)
		return err
	},
	"force": func(rule *policy.Rule, node ast.Node) (err error) {
		if rule.Force, err = one(node); err == nil && strings.TrimSpace(rule.Force) == "" {
			err = errors.New("it is empty")
		}
		return err
	},
	"commands": func(rule *policy.Rule, node ast.Node) error {
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			return errors.New("it is not a list such as [uptime, systemctl status *]")
		}
		rule.Commands = []policy.Command{}
		for _, item := range list.Values {
			command, err := readCommand(item)
			if err != nil {
				return yamlread.At(item, err)
			}
			rule.Commands = append(rule.Commands, command)
		}
		return nil
	},
}

// readCommand reads a command as a text or as a list of words.
func readCommand(node ast.Node) (policy.Command, error) {
	words, err := texts(node)
	if err != nil {
		return nil, err
	}
	if _, list := node.(*ast.SequenceNode); list {
		return policy.NewCommand(words)
	}
	return policy.ParseCommand(words[0])
}

func ruleNames() []string {
	return []string{"name", "users", "level", "use", "deny", "commands", "force"}
}

func limitNames() []string {
	return []string{"env", "run-as", "groups", "shell", "umask", "dir", "idle", "time", "resources"}
}

// longestLimit is the highest value of idle and time.
const longestLimit = 365 * 24 * time.Hour

// limit reads one of the limits; false: name is none.
func (r *reader) limit(l *policy.Limits, name string, key, value ast.Node) bool {
	var err error
	switch name {
	case "env":
		l.Env, err = texts(value)
	case "run-as":
		l.User, err = one(value)
	case "groups":
		l.Group, err = texts(value)
	case "dir":
		if l.Dir, err = one(value); err == nil && !filepath.IsAbs(l.Dir) && l.Dir != "~" && !strings.HasPrefix(l.Dir, "~/") {
			err = fmt.Errorf("%q does not begin with / or ~", l.Dir)
		}
	case "shell":
		if l.Shell, err = one(value); err == nil && !filepath.IsAbs(l.Shell) {
			err = fmt.Errorf("%q does not begin with /", l.Shell)
		}
	case "umask":
		l.Umask, err = readUmask(value)
	case "idle", "time":
		field := &l.Idle
		if name == "time" {
			field = &l.Total
		}
		var text string
		if text, err = one(value); err == nil {
			*field, err = parseDuration(text, 0, longestLimit)
		}
	case "resources":
		r.resources(l, value)
	default:
		return false
	}
	if err != nil {
		r.fail(key, value, name, err)
	}
	return true
}

func readUmask(node ast.Node) (int, error) {
	text, err := one(node)
	if err != nil {
		return -1, err
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 16)
	if err != nil || n > 0o777 {
		return -1, fmt.Errorf("%q is no umask such as 022", text)
	}
	return int(n), nil
}

func (r *reader) resources(l *policy.Limits, node ast.Node) {
	l.Resources = make(map[string]uint64)
	r.Each(node, "resources", func(name string, key, value ast.Node) {
		text, err := one(value)
		if err == nil && !slices.Contains(policy.ResourceNames(), name) {
			r.Fail(key, "unknown resource %q; known are %s", name, strings.Join(policy.ResourceNames(), ", "))
			return
		}
		var n uint64
		if err == nil {
			if n, err = strconv.ParseUint(text, 10, 63); err != nil {
				err = fmt.Errorf("%q is no count (of bytes, seconds, files or processes)", text)
			}
		}
		if err != nil {
			r.fail(key, value, name, err)
			return
		}
		l.Resources[name] = n
	})
}
