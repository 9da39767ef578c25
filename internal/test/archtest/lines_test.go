package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxLine is how many characters a line of Go or Markdown may have, a tab counting as
// one (style.md 2).
const maxLine = 120

// longLines are where lines may be longer than maxLine, each with the reason.
var longLines = map[string]string{
	"internal/broker/journal/journal_test.go": "recorded data: messages beside their lines in the journal",
	"internal/broker/journal/seed_test.go":    "recorded data: the logins of a journal",
}

var url = regexp.MustCompile(`https?://[^\s)>"]+`)

// tooLong reports whether a line of a file is too long. Rows of Markdown tables cannot be
// broken, and neither can URLs, which do not count.
func tooLong(name, line string) bool {
	if strings.HasSuffix(name, ".md") && strings.HasPrefix(strings.TrimLeft(line, " \t"), "|") {
		return false
	}
	return utf8.RuneCountInString(url.ReplaceAllString(line, "")) > maxLine
}

func TestLinesAreNotTooLong(t *testing.T) {
	used := make(map[string]bool)
	for name, text := range textFiles(t) {
		number := 0
		for line := range bytes.Lines(text) {
			number++
			if !tooLong(name, strings.TrimSuffix(string(line), "\n")) {
				continue
			}
			if longLines[name] == "" {
				t.Errorf("%s:%d: has more than %d characters", name, number, maxLine)
			}
			used[name] = true
		}
	}
	for name := range longLines {
		if !used[name] {
			t.Errorf("longLines: %s has no long line any more", name)
		}
	}
}

// textFiles returns the Go and Markdown files of the repository by name, without what is
// recorded, built or somebody else's.
func textFiles(t *testing.T) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	top := root()
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := entry.Name()
			hidden := strings.HasPrefix(base, ".") || base == "testdata" || relative == "tmp" || relative == "bin"
			if name != top && hidden {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext == ".go" || ext == ".md" {
			all[filepath.ToSlash(relative)], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLineRuleBites(t *testing.T) {
	long := strings.Repeat("ř ", 61) // 122 characters, 183 bytes
	for _, tt := range []struct {
		name, line string
		want       bool
	}{
		{"a.go", long, true},
		{"a.go", long[:len(long)-6], false},
		{"a.go", "// see https://example.org/" + strings.Repeat("x", 120), false},
		{"a.go", "| " + long, true},
		{"a.md", "| " + long, false},
		{"a.md", long, true},
	} {
		if got := tooLong(tt.name, tt.line); got != tt.want {
			t.Errorf("%s: %q: %v", tt.name, tt.line, got)
		}
	}
}
