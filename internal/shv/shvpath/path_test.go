package shvpath_test

import (
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/shvpath"
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
