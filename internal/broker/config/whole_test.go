package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
)

// damage is a state of a file, nil for a missing one.
type damage struct {
	name string
	data []byte
}

// damages are all prefixes of a file, and what else a full disk or a lost file leaves.
func damages(whole []byte) (all []damage) {
	for end := range whole {
		all = append(all, damage{"cut after " + string(whole[:end][max(0, end-20):]), whole[:end]})
	}
	return append(all, damage{"missing", nil}, damage{"blank", []byte("\n\n")}, damage{"a comment alone", []byte("# x\n")},
		damage{"an empty map", []byte("{}\n")}, damage{"zero bytes", make([]byte, len(whole))})
}

// put leaves a file damaged, and returns what mends it.
func (d damage) put(t *testing.T, file string, whole []byte) (mend func()) {
	t.Helper()
	err := os.Remove(file)
	if err == nil && d.data != nil {
		err = os.WriteFile(file, d.data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const wholeFile = `---
access:
  users:
    boss: {password: !Plain hush-boss, roles: [su]}
    eva: {password: !Plain hush-eva, deactivated: true}
  roles:
    su: {access: [{shvRI: "**:*", grant: su}]}
...
`

// TestNoDamagedFileOfRightsIsTaken tries each file of rights in each damaged state, at a start, at a
// reload, and as --check-config reads it.
func TestNoDamagedFileOfRightsIsTaken(t *testing.T) {
	dir := t.TempDir()
	yaml, changes := filepath.Join(dir, "shvbroker.yaml"), filepath.Join(dir, "access.yaml")
	cpp := filepath.Join(dir, "cpp")
	files := map[string][]byte{yaml: []byte(wholeFile)}
	for _, name := range []string{"users.cpon", "roles.cpon", "access.cpon", "mounts.cpon"} {
		data, err := os.ReadFile(filepath.Join("testdata", "cpp", name))
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join(cpp, name)] = data
	}
	if err := os.Mkdir(cpp, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, data := range files {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ofYAML := config.Sources{File: yaml, AccessFile: changes}
	first := config.NewRights(ofYAML, load(t, ofYAML), accept, func(*auth.Directory) {})
	if _, err := first.Tables()[users].Set("new", valueOf(t, `{"password":{"Plain":"pw-of-new"}}`)); err != nil {
		t.Fatal(err)
	}
	var err error
	if files[changes], err = os.ReadFile(changes); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file    string
		sources config.Sources
		// harmless are states in which nothing of the file is lost, or that a start cannot tell from a
		// file that was written so.
		harmless, atStart func(d damage) bool
	}{
		{yaml, ofYAML, never, func(d damage) bool { // the end of the last line: a warning
			return string(d.data) == strings.TrimSuffix(wholeFile, "\n") || endsInMark(d.data)
		}},
		{changes, ofYAML, never, never},
		{filepath.Join(cpp, "users.cpon"), config.Sources{Dir: cpp}, closed, missing},
		{filepath.Join(cpp, "roles.cpon"), config.Sources{Dir: cpp}, closed, missing},
		{filepath.Join(cpp, "access.cpon"), config.Sources{Dir: cpp}, closed, missing},
		{filepath.Join(cpp, "mounts.cpon"), config.Sources{Dir: cpp}, closed, missing},
	} {
		t.Run(filepath.Base(tt.file), func(t *testing.T) {
			applied := 0
			rights := config.NewRights(tt.sources, load(t, tt.sources), accept, func(*auth.Directory) { applied++ })
			for _, d := range damages(files[tt.file]) {
				mend := d.put(t, tt.file, files[tt.file])
				if tt.harmless(d) {
					mend()
					continue
				}
				if _, err := rights.Reload(accept); err == nil || applied > 0 {
					t.Fatalf("%s: reloaded", d.name)
				} else if !strings.Contains(err.Error(), tt.file) {
					t.Errorf("%s: the reload says %v", d.name, err)
				}
				checked := tt.sources
				checked.Reload = true
				if _, err := config.Load(checked); err == nil && !missing(d) {
					t.Errorf("%s: the check finds nothing", d.name)
				}
				if c, err := config.Load(tt.sources); err == nil && !tt.atStart(d) {
					t.Errorf("%s: a start takes it", d.name)
				} else if err == nil && c.Development {
					t.Errorf("%s: the development user is let in", d.name)
				} else if err == nil && !missing(d) && len(c.Warnings) == 0 {
					t.Errorf("%s: a start does not warn", d.name)
				}
				mend()
			}
			if _, err := rights.Reload(accept); err != nil || applied != 1 {
				t.Errorf("the whole file: %v", err)
			}
		})
	}
}

func accept(*config.Config) error { return nil }

func never(damage) bool { return false }

func missing(d damage) bool { return d.data == nil }

// closed is a CPON file of which only what stands behind the last brace is lost, or which grants
// nothing, as a broker writes it that has no such entries.
func closed(d damage) bool {
	text := strings.TrimSpace(string(d.data))
	return strings.HasSuffix(text, "}") && strings.Count(text, "{") == strings.Count(text, "}")
}

// endsInMark is a file with the first mark that is cut where it is YAML still.
func endsInMark(data []byte) bool {
	return strings.HasPrefix(string(data), "---\n")
}
