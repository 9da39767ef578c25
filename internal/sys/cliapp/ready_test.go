package cliapp

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadyFileReplacesAStaleOneWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ready")
	if err := os.WriteFile(path, []byte("stale and longer than what follows\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteReadyFile(path, []string{"tcp://127.0.0.1:1", "unix:/x"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := "tcp://127.0.0.1:1\nunix:/x\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	onlyEntry(t, dir, "ready")
}

func TestFailedReadyFileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	// A directory cannot be replaced by a file, so that the last step fails.
	if err := os.Mkdir(filepath.Join(dir, "ready"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteReadyFile(filepath.Join(dir, "ready"), nil); err == nil {
		t.Error("no error")
	}
	onlyEntry(t, dir, "ready")
}

// The user knows the file that he has named, and none beside it.
func TestFailedReadyFileIsNamedAsItWasGiven(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, reason := range map[string]string{
		filepath.Join(dir, "missing", "ready"): "no such file or directory",
		filepath.Join(dir, "taken"):            "file exists",
	} {
		err := WriteReadyFile(path, nil)
		if want := "ready file " + path + ": " + reason; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func onlyEntry(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("%v, %v; want only %s", entries, err, name)
	}
}
