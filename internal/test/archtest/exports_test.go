package archtest

import (
	"bytes"
	"path"
	"slices"
	"testing"
)

// exports are the files in which a package lets its own tests reach for what it hides,
// with their length. Tests see a package from outside: such a file may only shrink.
var exports = map[string]int{
	"internal/broker/config/export_test.go": 4,
	"internal/broker/core/export_test.go":   59,
}

func TestExportsForTestsOnlyShrink(t *testing.T) {
	found := map[string]int{}
	for _, f := range allFiles(t) {
		if path.Base(f.name) == "export_test.go" {
			found[f.name] = bytes.Count(f.source, []byte("\n"))
		}
	}
	for name, lines := range found {
		if most := exports[name]; lines > most {
			t.Errorf("%s has %d lines, and %d before; test what others see", name, lines, most)
		}
	}
	for name, most := range exports {
		if lines := found[name]; lines < most {
			t.Errorf("%s has %d lines only; write that here instead of %d", name, lines, most)
		}
	}
}

// insiders are the test files of the broker that are of its package.
var insiders = []string{
	"internal/broker/core/alloc_test.go", // calls the handler of a session alone
	"internal/broker/core/export_test.go",
}

func TestBrokerIsTestedFromOutside(t *testing.T) {
	var found []string
	for _, f := range allFiles(t) {
		if f.isTest() && f.dir() == "internal/broker/core" && f.syntax.Name.Name == "core" {
			found = append(found, f.name)
		}
	}
	for _, name := range found {
		if !slices.Contains(insiders, name) {
			t.Errorf("%s is package core; make it core_test, on top of internal/test/world", name)
		}
	}
	for _, name := range insiders {
		if !slices.Contains(found, name) {
			t.Errorf("the exception for %s is of no use any more", name)
		}
	}
}
