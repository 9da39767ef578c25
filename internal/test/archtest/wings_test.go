package archtest

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// wings says which wing may import which others (design.md 2). A wing is a directory
// of internal, or one program's in cmd. Each may import itself, and its tests
// internal/test besides. internal/test imports everything.
var wings = map[string][]string{
	"internal/shv":     nil,
	"internal/wire":    {"internal/shv"},
	"internal/session": {"internal/wire", "internal/shv"},
	"internal/sys":     {"internal/shv"},
	"internal/broker":  {"internal/wire", "internal/shv", "internal/sys"},
	"internal/device":  {"internal/session", "internal/wire", "internal/shv", "internal/sys"},
	"internal/shell":   {"internal/session", "internal/wire", "internal/shv", "internal/sys"},
	"cmd/shvbroker":    {"internal/broker", "internal/wire", "internal/shv", "internal/sys"},
	"cmd/shvagent":     {"internal/device", "internal/session", "internal/wire", "internal/shv", "internal/sys"},
	"cmd/shvrexec":     {"internal/device", "internal/session", "internal/wire", "internal/shv", "internal/sys"},
	"cmd/shvrsh":       {"internal/shell", "internal/session", "internal/wire", "internal/shv", "internal/sys"},
	"scripts/bench": {
		"internal/broker", "internal/device", "internal/shell", "internal/session", "internal/wire", "internal/shv",
		"internal/sys",
	},
	testWing: nil,
}

const testWing = "internal/test"

// crossing is an import beyond what the wings allow that is right all the same.
type crossing struct{ from, to, why string }

var crossings = []crossing{
	{"internal/sys/cliapp", "internal/wire/transport", "the mains find a login by its URL"},
}

// testCrossings are crossings of tests.
var testCrossings = []crossing{
	{"internal/sys/cliapp", "internal/wire/transport", "as above"},
	{"internal/sys/tty", "internal/device/ptyproc", "a terminal with a process on it"},
}

func TestWingsImportWhatTheyMay(t *testing.T) {
	var rest []crossing
	for _, p := range allPackages(t) {
		rest = append(rest, foreign(p.ImportPath, p.Imports)...)
	}
	expectCrossings(t, rest, crossings)
}

func TestTestsOfAWingImportWhatTheyMay(t *testing.T) {
	var rest []crossing
	for _, p := range allPackages(t) {
		for _, c := range foreign(p.ImportPath, slices.Concat(p.TestImports, p.XTestImports)) {
			if !within(c.to, testWing) {
				rest = append(rest, c)
			}
		}
	}
	expectCrossings(t, rest, testCrossings)
}

func TestEachPackageStandsInAWing(t *testing.T) {
	members := map[string]int{}
	for _, p := range allPackages(t) {
		wing := wingOf(inModule(p.ImportPath))
		if wing == "" {
			t.Errorf("%s stands in no wing", p.ImportPath)
		}
		members[wing]++
	}
	for wing, others := range wings {
		for _, name := range append(others, wing) {
			if members[name] == 0 {
				t.Errorf("a rule names the wing %s, which has no package", name)
			}
		}
	}
}

// expectCrossings fails for each crossing that is not allowed, and for each that is
// allowed and not there.
func expectCrossings(t *testing.T, found, allowed []crossing) {
	t.Helper()
	key := func(c crossing) string { return c.from + " imports " + c.to }
	reasons := map[string]string{}
	for _, c := range allowed {
		reasons[key(c)] = c.why
	}
	unused := maps.Clone(reasons)
	for _, c := range found {
		delete(unused, key(c))
		if reasons[key(c)] == "" {
			t.Errorf("%s, which its wing may not", key(c))
		}
	}
	for k := range unused {
		t.Errorf("the exception is not needed any more: %s", k)
	}
}

// foreign returns the imports of a package that its wing does not allow.
func foreign(importer string, imports []string) (found []crossing) {
	from := inModule(importer)
	own := wingOf(from)
	if own == testWing {
		return nil
	}
	for _, imported := range imports {
		to := inModule(imported)
		if to == "" || within(to, own) || slices.ContainsFunc(wings[own], func(w string) bool { return within(to, w) }) {
			continue
		}
		found = append(found, crossing{from: from, to: to})
	}
	return found
}

// inModule returns an import path as a directory of the module; "" is another's.
func inModule(importPath string) string {
	dir, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return dir
}

// wingOf returns the wing that a directory belongs to; "" is none.
func wingOf(dir string) string {
	for wing := range wings {
		if within(dir, wing) {
			return wing
		}
	}
	return ""
}

func within(dir, wing string) bool { return dir == wing || strings.HasPrefix(dir, wing+"/") }

func TestWingRuleBites(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     int
	}{
		{"internal/shv/rpc", "internal/shv/chainpack", 0},
		{"internal/shv/rpc", "internal/wire/link", 1},
		{"internal/shv/rpc", "net", 0},
		{"internal/wire/link", "internal/shv/rpc", 0},
		{"internal/wire/link", "internal/shvx", 1},
		{"internal/device/agent", "internal/broker/core", 1},
		{"internal/broker/core", "internal/session/tunnel", 1},
		{"cmd/shvrsh", "internal/device/agent", 1},
		{"internal/shell/rsh", "internal/test/e2e", 1},
		{"internal/test/e2e", "internal/broker/core", 0},
	} {
		to := tt.to
		if strings.Contains(to, "/") {
			to = module + "/" + to
		}
		if got := foreign(module+"/"+tt.from, []string{to}); len(got) != tt.want {
			t.Errorf("%s -> %s: %v, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}
