package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	agent "shvtools/internal/device/config"
	shell "shvtools/internal/shell/config"
	"shvtools/internal/sys/conf"
)

// Users copy samples. One with --- is a whole file, so it must have the mark at its end too, by which a
// cut is seen, and the program must take it. The broker's need certificates: e2e runs them.
func TestWholeSamplesInDocumentsLoad(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	references, err := filepath.Glob("../../../docs/reference/*.md")
	if err != nil {
		t.Fatal(err)
	}
	noFlag := func(string) ([]string, bool) { return nil, false }
	noEnv := func(string) (string, bool) { return "", false }
	loaded := 0
	for _, page := range append(append(pages, references...), "../../../README.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range strings.Split(string(data), "```yaml\n")[1:] {
			sample, _, _ := strings.Cut(rest, "```")
			has := func(key string) bool { return strings.Contains("\n"+sample, "\n"+key+":") }
			isShell, isAgent := has("hosts"), has("connection")
			if !conf.Marked([]byte(sample)) {
				if isShell || isAgent && has("rules") {
					t.Errorf("%s: a whole file without --- and ...:\n%s", page, sample)
				}
				continue
			}
			if err := conf.Cut([]byte(sample)); err != nil {
				t.Errorf("%s: %v:\n%s", page, err, sample)
			}
			switch {
			case isShell:
				_, err = shell.File{Path: "/etc/config.yaml", Named: true, Check: true}.Parse([]byte(sample))
			case isAgent:
				file := filepath.Join(t.TempDir(), "shvagent.yaml")
				if err := os.WriteFile(file, []byte(sample), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err = agent.Check(agent.Sources{File: file, Flag: noFlag, LookupEnv: noEnv})
			default:
				continue
			}
			if loaded++; err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if loaded < 4 {
		t.Errorf("%d samples were tried", loaded)
	}
}
