package archtest

import (
	"bytes"
	"go/format"
	"strings"
	"testing"
)

func TestEveryFileIsFormatted(t *testing.T) {
	for _, f := range allFiles(t) {
		formatted, err := format.Source(f.source)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
		} else if !bytes.Equal(formatted, f.source) {
			t.Errorf("%s is not formatted; run gofmt -w %s", f.name, f.name)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range allFiles(t) {
		dir := f.dir()
		documented[dir] = documented[dir] || packageComment(f)
	}
	for dir, found := range documented {
		if !found {
			t.Errorf("%s has no package comment that begins with \"Package NAME\", or for a program with its name", dir)
		}
	}
}

// packageComment reports whether f has a comment that go doc would show first.
func packageComment(f *file) bool {
	first, _, _ := strings.Cut(f.syntax.Doc.Text(), "\n")
	if f.syntax.Name.Name == "main" {
		words := strings.Fields(strings.TrimPrefix(first, "Command "))
		base := f.dir()[strings.LastIndexByte(f.dir(), '/')+1:]
		return len(words) > 1 && strings.EqualFold(words[0], base)
	}
	return strings.HasPrefix(first, "Package "+strings.TrimSuffix(f.syntax.Name.Name, "_test")+" ")
}
