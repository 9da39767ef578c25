package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// text is something that a person reads and that may cite: a Markdown page, a
// script, or the comments of a Go file.
type text struct {
	name  string // from the module's root, with slashes
	lines []textLine
}

type textLine struct {
	number int
	text   string
}

// number is that of a section.
const number = `\d+(?:\.\d+)*[a-z]?`

var (
	// citedPage finds the name of a page, such as docs/spec.md or spec.md, and the
	// numbers of sections behind it: spec.md 7.1a, 8.5.
	citedPage = regexp.MustCompile(`((?:[\w.-]+/)*[\w-]+\.md)\b(?:[,']? (` + number +
		`(?:, \d+(?:\.\d+)+[a-z]?)*(?: and ` + number + `)?))?`)
	// citedPath finds a path in one of the module's own directories.
	citedPath = regexp.MustCompile(`(?:^|[\s("'\x60\[])((?:docs|internal|cmd|scripts|\.ci)/[\w./-]*\w)`)
	// citedGoFile finds the name of a Go file.
	citedGoFile = regexp.MustCompile(`(?:^|[\s("'\x60])(\w[\w/]*\.go)\b`)
	// citedPackage finds a package that is named as such: "(package link)".
	citedPackage = regexp.MustCompile(`\(package (\w+)\b`)
	// citedLink finds where a link of Markdown leads.
	citedLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

	// notOurs finds what only looks like a reference: URLs, and a variable before a path.
	notOurs = regexp.MustCompile(`https?://[^\s)>]+|\$\w+/`)

	// citing finds the strings in Go code that cite.
	citing = regexp.MustCompile(`\b(?:docs/[\w/-]+|spec|design|protocol)\.md\b`)

	heading = regexp.MustCompile(`^#+ (.*)$`)
	section = regexp.MustCompile(`^(` + number + `)\.? `)
)

// elsewhere are packages of others that comments name.
var elsewhere = []string{"net", "time", "flag"}

func TestReferencesLeadSomewhere(t *testing.T) {
	all := allTexts(t)
	tree := newTree(t)
	found := map[string]int{}
	for _, page := range all {
		if page.name == "internal/test/archtest/references_test.go" {
			continue // its own examples
		}
		for _, c := range citations(page) {
			found[c.kind]++
			if why := tree.missing(c); why != "" {
				t.Errorf("%s:%d: %s", page.name, c.line, why)
			}
		}
	}
	for _, kind := range []string{"page", "section", "path", "file", "package", "link"} {
		if found[kind] == 0 {
			t.Errorf("the rule for each cited %s matches nothing", kind)
		}
	}
}

// citation is one reference of a text.
type citation struct {
	line         int
	from         string // the text that has it
	kind, target string
	section      string // of a page; "" is the whole
}

func citations(page text) (all []citation) {
	for _, l := range page.lines {
		l.text = notOurs.ReplaceAllString(l.text, "")
		add := func(kind, target, section string) {
			all = append(all, citation{line: l.number, from: page.name, kind: kind, target: target, section: section})
		}
		for _, m := range citedPage.FindAllStringSubmatch(l.text, -1) {
			add("page", m[1], "")
			for _, number := range strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' }) {
				if number != "and" {
					add("section", m[1], number)
				}
			}
		}
		for _, m := range citedPath.FindAllStringSubmatch(l.text, -1) {
			add("path", m[1], "")
		}
		for _, m := range citedGoFile.FindAllStringSubmatch(l.text, -1) {
			add("file", m[1], "")
		}
		for _, m := range citedPackage.FindAllStringSubmatch(l.text, -1) {
			add("package", m[1], "")
		}
		if strings.HasSuffix(page.name, ".md") {
			for _, m := range citedLink.FindAllStringSubmatch(l.text, -1) {
				if !strings.Contains(m[1], ":") {
					add("link", m[1], "")
				}
			}
		}
	}
	return all
}

// moduleTree is what citations may lead to.
type moduleTree struct {
	files    map[string]bool // from the root, directories too
	bases    map[string]bool // names of files alone
	packages map[string]bool // names of packages alone
	sections map[string][]string
	anchors  map[string][]string
}

func newTree(t *testing.T) *moduleTree {
	t.Helper()
	tree := &moduleTree{
		files: map[string]bool{}, bases: map[string]bool{}, packages: map[string]bool{},
		sections: map[string][]string{}, anchors: map[string][]string{},
	}
	for _, name := range allNames(t) {
		tree.files[name], tree.bases[path.Base(name)] = true, true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			tree.files[dir] = true
		}
	}
	for _, p := range allPackages(t) {
		tree.packages[path.Base(p.ImportPath)] = true
	}
	for _, page := range allTexts(t) {
		for _, l := range page.lines {
			m := heading.FindStringSubmatch(l.text)
			if m == nil || !strings.HasSuffix(page.name, ".md") {
				continue
			}
			tree.anchors[page.name] = append(tree.anchors[page.name], anchor(m[1]))
			if n := section.FindStringSubmatch(m[1] + " "); n != nil {
				tree.sections[page.name] = append(tree.sections[page.name], n[1])
			}
		}
	}
	return tree
}

