package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// processState is what only a main may touch: it ends the process, or lets
// something outside decide what a package does.
var processState = map[string][]string{
	"os":      {"Exit", "Args", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv"},
	"syscall": {"Exit", "Getenv", "Environ", "Setenv", "Unsetenv", "Clearenv"},
	"log":     {"Fatal", "Fatalf", "Fatalln"},
	"flag":    {"Parse", "CommandLine"},
}

// exceptions are uses outside a main that are right. Each has its reason.
var exceptions = []struct{ file, use, why string }{}

func TestOnlyMainsExitAndReadTheEnvironment(t *testing.T) {
	mustPackage(t, sharedByMains)
	for _, f := range allFiles(t) {
		if f.isTest() || ofMain(f) {
			continue
		}
		for _, use := range processUses(f) {
			if !excepted(f.name, use) {
				t.Errorf("%s uses %s; only the mains exit and read the environment, others get it as values", f.name, use)
			}
		}
	}
}

// An exception whose use is gone would hide the next one.
func TestExceptionsAreInUse(t *testing.T) {
	for _, e := range exceptions {
		used := slices.ContainsFunc(allFiles(t), func(f *file) bool {
			return f.name == e.file && slices.Contains(processUses(f), e.use)
		})
		if !used || e.why == "" {
			t.Errorf("the exception for %s in %s is unused or has no reason", e.use, e.file)
		}
	}
}

// sharedByMains is the package that mains share.
const sharedByMains = "internal/sys/cliapp"

// ofMain reports whether f belongs to a main, or to the package that mains share.
func ofMain(f *file) bool {
	if f.dir() == sharedByMains {
		return true
	}
	program := strings.HasPrefix(f.name, "cmd/") || strings.HasPrefix(f.name, "scripts/")
	return program && f.syntax.Name.Name == "main"
}

func excepted(name, use string) bool {
	for _, e := range exceptions {
		if e.file == name && e.use == use {
			return true
		}
	}
	return false
}

// processUses returns the uses of processState in f, under whatever name it
// imports the packages.
func processUses(f *file) []string {
	byName := map[string]string{}
	var uses []string
	for target, name := range f.imports() {
		if _, watched := processState[target]; !watched {
			continue
		}
		byName[name] = target
		if name == "." {
			uses = append(uses, "a dot import of "+target)
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok {
			target := byName[x.Name]
			if slices.Contains(processState[target], selector.Sel.Name) {
				uses = append(uses, target+"."+selector.Sel.Name)
			}
		}
		return true
	})
	return uses
}

func TestProcessRuleSeesThroughAliases(t *testing.T) {
	for _, tt := range []struct{ name, source, want string }{
		{"plain", `import "os"; func f() { os.Exit(1) }`, "os.Exit"},
		{"alias", `import sys "os"; var home = sys.Getenv("HOME")`, "os.Getenv"},
		{"function value", `import "os"; var lookup = os.LookupEnv`, "os.LookupEnv"},
		{"dot import", `import . "os"; func f() { Exit(1) }`, "a dot import of os"},
		{"fatal", `import "log"; func f() { log.Fatal("x") }`, "log.Fatal"},
		{"other package's log", `import "example/log"; func f() { log.Fatal("x") }`, ""},
		{"harmless", `import "os"; var out = os.Stdout`, ""},
		{"in a comment", `import "os"; var out = os.Stdout // not os.Exit`, ""},
	} {
		f, err := parse("internal/x/x.go", []byte("package x; "+tt.source))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := strings.Join(processUses(f), ", "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
