package archtest

import (
	"bytes"
	"testing"
)

// The broker's core is where everything that the broker does could go. It stays small
// enough to be read as a whole; what has a table of its own goes to a package of its
// own below internal/broker (design.md 2).
const (
	coreDir      = "internal/broker/core"
	maxCoreFiles = 25
	maxCoreLines = 4000
)

func TestCoreStaysSmall(t *testing.T) {
	mustPackage(t, coreDir)
	all, lines := 0, 0
	for _, f := range allFiles(t) {
		if f.dir() == coreDir && !f.isTest() {
			all++
			lines += bytes.Count(f.source, []byte("\n"))
		}
	}
	if all > maxCoreFiles || lines > maxCoreLines {
		t.Errorf("%s has %d files with %d lines; %d and %d are the most", coreDir, all, lines, maxCoreFiles, maxCoreLines)
	}
}
