package e2e_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// recordedLines returns the recorded C++ session (spec.md 13), one message per line.
func recordedLines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/cppsession.txt")
	if err != nil {
		t.Fatal(err)
	}
	// The page from which the session was copied had a line break there.
	mended := strings.ReplaceAll(string(text), `"opti ons"`, `"options"`)
	return strings.Split(strings.TrimSpace(mended), "\n")
}

// splitAtOpen splits a journal after the CreateTunnelResponse that is sent to the
// helper.
func splitAtOpen(t *testing.T, lines []string) (opening, tunnel []string) {
	t.Helper()
	i := slices.IndexFunc(lines, func(line string) bool {
		return strings.Contains(line, " ==> ") && strings.Contains(line, "State:4")
	})
	if i < 0 {
		t.Fatalf("no tunnel was opened:\n%s", strings.Join(lines, "\n"))
	}
	return lines[:i+1], lines[i+1:]
}

// unknownData replaces data that a journal does not show.
const unknownData = "\x00unknown\x00"

// tunnelData is what each hop carried, by link, direction and meta. Each change of
// the channel is marked, such as "[1]".
type tunnelData map[string]string

func (d tunnelData) heads() []string { return slices.Sorted(maps.Keys(d)) }

var (
	dataLine    = regexp.MustCompile(`^(\d+ (?:<==|==>) <[^>]*>)i\{result:(\[.*\])\}$`)
	hiddenLine  = regexp.MustCompile(`^(\d+ (?:<==|==>) <[^>]*>)" \.\.\. \d+ bytes of data \.\.\. "$`)
	channelMark = regexp.MustCompile(`\[\d\]`)
)

// dataOf reads the data frames of a journal. Any other frame fails the test.
func dataOf(t *testing.T, lines []string) tunnelData {
	t.Helper()
	all := tunnelData{}
	for _, line := range lines {
		if m := hiddenLine.FindStringSubmatch(line); m != nil {
			all[m[1]] = strings.TrimSuffix(all[m[1]], unknownData) + unknownData
			continue
		}
		m := dataLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("no data frame: %s", line)
			continue
		}
		result, err := cpon.Parse([]byte(m[2]), chainpack.Limits{})
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		channel := "[" + cpon.String(result.At(0)) + "]"
		text, _ := result.At(1).AsString()
		if marks := channelMark.FindAllString(all[m[1]], -1); len(marks) == 0 || marks[len(marks)-1] != channel {
			all[m[1]] += channel
		}
		all[m[1]] += text
	}
	return all
}
