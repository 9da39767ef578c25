package main

import (
	"os"
	"path/filepath"
	"testing"

	"shvtools/internal/shell/config"
)

func TestUnlistedIsANameThatNoHostHas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "defaults: {user: eva}\nhosts:\n  pump7: {path: test/pump7}\n  lab-*: {user: lab}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.File{Path: file, Named: true}.Load()
	if err != nil {
		t.Fatal(err)
	}
	for alias, want := range map[string]string{
		"pump7": "", "pmup7": "pmup7", "lab-1": "", "test/pump8": "", "test%2Fpump8": "",
	} {
		host := c.Lookup(alias)
		if got := unlisted(alias, &host); got != want {
			t.Errorf("%s: %q, want %q", alias, got, want)
		}
	}
}
