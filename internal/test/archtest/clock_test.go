package archtest

import (
	"go/ast"
	"slices"
	"testing"
)

// steady are the packages that measure how long something takes. The clock of a
// device jumps: by decades at the first answer of a time server, back when the
// battery is empty. Only times with Go's monotonic reading do not move then, and
// these calls strip it off or make times that have none.
var steady = []string{
	"internal/device/agent", "internal/device/asynccall", "internal/wire/client", "internal/session/inband",
	"internal/wire/link", "internal/device/rexec",
	"internal/session/tunnel", "internal/broker/uplink", "internal/broker/core",
	"internal/broker/internal/replyroutes", "internal/broker/internal/door",
	"internal/broker/internal/childbroker", "internal/broker/internal/tunnels", "internal/broker/internal/stall",
	"internal/broker/internal/record", "internal/sys/audit",
}

var stripping = []string{"Unix", "UnixMilli", "UnixMicro", "UnixNano", "UTC", "Local", "In", "AddDate"}

// shown are the places where a time of the day is told to somebody, or comes from
// elsewhere, and no duration is made of it.
var shown = map[string]string{
	"internal/device/agent/cmdlog.go": "the time of the signal",
	"internal/sys/audit/record.go":    "the time of a record",
	"internal/device/agent/status.go": "since when, for people; how long is told apart",
}

func TestNoDurationComesFromAClockThatJumps(t *testing.T) {
	for _, dir := range steady {
		mustPackage(t, dir)
	}
	used := make(map[string]bool)
	for _, f := range allFiles(t) {
		if f.isTest() || !slices.Contains(steady, f.dir()) {
			continue
		}
		for _, use := range wallClock(f) {
			if used[f.name] = true; shown[f.name] == "" {
				t.Errorf("%s calls %s, which gives or makes a time without the monotonic reading; "+
					"a jump of the clock would move it", f.name, use)
			}
		}
	}
	for name := range shown {
		if !used[name] {
			t.Errorf("the exception for %s is of no use any more", name)
		}
	}
}

// wallClock returns the calls in f that make a time one of the wall clock alone.
func wallClock(f *file) (uses []string) {
	clock := f.imports()["time"]
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, _ := selector.X.(*ast.Ident)
		name := selector.Sel.Name
		switch {
		case of != nil && clock != "" && of.Name == clock:
			if name == "Unix" || name == "UnixMilli" || name == "Date" || name == "Parse" {
				uses = append(uses, "time."+name)
			}
		case name == "Round" && len(call.Args) == 1:
			if zero, ok := call.Args[0].(*ast.BasicLit); ok && zero.Value == "0" {
				uses = append(uses, "Round(0)")
			}
		case len(call.Args) == 0 && slices.Contains(stripping, name):
			uses = append(uses, name)
		}
		return true
	})
	return uses
}

func TestClockRuleBites(t *testing.T) {
	for source, want := range map[string]int{
		`import "time"; var x = time.Since(time.Now()).Round(time.Second)`: 0,
		`import "time"; var x = time.Now().Unix()`:                         1,
		`import t "time"; var x = t.Unix(5, 0)`:                            1,
		`import "time"; var x = time.Now().Round(0)`:                       1,
		`import "time"; var x = time.Now().UTC()`:                          1,
		`import "x/transport"; var x = transport.Unix`:                     0,
	} {
		f, err := parse("internal/device/agent/x.go", []byte("package x; "+source))
		if err != nil {
			t.Fatal(err)
		}
		if got := wallClock(f); len(got) != want {
			t.Errorf("%s: %q, want %d", source, got, want)
		}
	}
}
