package shvpath_test

import (
	"testing"

	"shvtools/internal/shv/shvpath"
)

// Every path of a set must begin with its stem. Otherwise an index by stems misses it.
func TestStemOfAPattern(t *testing.T) {
	for _, test := range []struct {
		pattern string
		names   int
		want    string
	}{
		{"", 8, ""},
		{"**", 8, ""},
		{"a", 8, "a"},
		{"a/b/c", 8, "a/b/c"},
		{"a/b/c", 2, "a/b"},
		{"a/b/c", 0, ""},
		{"a/b/**", 8, "a/b"},
		{"a/b/**", 1, "a"},
		{"/a//b/", 8, "a/b"},
		{"a/*/c", 8, "a"},
		{"a/**/c", 8, "a"},
		{"a/b?/c", 8, "a"},
		{"*/b", 8, ""},
		{`\a/b`, 8, ""},
		{"ab/c[d]", 8, "ab"},
	} {
		p, err := shvpath.ParsePattern(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Stem(test.names); got != test.want {
			t.Errorf("%q, %d names: %q, want %q", test.pattern, test.names, got, test.want)
		}
	}
}
