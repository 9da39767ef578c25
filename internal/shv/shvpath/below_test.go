package shvpath_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/shvpath"
)

func TestBelow(t *testing.T) {
	for _, tt := range []struct{ ri, path, want string }{
		{"**", "test/child", "**"},
		{"test/**:get:chng", "test/child", "**:get:chng"},
		{"test/child/**", "test/child", "**"},
		{"test/child", "test/child", ""},
		{"test/child/a/b:*", "test/child", "a/b:*"},
		{"test/other/**", "test/child", "none"},
		{"test", "test/child", "none"},
		{"test/*/x", "test/child", "x"},
		{"test/c*/**/x", "test/child", "**/x"},
		{"**/x", "test/child", "**/x"},
		{"**/child/x", "test/child", "**/child/x x"},
		{"**/child", "test/child", "**/child "},
		{"**/**/y/z", "a/z", "**/**/y/z **/y/z"},
		{"**/*/**/z", "a/b", "**/*/**/z **/z"},
		{`test/\*/x`, "test/*", "x"},
		{`test/\*/x`, "test/a", "none"},
		{"", "test", "none"},
		{"a/**", "", "a/**"},
	} {
		ri, err := shvpath.ParseRI(tt.ri)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, below := range ri.Below(tt.path) {
			texts = append(texts, below.String())
		}
		got := strings.Join(texts, " ")
		if texts == nil {
			got = "none"
		}
		if got != tt.want {
			t.Errorf("%q below %q: %q, want %q", tt.ri, tt.path, got, tt.want)
		}
	}
}

// A hostile pattern must not take much more memory than its result takes to write, which grows with
// the square of its length.
func TestBelowOfManyStars(t *testing.T) {
	path := strings.Repeat("a/", 31) + "a"
	takes := func(stars int) (bytes uint64) {
		ri, err := shvpath.ParseRI(strings.Repeat("**/", stars) + "x")
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		if got := ri.Below(path); len(got) == 0 || len(got) > stars+1 {
			t.Fatalf("%d identifiers", len(got))
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%d of them take %v", stars, took)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	// Times would depend on what else the machine does.
	if few, many := takes(33), takes(330); many > 120*few {
		t.Errorf("33 of them take %d bytes, 330 take %d", few, many)
	}
}

func TestUnder(t *testing.T) {
	for _, tt := range []struct{ ri, path, want string }{
		{"**:*:chng", "shv/x", "shv/x/**:*:chng"},
		{"a", "x", "x/a"},
		{":*:*", "x", "x:*:*"},
		{"a", "*x", `\*x/a`},
		{"a", "", "a"},
	} {
		ri, err := shvpath.ParseRI(tt.ri)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ri.Under(tt.path); err != nil || got.String() != tt.want {
			t.Errorf("%q under %q: %q, %v; want %q", tt.ri, tt.path, got, err, tt.want)
		}
	}
}

// FuzzBelow checks that an identifier means the same relative to a path as from the root.
func FuzzBelow(f *testing.F) {
	for _, seed := range [][3]string{
		{"test/**", "test/child", "a"}, {"**/x", "a/x", "x"}, {"*/?/**/b", "a/b", "c/b"},
		{"**/a/**/a", "a/a", "a"}, {`\*`, "*", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, mount, rest string) {
		if len(pattern) > 100 || strings.Contains(pattern, ":") {
			return
		}
		ri, err := shvpath.ParseRI(pattern)
		if err != nil {
			return
		}
		mount, rest = string(shvpath.Clean([]byte(mount))), string(shvpath.Clean([]byte(rest)))
		name := []byte("x")
		got := false
		for _, below := range ri.Below(mount) {
			got = got || below.MatchSignal([]byte(rest), name, name)
		}
		if want := ri.MatchSignal([]byte(shvpath.Join(mount, rest)), name, name); got != want {
			t.Errorf("%q at %q: %v; below %q at %q: %v", pattern, shvpath.Join(mount, rest), want, mount, rest, got)
		}
		u, err := ri.Under(mount)
		whole := []byte(shvpath.Join(mount, rest))
		if err == nil && u.MatchSignal(whole, name, name) != ri.MatchSignal([]byte(rest), name, name) {
			t.Errorf("%q under %q is %q, which means something else at %q", pattern, mount, u, rest)
		}
	})
}
