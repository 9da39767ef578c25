package runcmd_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shvtools/internal/device/runcmd"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/nstest"
)

// shelf is a directory of scripts, with a clock that goes on with each use.
type shelf struct {
	*runcmd.Scripts
	dir string
	now time.Time
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{dir: filepath.Join(t.TempDir(), "state", "scripts"), now: time.Unix(1_000_000, 0)}
	s.Scripts = runcmd.NewScripts(s.dir, func() time.Time { s.now = s.now.Add(time.Second); return s.now })
	return s
}

func (s *shelf) run(t testing.TB, text string) string {
	t.Helper()
	c, err := runcmd.ParseCall(param(t, text))
	if err != nil {
		return outcome(chainpack.Null(), err)
	}
	return outcome(host.RunScript(t.Context(), s.Scripts, c))
}

func TestShapesOfRunScript(t *testing.T) {
	s := newShelf(t)
	sum := runcmd.ScriptName("echo hi; exit 4")
	for _, test := range [][2]string{
		{`"` + sum + `"`, "32 SHA1_NOT_EXISTS - Script with SHA1 privided doesn't exist, sha1: " + sum},
		{`"echo hi; exit 4"`, `"hi\n"`},
		{`"` + sum + `"`, `"hi\n"`},
		{`"` + strings.ToUpper(sum) + `"`, `"hi\n"`},
		{`["` + sum + `",1,2]`, `[4,"hi\n",""]`},
		{`["echo $1; exit 4",["argA"],1]`, `[4,"argA\n"]`},
		{`[1,["a b","c"],"echo $#$2; echo err >&2",2]`, `["2c\n",0,"err\n"]`},
		{`["echo $A",1,{"A":"b"}]`, `[0,"b\n"]`},
		{`"[[ a == a ]] && echo bash"`, `"bash\n"`},
		{`"kill -9 $$"`, crashed},
		{`["0123456789012345678901234567890123456789",1]`,
			"32 SHA1_NOT_EXISTS - Script with SHA1 privided doesn't exist, sha1: 0123456789012345678901234567890123456789"},
		{`"` + strings.Repeat("#", 1<<20+1) + `"`, "3 the script is too long: 1048577 bytes (at most 1048576)"},
		{`null`, notStarted},
	} {
		if got := s.run(t, test[0]); got != test[1] {
			t.Errorf("%.80s: got %s, want %s", test[0], got, test[1])
		}
	}
}

func TestScriptsRunInShWithoutBash(t *testing.T) {
	bin, s := t.TempDir(), newShelf(t)
	if err := os.Symlink("/bin/sh", filepath.Join(bin, "sh")); err != nil {
		t.Fatal(err)
	}
	h := runcmd.Host{Search: bin, Output: 1000}
	c, _ := runcmd.ParseCall(chainpack.String("echo hi"))
	if got := outcome(h.RunScript(t.Context(), s.Scripts, c)); got != `"hi\n"` {
		t.Errorf("got %s", got)
	}
	h.Search = t.TempDir()
	if got := outcome(h.RunScript(t.Context(), s.Scripts, c)); got != notStarted {
		t.Errorf("without any shell: %s", got)
	}
}

