package sshargs

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// parser is one call of Parse.
type parser struct {
	args Args
	rest []string // words that are not read yet

	tunnelPath string          // --tunnel-shvPath
	debugging  bool            // there was a -v; see verbose
	ended      bool            // by --help or --version
	given      map[string]bool // keys of -o that were given; see firstBool
}

func (p *parser) run() error {
	terminated, err := p.options()
	if err != nil || p.ended {
		return err
	}
	if err := p.destination(); err != nil {
		return err
	}
	// As in ssh, options may follow the destination unless a -- precedes it.
	if !terminated {
		if _, err := p.options(); err != nil || p.ended {
			return err
		}
	}
	if len(p.rest) > 0 {
		p.args.Command = p.rest
	}
	switch {
	case p.args.PrintConfig, p.args.CheckConfig:
		return nil
	case p.args.Alias == "":
		return errNoPath
	case p.args.Subsystem && len(p.args.Command) == 0:
		return errNoSubsystem
	}
	return nil
}

// destination takes the first operand, or the option that the C++ tool has instead.
func (p *parser) destination() error {
	text := p.tunnelPath
	switch {
	case text != "" && len(p.rest) > 0:
		// The C++ tool has no operands. As a command, a mistyped path would be run.
		return fmt.Errorf("unexpected %q: option --tunnel-shvPath names the device; "+
			"give the device as PATH to run a command", p.rest[0])
	case text == "" && len(p.rest) == 0:
		return nil
	case text == "":
		text, p.rest = p.rest[0], p.rest[1:]
	}
	user, alias, err := splitDestination(text)
	if err != nil {
		return err
	}
	if user != "" {
		p.args.User.first(user)
	}
	p.args.Alias, p.args.Path = alias, DecodePath(alias)
	return nil
}

// options reads up to the first operand, or past a "--"; terminated reports which.
func (p *parser) options() (terminated bool, err error) {
	for len(p.rest) > 0 && !p.ended {
		word := p.rest[0]
		if len(word) < 2 || word[0] != '-' {
			return false, nil
		}
		p.rest = p.rest[1:]
		switch {
		case word == "--":
			return true, nil
		case strings.HasPrefix(word, "--"):
			err = p.long(word)
		default:
			err = p.short(word[1:])
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// short reads the letters after one dash. The value of a letter is the rest of its word,
// or the next word whatever that looks like.
func (p *parser) short(letters string) error {
	for i := 0; i < len(letters) && !p.ended; i++ {
		o, ok := shortOptions[letters[i]]
		if !ok {
			r, _ := utf8.DecodeRuneInString(letters[i:])
			return fmt.Errorf("unknown option -%c", r)
		}
		name, value := "-"+letters[i:i+1], ""
		if o.value {
			value, i = letters[i+1:], len(letters)
			if value == "" {
				var err error
				if value, err = p.next(name); err != nil {
					return err
				}
			}
		}
		if err := o.set(p, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) long(word string) error {
	name, value, attached := strings.Cut(word, "=")
	o, ok := longOptions[name[2:]]
	switch {
	case !ok:
		return fmt.Errorf("unknown option %s", quoted(name))
	case !o.value && attached:
		return fmt.Errorf("option %s takes no value", name)
	case o.value && !attached:
		var err error
		if value, err = p.next(name); err != nil {
			return err
		}
	}
	return o.set(p, name, value)
}

func (p *parser) next(option string) (string, error) {
	if len(p.rest) == 0 {
		return "", fmt.Errorf("option %s needs a value", option)
	}
	value := p.rest[0]
	p.rest = p.rest[1:]
	return value, nil
}

func (p *parser) note(option, value string) {
	p.args.Notes = append(p.args.Notes, Note{Option: option, Value: value})
}
