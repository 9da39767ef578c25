package shvpath_test

import (
	"math"
	"strings"
	"testing"

	"shvtools/internal/shv/shvpath"
)

// costly are patterns and paths whose match takes the lengths of both, multiplied.
var costly = map[string]struct{ ri, path string }{
	"a set":           {"**/*[!" + strings.Repeat("b", 390) + "]Z:*:*", strings.Repeat("a", 120)},
	"characters":      {"**/*" + strings.Repeat("a", 200) + "b:*:*", strings.Repeat("a", 300)},
	"names":           {"**/" + strings.Repeat("a/", 60) + "b:*:*", strings.Repeat("a/", 100) + "a"},
	"a signal's name": {"**:*:*" + strings.Repeat("a", 200) + "b", "x"},
}

func TestMatchTakesNoMoreStepsThanItMay(t *testing.T) {
	for name, tt := range costly {
		ri, signal := mustRI(t, tt.ri), []byte(strings.Repeat("a", 300))
		left := shvpath.Steps(math.MaxInt32)
		if ri.MatchSignalWithin([]byte(tt.path), []byte("get"), signal, &left) {
			t.Errorf("%s matches", name)
		}
		took := math.MaxInt32 - left
		if took < 1000 {
			t.Errorf("%s: only %d steps", name, took)
		}
		left = took / 2
		if ri.MatchSignalWithin([]byte(tt.path), []byte("get"), signal, &left) || left < -1000 || left >= 0 {
			t.Errorf("%s: %d left of half as many", name, left)
		}
	}
}

func TestOrdinaryMatchTakesFewSteps(t *testing.T) {
	for _, text := range []string{"site/*/status:*:chng", "**:*:*chng", "site/pump?/**"} {
		left := shvpath.Steps(100)
		found := mustRI(t, text).MatchSignalWithin([]byte("site/pump7/status"), []byte("get"), []byte("chng"), &left)
		if !found || left < 50 {
			t.Errorf("%s: %d left", text, left)
		}
	}
	left := shvpath.Steps(0)
	if mustRI(t, "**:*:*").MatchSignalWithin([]byte("a"), []byte("get"), []byte("chng"), &left) {
		t.Error("matched without a step")
	}
}

func TestWhatMayMeanNothingThereIsSeenAtOnce(t *testing.T) {
	for _, path := range []string{"", "a", "a/b", "a/b/c"} {
		for _, text := range []string{
			"", "a", "a/b", "a/b/c", "a/*", "*/b", "**", "a/**", "a/b/**/c", "b", "ab", "a/c", `a\b/**`,
		} {
			ri := mustRI(t, text)
			if len(ri.Below(path)) > 0 && !ri.MayMean(path) {
				t.Errorf("%s at %s: it does", text, path)
			}
		}
	}
	for text, path := range map[string]string{"b/**": "a", "a/c:*:*": "a/b", "ab/*": "a"} {
		if mustRI(t, text).MayMean(path) {
			t.Errorf("%s at %s: it does not", text, path)
		}
	}
}

func BenchmarkMatchOfALongSet(b *testing.B) {
	tt := costly["a set"]
	ri, path := mustRI(b, tt.ri), []byte(tt.path)
	var steps shvpath.Steps
	for b.Loop() {
		left := shvpath.Steps(math.MaxInt32)
		ri.MatchSignalWithin(path, []byte("get"), []byte("chng"), &left)
		steps = math.MaxInt32 - left
	}
	b.ReportMetric(float64(steps), "steps/op")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(steps), "ns/step")
}

func BenchmarkMatchOfAnOrdinaryPattern(b *testing.B) {
	ri, path := mustRI(b, "site/*/status:*:c*"), []byte("site/pump7/status")
	for b.Loop() {
		ri.MatchSignal(path, []byte("get"), []byte("chng"))
	}
}
