package shvpath

import (
	"errors"
	"fmt"
	"strings"
)

// RI is a resource identifier (spec.md 7.6). PATH:METHOD means methods, PATH:METHOD:SIGNAL means
// signals. PATH is a Pattern, the others are globs; a missing METHOD or SIGNAL is *. The zero RI
// means nothing.
type RI struct {
	path   Pattern
	method name
	signal name
	parts  int // how many parts were given, 1 to 3
}

// name is a glob of one name, with a short cut for the usual ones.
type name struct {
	glob glob
	kind kind // exact, subtree for "*", globs
}

var anyName = name{glob: "*", kind: subtree}

// ParseRI parses a resource identifier of at most MaxPattern bytes.
func ParseRI(text string) (RI, error) {
	if len(text) > MaxPattern {
		return RI{}, fmt.Errorf("resource identifier of %d bytes (want at most %d)", len(text), MaxPattern)
	}
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return RI{}, fmt.Errorf("invalid resource identifier %q (want PATH:METHOD:SIGNAL)", text)
	}
	r := RI{method: anyName, signal: anyName, parts: len(parts)}
	var err error
	if r.path, err = ParsePattern(parts[0]); err != nil {
		return RI{}, err
	}
	if len(parts) > 1 {
		if r.method, err = parseName(parts[1]); err != nil {
			return RI{}, fmt.Errorf("invalid method in %q: %w", text, err)
		}
	}
	if len(parts) > 2 {
		if r.signal, err = parseName(parts[2]); err != nil {
			return RI{}, fmt.Errorf("invalid signal in %q: %w", text, err)
		}
	}
	return r, nil
}

func parseName(text string) (name, error) {
	switch {
	case text == "":
		return name{}, errors.New("empty (want a name, or * for any)")
	case strings.Trim(text, "*") == "":
		return name{glob: glob(text), kind: subtree}, nil
	case !isGlob(text):
		return name{glob: glob(text)}, nil
	}
	if err := checkGlob(text); err != nil {
		return name{}, err
	}
	return name{glob: glob(text), kind: globs}, nil
}

func (n name) match(text []byte, left *Steps) bool {
	switch n.kind {
	case exact:
		return string(text) == string(n.glob)
	case subtree:
		return true
	}
	return n.glob.match(text, left)
}

// String returns the identifier as it was given, without needless slashes.
func (r RI) String() string {
	text := r.path.String()
	if r.parts > 1 {
		text += ":" + string(r.method.glob)
	}
	if r.parts > 2 {
		text += ":" + string(r.signal.glob)
	}
	return text
}

// ExactMethod returns the method that is meant, "" if a glob may mean several.
func (r RI) ExactMethod() string { return r.method.exact() }

// ExactSignal returns the signal that is meant, "" if a glob may mean several.
func (r RI) ExactSignal() string { return r.signal.exact() }

func (n name) exact() string {
	if n.kind != exact {
		return ""
	}
	return string(n.glob)
}

// Path returns the pattern of the paths.
func (r RI) Path() Pattern { return r.path }

// MatchMethod reports whether r means a method at a clean path. An identifier with a SIGNAL means
// signals only. It does not allocate.
func (r RI) MatchMethod(path, method []byte) bool {
	return (r.parts == 1 || r.parts == 2) && r.method.match(method, boundless()) && r.path.Match(path)
}

// MatchSignal reports whether r means a signal of a clean path; source is the method that the
// signal belongs to. It does not allocate.
func (r RI) MatchSignal(path, source, signal []byte) bool {
	return r.MatchSignalWithin(path, source, signal, boundless())
}

// MatchSignalWithin is MatchSignal that takes its steps from left, and returns false if there are
// not enough.
func (r RI) MatchSignalWithin(path, source, signal []byte, left *Steps) bool {
	return left.take(1) && r.parts > 0 &&
		r.signal.match(signal, left) && r.method.match(source, left) && r.path.match(path, left)
}

// Method returns the glob of the methods.
func (r RI) Method() string { return string(r.method.glob) }

// HasGlobs reports whether a match needs globs: then it may take the length of the identifier times
// that of what it is compared with. Otherwise it compares strings.
func (r RI) HasGlobs() bool { return max(r.path.kind, r.method.kind, r.signal.kind) == globs }

// OfSignals reports whether the identifier has a SIGNAL and so means no methods.
func (r RI) OfSignals() bool { return r.parts > 2 }