// missing says what is wrong with a citation; "" is nothing.
func (tree *moduleTree) missing(c citation) string {
	switch c.kind {
	case "page":
		if tree.page(c) == "" {
			return fmt.Sprintf("there is no page %s", c.target)
		}
	case "section":
		name := tree.page(c)
		if name != "" && !slices.Contains(tree.sections[name], c.section) {
			return fmt.Sprintf("%s has no section %s", name, c.section)
		}
	case "path":
		if !tree.files[c.target] && !tree.files[c.target+".go"] {
			return fmt.Sprintf("there is no %s", c.target)
		}
	case "file":
		if !tree.files[c.target] && !tree.bases[path.Base(c.target)] {
			return fmt.Sprintf("there is no file %s", c.target)
		}
	case "package":
		if !tree.packages[c.target] && !slices.Contains(elsewhere, c.target) {
			return fmt.Sprintf("there is no package %s", c.target)
		}
	case "link":
		file, fragment, _ := strings.Cut(c.target, "#")
		name := c.from
		if file != "" {
			name = path.Join(path.Dir(c.from), file)
		}
		if !tree.files[name] {
			return fmt.Sprintf("the link to %s leads to no file", c.target)
		}
		if fragment != "" && !slices.Contains(tree.anchors[name], fragment) {
			return fmt.Sprintf("%s has no heading for #%s", name, fragment)
		}
	}
	return ""
}

// page returns the file that a citation's page is; "" is none. A bare name is one
// beside the page that cites it, in docs, or at the root.
func (tree *moduleTree) page(c citation) string {
	for _, dir := range []string{path.Dir(c.from), "docs", "docs/reference", ""} {
		if name := path.Join(dir, c.target); tree.files[name] {
			return name
		}
	}
	return ""
}

// anchor is the fragment that a heading gets where Markdown is shown: small letters,
// without punctuation, hyphens for blanks.
func anchor(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// names returns the names of the module's files, from its root.
var names = sync.OnceValues(func() ([]string, error) {
	var all []string
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
			if slices.Contains([]string{".git", "bin", "tmp"}, relative) {
				return filepath.SkipDir
			}
			return nil
		}
		all = append(all, filepath.ToSlash(relative))
		return nil
	})
	return all, err
})

func allNames(t *testing.T) []string {
	t.Helper()
	all, err := names()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// allTexts returns what the module has for people to read: comments of Go files,
// pages, scripts.
func allTexts(t *testing.T) []text {
	t.Helper()
	var all []text
	for _, f := range allFiles(t) {
		all = append(all, comments(f))
	}
	for _, name := range allNames(t) {
		read := name == "Makefile" || name == ".ci/run" ||
			slices.Contains([]string{".md", ".sh", ".yaml", ".service", ".socket"}, path.Ext(name))
		if !read || strings.Contains(name, "testdata/") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		page := text{name: name}
		for i, l := range strings.Split(string(content), "\n") {
			page.lines = append(page.lines, textLine{i + 1, l})
		}
		all = append(all, page)
	}
	return all
}

// comments returns the comments of a file, each as one line, so that a citation may
// go over the end of a line; and the strings that cite a page of docs.
func comments(f *file) text {
	page := text{name: f.name}
	for _, group := range f.syntax.Comments {
		var words []string
		for _, c := range group.List {
			for _, l := range strings.Split(c.Text, "\n") {
				words = append(words, strings.Fields(strings.TrimLeft(l, "/* \t"))...)
			}
		}
		page.lines = append(page.lines, textLine{f.line(group), strings.Join(words, " ")})
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && citing.MatchString(l.Value) {
			page.lines = append(page.lines, textLine{f.line(l), l.Value})
		}
		return true
	})
	return page
}

func TestReferenceRulesBite(t *testing.T) {
	tree := &moduleTree{
		files:    map[string]bool{"docs/spec.md": true, "docs/x.md": true, "README.md": true, "internal/wire/link": true},
		bases:    map[string]bool{"link.go": true},
		packages: map[string]bool{"link": true},
		sections: map[string][]string{"docs/spec.md": {"7", "7.1", "7.1a"}},
		anchors:  map[string][]string{"docs/x.md": {"a-title"}},
	}
	for line, want := range map[string]int{
		"spec.md 7.1a":                          0,
		"see spec.md 7.1, 7.1a and 7":           0,
		"spec.md 7.9":                           1,
		"spec.md 7.1, 7.2":                      1,
		"docs/spec.md, and [x](x.md#a-title)":   0,
		"[x](x.md#another), [y](y.md)":          3, // the heading; the file, as a page and as a link
		"docs/gone.md":                          2, // as a page and as a path
		"internal/wire/link, internal/gone":     1,
		"link.go and gone.go":                   1,
		"(package link) (package gone)":         1,
		"a package that is not one":             0,
		"https://example.com/a/b.md is no page": 0,
	} {
		page := text{name: "docs/x.md", lines: []textLine{{1, line}}}
		got := 0
		for _, c := range citations(page) {
			if tree.missing(c) != "" {
				got++
			}
		}
		if got != want {
			t.Errorf("%q: %d offences, want %d", line, got, want)
		}
	}
	if got := anchor("What `shvrsh` does, and why"); got != "what-shvrsh-does-and-why" {
		t.Errorf("anchor %q", got)
	}
}
