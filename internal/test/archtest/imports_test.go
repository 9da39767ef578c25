package archtest

import (
	"slices"
	"strings"
	"testing"
)

const (
	zerologPath = "github.com/rs/zerolog"
	ptyPath     = "github.com/creack/pty"
	termPath    = "golang.org/x/term"
	webPath     = "github.com/coder/websocket"
)

// A codec that can reach the network or the log is one that cannot be used, or
// tested, by itself.
func TestCodecsKnowNeitherNetworkNorLog(t *testing.T) {
	for _, dir := range []string{"internal/shv/chainpack", "internal/shv/cpon", "internal/shv/rpc"} {
		p := mustPackage(t, dir)
		for _, banned := range []string{"net", zerologPath} {
			// Deps, so that no third package carries it in.
			if slices.Contains(p.Deps, banned) {
				t.Errorf("%s imports %s, directly or through others; codecs and rpc know neither the network nor the log",
					p.ImportPath, banned)
			}
		}
	}
}

// owner says which package may import a third-party package, and which ones in
// their tests.
type owner struct {
	imported string
	by       string
	inTests  []string
}

func TestThirdPartyPackagesHaveOneOwner(t *testing.T) {
	for _, rule := range []owner{
		{ptyPath, module + "/internal/device/ptyproc", []string{
			module + "/internal/test/e2e",     // drives shvrsh as its user's terminal
			module + "/internal/test/interop", // the same, at other people's brokers
			module + "/internal/test/replay",  // types into a shvrsh that the recorded helper answers
		}},
		{termPath, module + "/internal/sys/tty", nil},
		{webPath, module + "/internal/wire/transport", []string{
			module + "/internal/broker/core", // a client of somebody else's
		}},
	} {
		for _, dir := range append(rule.inTests, rule.by) {
			p := mustPackage(t, strings.TrimPrefix(dir, module+"/"))
			imports := p.Imports
			if dir != rule.by {
				imports = slices.Concat(p.TestImports, p.XTestImports)
			}
			if !slices.Contains(imports, rule.imported) {
				t.Errorf("the rule for %s names %s, which does not import it any more", rule.imported, dir)
			}
		}
		for _, p := range allPackages(t) {
			for _, text := range rule.offences(p) {
				t.Error(text)
			}
		}
	}
}

func (o owner) offences(p pkg) []string {
	if p.ImportPath == o.by {
		return nil
	}
	var texts []string
	if slices.Contains(p.Imports, o.imported) {
		texts = append(texts, p.ImportPath+" imports "+o.imported+", which belongs to "+o.by+" alone")
	}
	tests := slices.Concat(p.TestImports, p.XTestImports)
	if slices.Contains(tests, o.imported) && !slices.Contains(o.inTests, p.ImportPath) {
		texts = append(texts, "a test of "+p.ImportPath+" imports "+o.imported+", which belongs to "+o.by+" alone")
	}
	return texts
}

// Whatever two programs share must have a package of its own; a program that is
// imported drags its decisions along.
func TestNobodyImportsAWholeProgram(t *testing.T) {
	for _, dir := range programs {
		mustPackage(t, dir)
	}
	for program, dir := range theirOwn {
		if !slices.Contains(mustPackage(t, dir).Imports, module+"/"+program) {
			t.Errorf("the exception for %s names %s, which does not import it any more", program, dir)
		}
	}
	for _, p := range allPackages(t) {
		for _, imported := range wholePrograms(p) {
			t.Errorf("%s imports %s, which stands for a whole program; only cmd/ and tests may", p.ImportPath, imported)
		}
	}
}

// programs are the packages that are what one program does.
var programs = []string{
	"internal/device/agent", "internal/device/rexec", "internal/shell/rsh",
	"internal/broker/daemon", "internal/broker/core",
}

// theirOwn are the programs that one other package may import.
var theirOwn = map[string]string{"internal/broker/core": "internal/broker/daemon"}

func wholePrograms(p pkg) []string {
	dir := inModule(p.ImportPath)
	if !within(dir, "internal") || within(dir, testWing) { // which only tests import
		return nil
	}
	var found []string
	for _, imported := range p.Imports {
		program := strings.TrimPrefix(imported, module+"/")
		if slices.Contains(programs, program) && theirOwn[program] != strings.TrimPrefix(p.ImportPath, module+"/") {
			found = append(found, imported)
		}
	}
	return found
}

func TestNoGlobalLogger(t *testing.T) {
	for _, f := range allFiles(t) {
		if _, used := f.imports()[zerologPath+"/log"]; used {
			t.Errorf("%s imports %s/log, the global logger; loggers are handed over", f.name, zerologPath)
		}
	}
}

func TestImportRulesBite(t *testing.T) {
	pty := owner{ptyPath, module + "/internal/device/ptyproc", []string{module + "/internal/test/e2e"}}
	for _, tt := range []struct {
		name string
		pkg  pkg
		want int
	}{
		{"owner", pkg{ImportPath: pty.by, Imports: []string{ptyPath}}, 0},
		{"test of e2e", pkg{ImportPath: module + "/internal/test/e2e", XTestImports: []string{ptyPath}}, 0},
		{"e2e itself", pkg{ImportPath: module + "/internal/test/e2e", Imports: []string{ptyPath}}, 1},
		{"stranger", pkg{
			ImportPath: module + "/internal/device/rexec",
			Imports:    []string{ptyPath}, TestImports: []string{ptyPath},
		}, 2},
	} {
		if got := pty.offences(tt.pkg); len(got) != tt.want {
			t.Errorf("%s: %q, want %d offences", tt.name, got, tt.want)
		}
	}
	imports := []string{"fmt", module + "/internal/device/agent"}
	if got := wholePrograms(pkg{ImportPath: module + "/internal/device/rexec", Imports: imports}); len(got) != 1 {
		t.Errorf("rexec may import agent: %q", got)
	}
	for _, dir := range []string{"cmd/shvagent", "internal/test/world"} {
		if got := wholePrograms(pkg{ImportPath: module + "/" + dir, Imports: imports}); len(got) != 0 {
			t.Errorf("%s may not import agent: %q", dir, got)
		}
	}
}
