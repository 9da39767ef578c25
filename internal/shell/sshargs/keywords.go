package sshargs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// keywords are the keys of -o that have an effect, in lower case. Each takes the words
// of its value.
var keywords = map[string]func(p *parser, words []string) error{
	"batchmode": one(parseBool, func(p *parser) func(bool) { return firstBool(p, "batchmode", &p.args.BatchMode) }),
	"stdinnull": one(parseBool, func(p *parser) func(bool) { return firstBool(p, "stdinnull", &p.args.StdinNull) }),

	"connecttimeout": one(parseTimeOrNone, func(p *parser) func(time.Duration) {
		return p.args.ConnectTimeout.first
	}),
	"serveraliveinterval": one(parseTimeOrNone, func(p *parser) func(time.Duration) {
		return p.args.ServerAliveInterval.first
	}),
	"serveralivecountmax": one(parseCount, func(p *parser) func(int) { return p.args.ServerAliveCountMax.first }),

	"requesttty": one(parseTTY, func(p *parser) func(TTY) { return p.args.TTY.first }),
	"escapechar": one(ParseEscape, func(p *parser) func(Escape) { return p.args.Escape.first }),
	"loglevel":   one(parseLogLevel, func(p *parser) func(LogLevel) { return p.args.LogLevel.first }),
	"user":       one(parseUser, func(p *parser) func(string) { return p.args.User.first }),
	"port":       one(parsePort, func(p *parser) func(int) { return p.args.Port.first }),

	"sendenv": (*parser).sendEnv,
	"setenv":  (*parser).setEnv,
	"sessiontype": one(parseSessionType, func(p *parser) func(bool) {
		return firstBool(p, "sessiontype", &p.args.Subsystem)
	}),

	"remotecommand": (*parser).remoteCommand,
}

// refusedKeywords are the keys that stand for a refused option. Their harmless value asks
// for nothing.
var refusedKeywords = map[string]struct{ harmless, why string }{
	"localforward":            {"", noForwards},
	"remoteforward":           {"", noForwards},
	"dynamicforward":          {"", noForwards},
	"tunnel":                  {"no", noForwards},
	"stdioforward":            {"none", noForwards},
	"proxyjump":               {"none", noJumps},
	"proxycommand":            {"none", noJumps},
	"forkafterauthentication": {"no", "shvrsh does not go to the background"},
}

// keyword reads the value of one -o.
func (p *parser) keyword(text string) error {
	key, value := cutKeyword(text)
	lower, option := strings.ToLower(key), "option -o "+quoted(key)
	if key == "" {
		return fmt.Errorf("option -o %s: no key (want KEY=VALUE)", quoted(text))
	}
	if refused, ok := refusedKeywords[lower]; ok && !strings.EqualFold(value, refused.harmless) {
		return fmt.Errorf("%s is not supported: %s", option, refused.why)
	}
	set, ok := keywords[lower]
	if !ok {
		p.note("-o "+quoted(key), value)
		return nil
	}
	words, err := splitWords(value)
	if err == nil && len(words) == 0 {
		err = errors.New("no value")
	}
	if err == nil {
		err = set(p, words)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	return nil
}

// cutKeyword cuts "K=V", "K V" and "K = V" at the first =.
func cutKeyword(text string) (key, value string) {
	text = strings.Trim(text, blanks)
	end := strings.IndexAny(text, blanks+"=")
	if end < 0 {
		return text, ""
	}
	value = strings.TrimLeft(text[end:], blanks)
	if after, ok := strings.CutPrefix(value, "="); ok {
		value = strings.TrimLeft(after, blanks)
	}
	return text[:end], value
}

// one is a key whose value is a single word.
func one[T any](parse func(string) (T, error), keep func(p *parser) func(T)) func(p *parser, words []string) error {
	return func(p *parser, words []string) error {
		if len(words) > 1 {
			return fmt.Errorf("unexpected %q after the value", words[1])
		}
		value, err := parse(words[0])
		if err != nil {
			return err
		}
		keep(p)(value)
		return nil
	}
}

// firstBool keeps the first value of a key whose field does not record whether it is
// set.
func firstBool(p *parser, key string, field *bool) func(bool) {
	return func(value bool) {
		if p.given[key] {
			return
		}
		if p.given == nil {
			p.given = make(map[string]bool)
		}
		p.given[key] = true
		*field = *field || value
	}
}

func (p *parser) remoteCommand(words []string) error {
	if len(words) != 1 || !strings.EqualFold(words[0], "none") {
		return errors.New("only none is supported; put the command after PATH")
	}
	return nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("invalid value %q (want yes or no)", text)
}

// parseTimeOrNone takes none for 0.
func parseTimeOrNone(text string) (time.Duration, error) {
	if strings.EqualFold(text, "none") {
		return 0, nil
	}
	return ParseTime(text)
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("invalid count %q (want a number)", text)
	}
	return int(n), nil
}

func parseTTY(text string) (TTY, error) {
	switch strings.ToLower(text) {
	case "auto":
		return TTYAuto, nil
	case "yes", "true":
		return TTYYes, nil
	case "no", "false":
		return TTYNo, nil
	case "force":
		return TTYForce, nil
	}
	return 0, fmt.Errorf("invalid value %q (want yes, no, force or auto)", text)
}

func parseLogLevel(text string) (LogLevel, error) {
	if strings.EqualFold(text, "DEBUG1") {
		return LogDebug, nil
	}
	for level, name := range logLevels {
		if strings.EqualFold(text, name) {
			return LogLevel(level), nil
		}
	}
	return 0, fmt.Errorf("invalid level %q (want %s)", text, strings.Join(logLevels, ", "))
}

func parseSessionType(text string) (subsystem bool, err error) {
	switch strings.ToLower(text) {
	case "default":
		return false, nil
	case "subsystem":
		return true, nil
	}
	return false, fmt.Errorf("invalid value %q (want default or subsystem)", text)
}
