package shvpath_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shvpath"
)

func TestCleanDropsEmptyPartsAndNothingElse(t *testing.T) {
	for in, want := range map[string]string{
		"":             "",
		"/":            "",
		"//":           "",
		"a":            "a",
		"/a":           "a",
		"a/":           "a",
		"a/b":          "a/b",
		"a//b":         "a/b",
		"///a///b///":  "a/b",
		"./../a":       "./../a",
		" / ":          " / ",
		"a\x00/\xff":   "a\x00/\xff",
		"'a/b'/c":      "'a/b'/c",
		".broker//app": ".broker/app",
	} {
		path := []byte(in)
		got := shvpath.Clean(path)
		if string(got) != want || string(path) != in {
			t.Errorf("%q: got %q, want %q; input now %q", in, got, want, path)
		}
		if again := shvpath.Clean(got); string(again) != want {
			t.Errorf("%q: cleaned twice %q", in, again)
		}
	}
}

func TestCleanOfManySlashesIsLinear(t *testing.T) {
	const size = 64 << 10
	start := time.Now()
	for in, want := range map[string]int{
		strings.Repeat("/", size):       0,
		strings.Repeat("a/", size/2):    size - 1,
		strings.Repeat("a//", size/3):   size / 3 * 2,
		strings.Repeat("/", size) + "a": 1,
	} {
		if got := len(shvpath.Clean([]byte(in))); got != want && got != want-1 {
			t.Errorf("%q…: %d bytes, want %d", in[:8], got, want)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestCleanOfACleanPathAllocatesNothing(t *testing.T) {
	path := []byte("test/agent/sys/fs")
	if n := testing.AllocsPerRun(100, func() { shvpath.Clean(path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestJoinOfTheRoot(t *testing.T) {
	for _, test := range [][3]string{{"", "", ""}, {"a", "", "a"}, {"", "a", "a"}, {"a", "b/c", "a/b/c"}} {
		if got := shvpath.Join(test[0], test[1]); got != test[2] {
			t.Errorf("%q and %q: %q, want %q", test[0], test[1], got, test[2])
		}
	}
}

func TestPatternIsNoPrefixOfText(t *testing.T) {
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
		{"**", "x/y", true},
		{"", "", true},
		{"", "a", false},
		{"a/*", "a/b", false}, // no globs but the last **
		{"**/b", "a/b", false},
		{"a**", "ab", false},
	} {
		if got := shvpath.ParsePattern(test.pattern).Match([]byte(test.path)); got != test.want {
			t.Errorf("%q of %q: %v", test.pattern, test.path, got)
		}
	}
}

// naiveMatch is the rule as one would say it, part by part.
func naiveMatch(pattern, path []string) bool {
	switch {
	case len(pattern) == 1 && pattern[0] == "**":
		return true
	case len(pattern) == 0 || len(path) == 0:
		return len(pattern) == len(path)
	}
	return pattern[0] == path[0] && naiveMatch(pattern[1:], path[1:])
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// FuzzPattern: a match too many gives rights away.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"a/**", "a"}, {"**", ""}, {"a/b", "a/b"}, {"/a/**/", "ab"}, {"a/**/b", "a/b"}, {"**/**", "**"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		clean := shvpath.Clean([]byte(path))
		if want := strings.Join(parts(path), "/"); string(clean) != want {
			t.Fatalf("%q is clean %q, want %q", path, clean, want)
		}
		if !bytes.Equal(shvpath.Clean(clean), clean) {
			t.Fatalf("%q is not clean", clean)
		}
		got := shvpath.ParsePattern(pattern).Match(clean)
		if want := naiveMatch(parts(pattern), parts(path)); got != want {
			t.Fatalf("%q of %q: %v, want %v", pattern, path, got, want)
		}
	})
}
