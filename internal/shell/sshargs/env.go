package sshargs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func (p *parser) sendEnv(words []string) error {
	for _, word := range words {
		if err := CheckEnvPattern(word); err != nil {
			return err
		}
	}
	p.args.SendEnv = append(p.args.SendEnv, words...)
	return nil
}

// setEnv keeps the first value of each name. ssh drops every SetEnv but the first;
// taking the others does no harm.
func (p *parser) setEnv(words []string) error {
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return fmt.Errorf("invalid variable %q (want NAME=VALUE)", word)
		}
		if !slices.ContainsFunc(p.args.SetEnv, func(v EnvVar) bool { return v.Name == name }) {
			p.args.SetEnv = append(p.args.SetEnv, EnvVar{Name: name, Value: value})
		}
	}
	return nil
}

// CheckEnvPattern returns an error unless text is a pattern for EnvWanted.
func CheckEnvPattern(text string) error {
	switch name := strings.TrimPrefix(text, "-"); {
	case name == "":
		return errors.New("the name of a variable is empty")
	case strings.ContainsAny(name, "=\x00"+blanks):
		return fmt.Errorf("invalid variable name %q (want a name, or a pattern such as LC_*)", text)
	}
	return nil
}

// EnvWanted reports whether the patterns of SendEnv select a variable: * stands for any
// characters, ? for one. A pattern with a leading - excludes names, and the last pattern
// that matches decides. So the defaults come first, then those of the configuration,
// then those of the command line.
func EnvWanted(patterns []string, name string) bool {
	for _, pattern := range slices.Backward(patterns) {
		plain, removes := strings.CutPrefix(pattern, "-")
		if matchName(plain, name) {
			return !removes
		}
	}
	return false
}

// matchName backtracks to the last * only, which suffices and bounds the work.
func matchName(pattern, name string) bool {
	p, n := 0, 0
	star, resume := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			resume++
			p, n = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
