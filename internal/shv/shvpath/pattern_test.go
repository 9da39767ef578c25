package shvpath_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"shvtools/internal/shv/shvpath"
)

func TestPatternsReachNeitherTooFarNorTooShort(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/b/c", false},
		{"a/b", "a", false},
		{"a/**", "a", true},
		{"a/**", "a/b", true},
		{"a/**", "a/b/c", true},
		{"a/**", "ab", false},
		{"a/**", "", false},
		{"/a//**/", "a/b", true},
		{"**", "", true},
		{"/**", "x/y", true},
		{"**", ".broker/app", true},
		{"", "", true},
		{"", "a", false},
		{"*", "", false},
		{"*", "a", true},
		{"*", "a/b", false},
		{"a/*", "a/b", true},
		{"a/*", "a", false},
		{"a/*", "a/b/c", false},
		{"**/b", "a/b", true},
		{"**/b", "b", true},
		{"**/b", "a/b/c", false},
		{"**/b", "ab", false},
		{"**/**", "", true},
		{"a**", "ab", true},
		{"a**", "a/b", false},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/x/c/y/c", true},
		{"a/**/b/**/c", "a/b/x/b/c", true},
		{"a/**/b/**/c", "a/c/b", false},
		{"a*/**", "abc", true},
		{"a*/**", "b/a", false},
		{"pump?", "pump7", true},
		{"pump?", "pump", false},
		{"pump?", "pumpů", true}, // a character, not a byte
		{"pump?", "pump\xff", true},
		{"pump[0-4]", "pump3", true},
		{"pump[0-4]", "pump7", false},
		{"pump[!0-4]", "pump7", true},
		{"pump[^0-4]", "pump3", false},
		{"pump[]x]", "pump]", true},
		{"pump[a-]", "pump-", true},
		{`pump[\]]`, "pump]", true},
		{"[ů-ž]", "ž", true},
		{"[!a]", "\xff", true},
		{"a*z/b", "abcz/b", true},
		{"a*z/b", "abc/b", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`\a`, "a", true},
		{"*ů", "aů", true},
	} {
		if got := shvpath.MustPattern(test.pattern).Match([]byte(test.path)); got != test.want {
			t.Errorf("%q of %q: %v", test.pattern, test.path, got)
		}
	}
}