func TestDirectoryOfScriptsIsOursAlone(t *testing.T) {
	s := newShelf(t)
	if got := s.run(t, `"echo hi"`); got != `"hi\n"` {
		t.Fatal(got)
	}
	mode := func(name string) os.FileMode {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if got := mode("."); got != 0o700 {
		t.Errorf("directory: %o", got)
	}
	if got := mode(runcmd.ScriptName("echo hi")); got != 0o600 {
		t.Errorf("script: %o", got)
	}
	if err := os.Chmod(s.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s.run(t, `"echo hi"`)
	if got := mode("."); got != 0o700 {
		t.Errorf("directory that was open: %o", got)
	}
}

func TestDirectoryOfScriptsThatIsNoneOfOurs(t *testing.T) {
	link := newShelf(t)
	if err := os.MkdirAll(filepath.Dir(link.dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), link.dir); err != nil {
		t.Fatal(err)
	}
	if got := link.run(t, `"echo hi"`); got != "8 scripts cannot be kept on this device: "+link.dir+" is not a directory" {
		t.Errorf("a link: %s", got)
	}
	none := runcmd.NewScripts("", time.Now)
	c, _ := runcmd.ParseCall(chainpack.String("echo hi"))
	if got := outcome(host.RunScript(t.Context(), none, c)); !strings.HasPrefix(got, "8 scripts cannot be kept") {
		t.Errorf("no directory: %s", got)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to somebody else")
	}
	other := newShelf(t)
	if err := os.MkdirAll(other.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(other.dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if got := other.run(t, `"echo hi"`); !strings.HasSuffix(got, "belongs to another user") {
		t.Errorf("another user's: %s", got)
	}
}

// What a power cut, or somebody, has made of a script must not run.
func TestSpoiltScriptIsNotRun(t *testing.T) {
	s := newShelf(t)
	s.run(t, `"echo hi"`)
	sum := runcmd.ScriptName("echo hi")
	file := filepath.Join(s.dir, sum)
	for name, spoil := range map[string]func() error{
		"cut short": func() error { return os.WriteFile(file, nil, 0o600) },
		"changed":   func() error { return os.WriteFile(file, []byte("echo ha"), 0o600) },
		"a link": func() error {
			other := filepath.Join(t.TempDir(), "other")
			return errorsOf(os.WriteFile(other, []byte("echo hi"), 0o600), os.Remove(file), os.Symlink(other, file))
		},
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if got := s.run(t, `"`+sum+`"`); !strings.HasPrefix(got, "32 ") {
			t.Errorf("%s: %s", name, got)
		}
		if got := s.run(t, `"echo hi"`); got != `"hi\n"` {
			t.Errorf("%s, sent anew: %s", name, got)
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestScriptsThatWereNotUsedLongestMakeRoom(t *testing.T) {
	s := newShelf(t)
	text := func(i int) string { return fmt.Sprintf(`"echo %d"`, i) }
	sum := func(i int) string { return `"` + runcmd.ScriptName(fmt.Sprintf("echo %d", i)) + `"` }
	const limit = 256
	for i := range limit {
		// Written as they would be: to run them all takes long.
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		body := fmt.Appendf(nil, "echo %d", i)
		file := filepath.Join(s.dir, runcmd.ScriptName(string(body)))
		at := time.Unix(int64(i), 0)
		if err := errorsOf(os.WriteFile(file, body, 0o600), os.Chtimes(file, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, sum(0)) // is used: now the newest
	s.run(t, text(limit))
	if got := s.run(t, sum(1)); !strings.HasPrefix(got, "32 ") {
		t.Errorf("the oldest: %s", got)
	}
	for _, i := range []int{0, 2, limit} {
		if got := s.run(t, sum(i)); got != fmt.Sprintf(`"%d\n"`, i) {
			t.Errorf("script %d: %s", i, got)
		}
	}
	if entries, _ := os.ReadDir(s.dir); len(entries) != limit {
		t.Errorf("%d scripts are kept", len(entries))
	}
}

func TestLargeScriptsMakeRoomToo(t *testing.T) {
	s := newShelf(t)
	for i := range 20 {
		c, _ := runcmd.ParseCall(chainpack.String(fmt.Sprintf("exit %d # %s", i, strings.Repeat("x", 1<<20-20))))
		if _, err := host.RunScript(context.Background(), s.Scripts, c); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 16 {
		t.Errorf("%d of 20 scripts of a megabyte are kept, want 16: %v", len(entries), err)
	}
}

func TestFullDiskRefusesAScriptAndKeepsTheOthers(t *testing.T) {
	s := newShelf(t)
	disk := filepath.Dir(s.dir)
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	nstest.Disk(t, disk, "64k")
	s.run(t, `"echo hi"`)
	got := s.run(t, `"exit 0 # `+strings.Repeat("x", 100<<10)+`"`)
	if want := "8 the script cannot be kept on this device: no space left on device"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := s.run(t, `"`+runcmd.ScriptName("echo hi")+`"`); got != `"hi\n"` {
		t.Errorf("the one before: %s", got)
	}
	if entries, _ := os.ReadDir(s.dir); len(entries) != 1 {
		t.Errorf("%d files are there", len(entries))
	}
}
