package interop_test

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const intro = "# What ran against what\n\n" +
	"Made by `make interop` from the results of its tests (`internal/test/interop`); hand edits are lost.\n\n"

const tableHead = "| theirs | ours | what | result | test |\n|---|---|---|---|---|\n"

const unfinished = intro + "The last run did not end: nothing is known.\n"

// row is the result of one test.
type row struct {
	theirs, ours, what, test string
	failed                   bool
}

// table collects the rows of a run.
type table struct {
	mu   sync.Mutex
	rows []row
}

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// text returns the whole page, which does not depend on the order of the results.
func (t *table) text(when time.Time, versions string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := slices.SortedFunc(slices.Values(t.rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.theirs, b.theirs), cmp.Compare(a.ours, b.ours), cmp.Compare(a.what, b.what))
	})
	var out strings.Builder
	failed := 0
	for _, r := range rows {
		result := "passed"
		if r.failed {
			result = "**failed**"
			failed++
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | `%s` |\n", r.theirs, r.ours, r.what, result, r.test)
	}
	return fmt.Sprintf("%sRun on %s: %d passed, %d failed.\nWith %s.\n\n%s%s",
		intro, when.UTC().Format(time.DateOnly), len(rows)-failed, failed, versions, tableHead, out.String())
}

// findVersions returns the versions of all programs, as a text for the page.
func findVersions(commit string) (string, error) {
	const script = "import importlib.metadata as m, platform\n" +
		"print('pyshv', m.version('pyshv') + ', shvcli', m.version('shvcli') + ', Python', platform.python_version())"
	out, err := exec.Command(inVenv("python"), "-c", script).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", venv, err, out)
	}
	return strings.TrimSpace(string(out)) + "; ours: " + commit + ", " + runtime.Version(), nil
}

func TestTableShowsWhatFailed(t *testing.T) {
	var results table
	results.add(row{theirs: "pyshv client", ours: "shvbroker", what: "signals", test: "TestB", failed: true})
	results.add(row{theirs: "pyshv client", ours: "shvbroker", what: "login", test: "TestA"})
	text := results.text(time.Date(2026, 11, 25, 23, 0, 0, 0, time.FixedZone("", -7200)), "pyshv 1")
	want := "Run on 2026-11-26: 1 passed, 1 failed.\nWith pyshv 1.\n\n" +
		"| theirs | ours | what | result | test |\n|---|---|---|---|---|\n" +
		"| pyshv client | shvbroker | login | passed | `TestA` |\n" +
		"| pyshv client | shvbroker | signals | **failed** | `TestB` |\n"
	if _, got, _ := strings.Cut(text, "are lost.\n\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
