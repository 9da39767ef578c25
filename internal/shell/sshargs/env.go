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

// setEnv keeps the first value of a name. ssh drops every SetEnv but the first;
// nothing is lost by taking the others.
func (p *parser) setEnv(words []string) error {
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q is not NAME=VALUE", word)
		}
		if !slices.ContainsFunc(p.args.SetEnv, func(v EnvVar) bool { return v.Name == name }) {
			p.args.SetEnv = append(p.args.SetEnv, EnvVar{Name: name, Value: value})
		}
	}
	return nil
}

// CheckEnvPattern tells whether text can be a pattern of EnvWanted.
func CheckEnvPattern(text string) error {
	switch name := strings.TrimPrefix(text, "-"); {
	case name == "":
		return errors.New("a name of a variable is empty")
	case strings.ContainsAny(name, "=\x00"+blanks):
		return fmt.Errorf("%q is not the name of a variable, nor a pattern of names", text)
	}
	return nil
}

// EnvWanted tells whether a variable is to be sent by the patterns of SendEnv,
// where * and ? stand for any characters and for any one. A pattern behind a -
// takes away again; the last one that matches decides. So the defaults stand
// first, then the configuration's, then the command line's.
func EnvWanted(patterns []string, name string) bool {
	for _, pattern := range slices.Backward(patterns) {
		plain, removes := strings.CutPrefix(pattern, "-")
		if matchName(plain, name) {
			return !removes
		}
	}
	return false
}

// matchName goes back to the last * only, which is enough, and never slow.
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
