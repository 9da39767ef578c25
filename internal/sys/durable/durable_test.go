package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"shvtools/internal/sys/durable"
)

// What a crash left must neither stop the next write nor become a part of it, nor lend it
// its mode.
func TestReplaceOverwritesWhatACrashLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path+".new", []byte("half of a longer file"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o600, 0o644} {
		if err := durable.Replace(path, []byte("whole"), mode); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(data) != "whole" || info.Mode() != mode {
			t.Errorf("%q, %v, %v, %v", data, info, err, statErr)
		}
		if _, err := os.Lstat(path + ".new"); !os.IsNotExist(err) {
			t.Errorf("left behind: %v", err)
		}
	}
}

func TestReplaceThatFailsLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.MkdirAll(filepath.Join(path+".new", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(path, []byte("new"), 0o600); err == nil {
		t.Error("no error")
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("%q", data)
	}
}
