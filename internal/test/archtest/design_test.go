package archtest

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A list of packages that misses one, or has one that is gone, tells a newcomer that
// nobody reads it.
func TestDesignListsEachPackage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(), "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := listedPackages(string(page))
	if len(listed) == 0 {
		t.Fatal("docs/design.md has no list of packages")
	}
	var existing []string
	for _, p := range allPackages(t) {
		existing = append(existing, inModule(p.ImportPath))
	}
	for _, dir := range existing {
		if !slices.Contains(listed, dir) {
			t.Errorf("docs/design.md does not list %s", dir)
		}
	}
	for _, dir := range listed {
		if !slices.Contains(existing, dir) {
			t.Errorf("docs/design.md lists %s, and there is no such package", dir)
		}
	}
}

// listedPackages returns the directories in the first block of a page that has a tree
// of packages: two blanks a level, a directory ends with a slash.
func listedPackages(page string) (dirs []string) {
	_, block, _ := strings.Cut(page, "```\ncmd/\n")
	block, _, _ = strings.Cut("cmd/\n"+block, "```")
	var above []string // the directory at each level
	for _, line := range strings.Split(block, "\n") {
		name, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		if name == "" {
			continue
		}
		level := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		above = append(above[:min(level, len(above))], strings.TrimSuffix(name, "/"))
		if !strings.HasSuffix(name, "/") {
			dirs = append(dirs, path.Join(above...))
		}
	}
	return dirs
}

func TestListedPackages(t *testing.T) {
	page := "# X\n\n```\ncmd/\n  a   the a\ninternal/\n  shv/    a wing\n    rpc   messages\n" +
		"    in/\n      x  y\n  z   y\n```\n\n```\nother/\n```\n"
	want := []string{"cmd/a", "internal/shv/rpc", "internal/shv/in/x", "internal/z"}
	if got := listedPackages(page); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
