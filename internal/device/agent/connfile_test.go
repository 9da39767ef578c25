package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Root writes the file, so a link of another user could make it write anywhere.
func TestStatusFileFollowsNoLinksOfOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(t *testing.T, dir, away string) (file string)
		want string // part of the error; "": it is written
	}{
		{"a plain path", func(_ *testing.T, dir, _ string) string { return dir + "/status" }, ""},
		{"directories that do not exist", func(_ *testing.T, dir, _ string) string { return dir + "/a//b/./status" }, ""},
		{"a link of our own", func(t *testing.T, dir, away string) string {
			link(t, away, dir+"/mid")
			return dir + "/mid/status"
		}, ""},
		{"relative links of our own", func(t *testing.T, dir, _ string) string {
			mkdir(t, dir+"/x", 0o755)
			link(t, "x/../y", dir+"/mid")
			link(t, "x", dir+"/y")
			return dir + "/mid/status"
		}, ""},
		{"a link where everybody may write", func(t *testing.T, dir, away string) string {
			mkdir(t, dir+"/tmp", 0o777)
			link(t, away, dir+"/tmp/mid")
			return dir + "/tmp/mid/status"
		}, "in which others can make links"},
		{"a link in a sticky directory", func(t *testing.T, dir, away string) string {
			mkdir(t, dir+"/tmp", 0o777|os.ModeSticky)
			link(t, away, dir+"/tmp/mid")
			return dir + "/tmp/mid/below/status"
		}, "in which others can make links"},
		{"a link where the group may write", func(t *testing.T, dir, away string) string {
			mkdir(t, dir+"/tmp", 0o775)
			link(t, away, dir+"/tmp/mid")
			return dir + "/tmp/mid/status"
		}, "in which others can make links"},
		{"a link in a directory of another user", func(t *testing.T, dir, away string) string {
			mkdir(t, dir+"/theirs", 0o755)
			link(t, away, dir+"/theirs/mid")
			if err := os.Chown(dir+"/theirs", 65534, 65534); err != nil {
				t.Skip("only root can give a directory away")
			}
			return dir + "/theirs/mid/status"
		}, "in which others can make links"},
		{"a link in place of the file", func(t *testing.T, dir, away string) string {
			mkdir(t, dir+"/tmp", 0o777)
			link(t, away+"/status", dir+"/tmp/status")
			return dir + "/tmp/status"
		}, ""},
		{"links without an end", func(t *testing.T, dir, _ string) string {
			link(t, "b", dir+"/a")
			link(t, "a", dir+"/b")
			return dir + "/a/status"
		}, "too many levels"},
		{"a file in place of a directory", func(t *testing.T, dir, _ string) string {
			if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return dir + "/file/status"
		}, "not a directory"},
	} {
		dir, away := t.TempDir(), t.TempDir()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		file := tt.make(t, dir, away)
		for range 2 {
			err := replaceFile(file, "1")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
		}
		text, _ := os.ReadFile(file)
		if info, err := os.Lstat(file); tt.want == "" && (string(text) != "1" || err != nil || info.Mode() != 0o644) {
			t.Errorf("%s: %q, %v", tt.name, text, err)
		}
		strange, _ := os.ReadDir(away)
		if len(strange) > 0 && tt.name != "a link of our own" {
			t.Errorf("%s: written elsewhere: %v", tt.name, strange)
		}
		if left, _ := filepath.Glob(filepath.Dir(file) + "/.conn*"); len(left) > 0 {
			t.Errorf("%s: left %q", tt.name, left)
		}
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}
