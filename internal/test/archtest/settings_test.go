package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	brokerconfig "shvtools/internal/broker/config"
	deviceconfig "shvtools/internal/device/config"
	"shvtools/internal/sys/conf"
)

// The reference pages have a row for each setting of the programs' tables, with its
// default, bounds, flag and environment variable.
func TestReferencePagesHaveEachSetting(t *testing.T) {
	for page, settings := range map[string][]conf.Declared{
		"broker.md": brokerconfig.Declared(), "agent.md": deviceconfig.Declared(),
	} {
		text, err := os.ReadFile(filepath.Join(root(), "docs", "reference", page))
		if err != nil {
			t.Fatal(err)
		}
		rows := settingRows(string(text))
		for _, s := range settings {
			for _, fault := range rows.faults(s, string(text)) {
				t.Errorf("docs/reference/%s: %s: %s", page, s.Key, fault)
			}
		}
	}
}

// ofWords are settings whose default the page says in words: it depends on the machine, or
// is a list.
var ofWords = []string{"limits.handshakes", "rules"}

// settingTable is the rows of a page's tables, each with the heading above it.
type settingTable []struct{ heading, row string }

func settingRows(page string) (rows settingTable) {
	heading := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		case strings.HasPrefix(line, "|"):
			rows = append(rows, struct{ heading, row string }{heading, line})
		}
	}
	return rows
}

// find returns the row of a key, which may be without its section under a heading of that
// name; "" where there is none.
func (rows settingTable) find(key string) string {
	section, name, _ := strings.Cut(key, ".")
	for _, r := range rows {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.row, "|"), "|")
		below := name != "" && r.heading == section && strings.Contains(first, "`"+name+"`")
		if below || strings.Contains(first, "`"+key+"`") {
			return r.row
		}
	}
	return ""
}

func (rows settingTable) faults(s conf.Declared, page string) (faults []string) {
	row := rows.find(s.Key)
	if row == "" {
		return []string{"there is no row for it"}
	}
	values := map[string]string{"lowest value": s.Lowest, "highest value": s.Highest}
	if !slices.Contains(ofWords, s.Key) && strings.Trim(s.Default, "0123456789.") != s.Default {
		values["default"] = s.Default // texts such as (none) are said in other words
	}
	for what, value := range values {
		if value != "" && !hasValue(row, value) {
			faults = append(faults, "its row does not have the "+what+" "+value)
		}
	}
	for _, name := range []string{"--" + s.Flag, s.Env} {
		if strings.Trim(name, "-") != "" && !strings.Contains(page, "`"+name) && !strings.Contains(page, "$"+name) {
			faults = append(faults, name+" is not on the page")
		}
	}
	return faults
}

// hasValue tells whether a row has a value, in whatever unit.
func hasValue(row, value string) bool {
	for word := range strings.FieldsFuncSeq(row, func(r rune) bool { return strings.ContainsRune(" |,;()`", r) }) {
		word = strings.TrimSuffix(word, ":")
		forms := []string{word}
		if d, err := conf.Duration.Of(word); err == nil {
			forms = append(forms, conf.Duration.Show(d))
		}
		if n, err := conf.Size.Of(word); err == nil {
			forms = append(forms, conf.Size.Show(n))
		}
		if slices.Contains(forms, value) {
			return true
		}
	}
	return false
}

func TestRulesOfReferencePagesBite(t *testing.T) {
	rows := settingRows("### limits\n| `frame` | 16MiB | 64KiB | 256MiB | x |\n| `wait` (`--wait`) | 1m | 1s | 2h | |\n")
	for want, s := range map[string]conf.Declared{
		"":                                       {Key: "limits.frame", Default: "16MiB", Lowest: "64KiB", Highest: "256MiB"},
		"there is no row for it":                 {Key: "limits.queue"},
		"its row does not have the default 8MiB": {Key: "limits.frame", Default: "8MiB"},
		"its row does not have the highest value 1h": {Key: "limits.wait", Default: "1m", Lowest: "1s", Highest: "1h"},
		"--other is not on the page":                 {Key: "limits.wait", Flag: "other"},
	} {
		if got := strings.Join(rows.faults(s, "`--wait`"), "; "); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}
