package shvpath_test

import (
	"slices"
	"strings"
	"testing"

	"shvtools/internal/shv/shvpath"
)

func mounts(paths ...string) *shvpath.Tree[string] {
	t := new(shvpath.Tree[string])
	for _, path := range paths {
		t.Set(path, "at "+path)
	}
	return t
}

func TestLookupFindsTheDeepestMount(t *testing.T) {
	tree := mounts("test/agent", "test/agent/sub/broker", "x")
	for path, want := range map[string]string{
		"test/agent":                  "at test/agent + ",
		"test/agent/sys/fs":           "at test/agent + sys/fs",
		"test/agent/sub":              "at test/agent + sub",
		"test/agent/sub/broker":       "at test/agent/sub/broker + ",
		"test/agent/sub/broker/a/b/c": "at test/agent/sub/broker + a/b/c",
		"test/agent/sub/brokers":      "at test/agent + sub/brokers",
		"x/y":                         "at x + y",
		"test":                        "none",
		"test/agents":                 "none",
		"":                            "none",
		"y":                           "none",
	} {
		got := "none"
		if value, rest, ok := tree.Lookup([]byte(path)); ok {
			got = value + " + " + string(rest)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	tree.Set("", "root")
	if value, rest, ok := tree.Lookup([]byte("a/b")); !ok || value != "root" || string(rest) != "a/b" {
		t.Errorf("root: %s, %q, %v", value, rest, ok)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	tree := mounts("test/agent", "test/agent/sub/broker")
	path := []byte("test/agent/sub/broker/a/b")
	if n := testing.AllocsPerRun(100, func() { tree.Lookup(path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDeletePrunesWhatHeldNothingElse(t *testing.T) {
	tree := mounts("a/b/c", "a/b/c/d/e", "a/x")
	for _, step := range []struct {
		path     string
		size     int
		children map[string]string // "-": no such branch
	}{
		{"a/b", 3, map[string]string{"a": "b x"}}, // no value there
		{"a/b/c/d/q", 3, map[string]string{"a/b/c/d": "e"}},
		{"a/b/c", 2, map[string]string{"a/b": "c", "a/b/c": "d"}}, // a mount below stays
		{"a/b/c/d/e", 1, map[string]string{"a": "x", "a/b": "-", "a/b/c/d": "-"}},
		{"a/b/c/d/e", 1, nil},
		{"a/x", 0, map[string]string{"": "", "a": "-"}},
	} {
		tree.Delete(step.path)
		if tree.Len() != step.size {
			t.Errorf("after %s: %d values, want %d", step.path, tree.Len(), step.size)
		}
		for path, want := range step.children {
			names, ok := tree.Children(path)
			got := strings.Join(names, " ")
			if !ok {
				got = "-"
			}
			if got != want {
				t.Errorf("after %s: below %q is %q, want %q", step.path, path, got, want)
			}
		}
	}
}

func TestSetReplacesAndGetIsExact(t *testing.T) {
	tree := mounts("a/b")
	tree.Set("a/b", "new")
	if value, ok := tree.Get("a/b"); !ok || value != "new" || tree.Len() != 1 {
		t.Errorf("%q, %v, %d values", value, ok, tree.Len())
	}
	for _, path := range []string{"", "a", "a/b/c", "b"} {
		if value, ok := tree.Get(path); ok {
			t.Errorf("%s: %q", path, value)
		}
	}
	tree.Set("", "root")
	tree.Delete("")
	if _, ok := tree.Get(""); ok || tree.Len() != 1 {
		t.Errorf("root still there, %d values", tree.Len())
	}
}

func TestChildrenAreSorted(t *testing.T) {
	tree := mounts("b", "a", "ab/c", ".x", "B")
	names, _ := tree.Children("")
	if !slices.IsSorted(names) || len(names) != 5 {
		t.Errorf("%q", names)
	}
}

func TestLeadsTellsNodesOnTheWay(t *testing.T) {
	tree := mounts("a/b/c")
	for path, want := range map[string]bool{
		"": true, "a": true, "a/b": true, "a/b/c": true, "a/b/c/d": false, "b": false, "ab": false} {
		if got := tree.Leads(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if tree := mounts(); !tree.Leads("") {
		t.Error("there is always a root")
	}
}
