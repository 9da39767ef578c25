package shvpath_test

import (
	"slices"
	"testing"

	"shvtools/internal/shv/shvpath"
)

func TestNameEndFindsEachName(t *testing.T) {
	for path, want := range map[string][]int{"a": {1}, "abc": {3}, "a/b": {1, 3}, "ab/c/def": {2, 4, 8}} {
		var got []int
		for end := 0; end < len(path); {
			if of := shvpath.NameEnd([]byte(path), end); of != shvpath.NameEnd(path, end) {
				t.Errorf("%s from %d: %d as bytes", path, end, of)
			}
			end = shvpath.NameEnd(path, end)
			got = append(got, end)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: names end at %d, want %d", path, got, want)
		}
	}
}
