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

// seedLines reads the journal of the client's document, a message a line.
func seedLines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/seed.txt")
	if err != nil {
		t.Fatal(err)
	}
	// A line break of the page that the document was copied from.
	mended := strings.ReplaceAll(string(text), `"opti ons"`, `"options"`)
	return strings.Split(strings.TrimSpace(mended), "\n")
}

// splitAtOpen cuts a journal behind the CreateTunnelResponse that reaches the
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

// unknownData stands for what a journal does not show.
const unknownData = "\x00unknown\x00"

// tunnelData is what each hop carried, by link, direction and meta. A change of
// the channel shows as "[1]".
type tunnelData map[string]string

func (d tunnelData) heads() []string { return slices.Sorted(maps.Keys(d)) }

var (
	dataLine    = regexp.MustCompile(`^(\d+ (?:<==|==>) <[^>]*>)i\{result:(\[.*\])\}$`)
	hiddenLine  = regexp.MustCompile(`^(\d+ (?:<==|==>) <[^>]*>)" \.\.\. \d+ bytes of data \.\.\. "$`)
	channelMark = regexp.MustCompile(`\[\d\]`)
)

// dataOf reads the data frames of a journal; anything else fails the test.
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