func TestMalformedPatternsAreErrors(t *testing.T) {
	for _, text := range []string{"a/[b", "[", "[]", "[!]", "a[b/c]", `a\`, `a/\/b`, "[b-a]", `[a-\`, `[\`,
		"[[:alpha:]]", "x*" + strings.Repeat("a", shvpath.MaxPattern)} {
		if p, err := shvpath.ParsePattern(text); err == nil {
			t.Errorf("%q is taken for %q", text, p)
		}
	}
	if got := shvpath.MustPattern("//a/**/").String(); got != "a/**" {
		t.Errorf("clean is %q", got)
	}
	if shvpath.MustPattern("*").Match(nil) || !new(shvpath.Pattern).Match(nil) || new(shvpath.Pattern).Match([]byte("a")) {
		t.Error("the zero pattern is not the root alone")
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	path := []byte("test/agent/sys/fs")
	for _, text := range []string{"test/agent/sys/fs", "test/**", "**/s*/**", "*/[a-z]*/**", "**/x"} {
		p := shvpath.MustPattern(text)
		if n := testing.AllocsPerRun(100, func() { p.Match(path) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
	r := mustRI(t, "test/**:g?t:ch*")
	get, chng := []byte("get"), []byte("chng")
	if n := testing.AllocsPerRun(100, func() { r.MatchSignal(path, get, chng); r.MatchMethod(path, get) }); n != 0 {
		t.Errorf("%s: %v allocations", r, n)
	}
}

// Patterns also come from clients, as subscriptions.
func TestHostilePatternsTakeBoundedWork(t *testing.T) {
	start := time.Now()
	for pattern, path := range map[string]string{
		strings.Repeat("**/a/", 150) + "b":    strings.Repeat("a/", 8<<10) + "c",
		strings.Repeat("*a", 400) + "b":       strings.Repeat("a", 16<<10),
		strings.Repeat("**/*a*/", 120):        strings.Repeat("a/", 8<<10) + "b",
		strings.Repeat("[!b]*", 150) + "b":    strings.Repeat("a", 16<<10),
		strings.Repeat("**/", 300) + "x":      strings.Repeat("a/", 8<<10) + "b",
		strings.Repeat("*a*a*/**/", 80) + "b": strings.Repeat("aaaa/", 3<<10) + "c",
	} {
		if shvpath.MustPattern(pattern).Match([]byte(path)) && !strings.HasPrefix(pattern, "**/*a*") {
			t.Errorf("%.20q matches", pattern)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func mustRI(t testing.TB, text string) shvpath.RI {
	t.Helper()
	r, err := shvpath.ParseRI(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResourceIdentifiers(t *testing.T) {
	for _, test := range []struct {
		ri, path, method, signal string // signal "" asks for the method itself
		want                     bool
	}{
		{"**:*", "a/b", "get", "", true},
		{"**", "a/b", "get", "", true},
		{":ls", "", "ls", "", true},
		{":ls", "a", "ls", "", false},
		{"test/**:get", "test", "get", "", true},
		{"test/**:get", "test", "gets", "", false},
		{"test/**:g*", "test/x", "get", "", true},
		{"test/**:[gs]et", "test/x", "set", "", true},
		{"test/**:get:chng", "test/x", "get", "", false}, // of signals only
		{"test/**:get:chng", "test/x", "get", "chng", true},
		{"test/**:get:chng", "test/x", "ls", "chng", false},
		{"test/**:*:chng", "test/x", "ls", "chng", true},
		{"test/**:get", "test/x", "get", "chng", true}, // any signal
		{"test/**", "test/x", "ls", "lsmod", true},
		{"/**:*:*", "a", "get", "chng", true},
		{"//:*:*", "", "get", "chng", true},
		{"**:*:c?ng", "a", "get", "mntchng", false},
	} {
		r := mustRI(t, test.ri)
		path, method := []byte(test.path), []byte(test.method)
		got := r.MatchMethod(path, method)
		if test.signal != "" {
			got = r.MatchSignal(path, method, []byte(test.signal))
		}
		if got != test.want {
			t.Errorf("%s: %q %q %q: %v", test.ri, test.path, test.method, test.signal, got)
		}
	}
	for text, want := range map[string]string{"/**:*:*": "**:*:*", "a//b": "a/b", "a:get": "a:get", "**:***": "**:***"} {
		if got := mustRI(t, text).String(); got != want {
			t.Errorf("%s reads %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"a:", "a::b", "a:b:", "a:b:c:d", "[:get", "a:[", `a:b:\`} {
		if r, err := shvpath.ParseRI(text); err == nil {
			t.Errorf("%q is taken for %q", text, r)
		}
	}
	if none := (shvpath.RI{}); none.MatchMethod(nil, nil) || none.MatchSignal(nil, nil, nil) {
		t.Error("the zero identifier names something")
	}
}

// naiveMatch is the rule in its simplest form, name by name.
func naiveMatch(pattern, path []string) bool {
	switch {
	case len(pattern) == 0:
		return len(path) == 0
	case pattern[0] == "**":
		return naiveMatch(pattern[1:], path) || len(path) > 0 && naiveMatch(pattern, path[1:])
	case len(path) == 0:
		return false
	}
	return naiveName(runes(pattern[0]), runes(path[0])) && naiveMatch(pattern[1:], path[1:])
}

// runes turns bytes that are not UTF-8 into runes that equal no character.
func runes(text string) (list []rune) {
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			r = utf8.MaxRune + 1 + rune(text[0])
		}
		list, text = append(list, r), text[size:]
	}
	return list
}

func naiveName(pattern, name []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == '*':
		return naiveName(pattern[1:], name) || len(name) > 0 && naiveName(pattern, name[1:])
	case len(name) == 0:
		return false
	case pattern[0] == '?':
		return naiveName(pattern[1:], name[1:])
	case pattern[0] == '[':
		size, ok := naiveSet(pattern, name[0])
		return ok && naiveName(pattern[size:], name[1:])
	case pattern[0] == '\\':
		pattern = pattern[1:]
	}
	return pattern[0] == name[0] && naiveName(pattern[1:], name[1:])
}

// naiveSet tests the members of a set one by one.
func naiveSet(pattern []rune, r rune) (size int, ok bool) {
	size = 1
	negated := pattern[1] == '!' || pattern[1] == '^'
	if negated {
		size++
	}
	member := func() rune {
		if pattern[size] == '\\' {
			size++
		}
		size++
		return pattern[size-1]
	}
	for first := true; first || pattern[size] != ']'; first = false {
		low := member()
		high := low
		if pattern[size] == '-' && pattern[size+1] != ']' {
			size++
			high = member()
		}
		ok = ok || r >= low && r <= high
	}
	return size + 1, ok != negated
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// FuzzPattern compares matches with naiveMatch: a match too many would give rights away.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"a/**", "a"}, {"**", ""}, {"a/b", "a/b"}, {"/a/**/", "ab"}, {"a/**/b", "a/b"}, {"**/**", "**"},
		{"*/[a-c]?*/**", "x/bcd"}, {`\**`, "*a"}, {"[!]a-]x", "bx"}, {"[^ů]", "\xff"}, {"\xc3*", "é"},
		{"a**b/**/c*", "ab/x/c"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern) > 40 || len(path) > 60 {
			return // the naive one has no bound
		}
		clean := shvpath.Clean([]byte(path))
		if want := strings.Join(parts(path), "/"); string(clean) != want {
			t.Fatalf("%q is clean %q, want %q", path, clean, want)
		}
		if !bytes.Equal(shvpath.Clean(clean), clean) {
			t.Fatalf("%q is not clean", clean)
		}
		p, err := shvpath.ParsePattern(pattern)
		if err != nil {
			return
		}
		got := p.Match(clean)
		if want := naiveMatch(parts(pattern), parts(path)); got != want {
			t.Fatalf("%q of %q: %v, want %v", pattern, path, got, want)
		}
		again, err := shvpath.ParsePattern(p.String())
		if err != nil || again.String() != p.String() || again.Match(clean) != got {
			t.Fatalf("%q is %q, and that reads as %q, %v", pattern, p, again, err)
		}
	})
}

func FuzzRI(f *testing.F) {
	for _, seed := range []string{"**:*:*", "a/b:get", ":ls", "a:[:b]", "a::b", "/x//:g*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := shvpath.ParseRI(text)
		if err != nil {
			return
		}
		again, err := shvpath.ParseRI(r.String())
		if err != nil || again.String() != r.String() {
			t.Fatalf("%q is %q, and that reads as %q, %v", text, r, again, err)
		}
	})
}
