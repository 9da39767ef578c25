package fsnode_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/fsnode"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/nstest"
)

// smallDisk is an export on a file system with room for a few pages.
func smallDisk(t *testing.T) *export {
	e := newExport(t)
	nstest.Disk(t, e.dir, "64k")
	e.write("a.txt", "old")
	return e
}

func TestFullDiskKeepsTheOldFile(t *testing.T) {
	e := smallDisk(t)
	large := chainpack.String(strings.Repeat("x", 100<<10))
	got := outcome(e.value("a.txt", "write", large))
	if got != "8 sys/fs/a.txt: no space left on device" {
		t.Errorf("write: %s", got)
	}
	if got := outcome(e.value("", "mkfile",
		chainpack.List(chainpack.String("n"), large))); got != "8 sys/fs: no space left on device" {
		t.Errorf("mkfile: %s", got)
	}
	e.check([][4]string{
		{"", "ls", `null`, `["a.txt"]`}, // nothing half there, no room lost
		{"a.txt", "read", `[0,9]`, `b"old"`},
	})
}

func TestFullDiskTellsHowMuchWasWritten(t *testing.T) {
	e := smallDisk(t)
	large := chainpack.String(strings.Repeat("x", 100<<10))
	for name, call := range map[string]func() (chainpack.Value, error){
		"append": func() (chainpack.Value, error) { return e.value("n1", "append", large) },
		"write": func() (chainpack.Value, error) {
			return e.value("n2", "write", chainpack.List(chainpack.Int(0), large))
		},
	} {
		got := outcome(call())
		before, after, ok := strings.Cut(got, " after ")
		var n int
		_, err := fmt.Sscanf(after, "%d bytes", &n)
		file := strings.TrimPrefix(before, "8 sys/fs/")[:2]
		if info, _ := os.Stat(e.path(file)); !ok || err != nil || !strings.HasSuffix(before, "no space left on device") ||
			info.Size() != int64(n) {
			t.Errorf("%s: %s, %v", name, got, info)
		}
		must(t, os.Remove(e.path(file)))
	}
}

// changing serves a read during which change is called once, when a part is read.
func (e *export) changing(change func(), method, param string) string {
	v, _ := cpon.Parse([]byte(param), chainpack.Limits{})
	r := &node.Request{Path: "sys/fs/large", Method: method, Param: v, Access: rpc.AccessSuper}
	var once sync.Once
	return outcome(fsnode.New(e.opts).Serve(e.ctx, func(float64) { once.Do(change) }, new(node.Tree), r, "large"))
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	const changed = "8 sys/fs/large: the file changed while it was read"
	e := newExport(t)
	shrink := func() { must(t, os.Truncate(e.path("large"), 100)) }
	grow := func() { must(t, os.Truncate(e.path("large"), 3<<20)) }
	touch := func() { must(t, os.Chtimes(e.path("large"), time.Time{}, time.Unix(1, 0))) }
	replace := func() { must(t, os.Remove(e.path("large")), os.WriteFile(e.path("large"), []byte("new"), 0o644)) }
	for _, test := range []struct {
		name   string
		change func()
		param  string
		want   string // "": no error
	}{
		{"shrinks", shrink, `null`, changed},
		{"shrinks, part", shrink, `[0,1000000]`, changed},
		{"grows", grow, `null`, changed},
		{"grows, part", grow, `[0,1000000]`, ""},
		{"is written to", touch, `null`, changed},
		{"is replaced", replace, `null`, ""}, // the old one is still whole
	} {
		for _, method := range []string{"crc", "sha1", "read", "hash", "readCompressed"} {
			if method == "readCompressed" || method == "hash" {
				if test.param != `null` {
					continue
				}
			}
			must(t, os.WriteFile(e.path("large"), make([]byte, 2<<20), 0o644))
			got := e.changing(test.change, method, test.param)
			if failed := strings.HasPrefix(got, "8 "); failed != (test.want != "") || failed && got != test.want {
				t.Errorf("%s, %s: got %.100s", test.name, method, got)
			}
		}
	}
}

func TestAbortedReadEnds(t *testing.T) {
	e := newExport(t)
	must(t, os.WriteFile(e.path("large"), nil, 0o644), os.Truncate(e.path("large"), 1<<40))
	ctx, cancel := context.WithCancelCause(t.Context())
	e.ctx = ctx
	if got := e.changing(func() { cancel(errors.New("enough")) }, "hash", "null"); got != "8 enough" {
		t.Errorf("got %s", got)
	}
}

// A link that turns between a look and an open must not lead out, and a file that
// becomes a fifo must not block.
func TestRaces(t *testing.T) {
	e := newExport(t)
	must(t, os.Mkdir(e.path("turns"), 0o755), os.WriteFile(e.path("turns/secret"), []byte("inside"), 0o644),
		os.Mkdir(e.path("safe"), 0o755))
	stop := make(chan struct{})
	var turning sync.WaitGroup
	turning.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(e.path("turns"), e.path("safe/turns"))
			_ = os.Symlink("../out", e.path("turns"))
			_ = os.Remove(e.path("turns"))
			_ = os.Rename(e.path("safe/turns"), e.path("turns"))
			_ = os.Remove(e.path("fifo"))
			if i%2 == 0 {
				_ = unix.Mkfifo(e.path("fifo"), 0o666)
			} else {
				_ = os.WriteFile(e.path("fifo"), []byte("x"), 0o666)
			}
		}
	})
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		if got := e.call("turns/secret", "read", "[0,9]"); strings.Contains(got, `"secret"`) {
			t.Fatalf("read %s", got)
		}
		e.call("turns/new", "write", `"x"`)
		e.call("turns/secret", "write", `[0,"inside"]`)
		e.call("turns", "lsfiles", `null`)
		e.call("fifo", "read", `null`)
		e.call("fifo", "append", `"x"`)
	}
	close(stop)
	turning.Wait()
	if names, _ := filepath.Glob(e.outside + "/*"); len(names) != 1 {
		t.Errorf("outside: %q", names)
	}
	if b, _ := os.ReadFile(filepath.Join(e.outside, "secret")); string(b) != "secret" {
		t.Errorf("outside: %q", b)
	}
}

// A reader of a file that is being replaced gets the old content or the new one.
func TestReplacementIsAtomic(t *testing.T) {
	e := newExport(t)
	contents := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 50_000)}
	e.write("a.txt", contents[0])
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range 100 {
			if _, err := e.value("a.txt", "write", chainpack.String(contents[i%2])); err != nil {
				t.Error(err)
			}
		}
	})
	defer writing.Wait()
	for range 300 {
		got := e.content("a.txt")
		if got != contents[0] && got != contents[1] {
			t.Fatalf("%d bytes that nobody wrote", len(got))
		}
	}
}

func FuzzPathsStayInside(f *testing.F) {
	for _, seed := range []string{"a.txt", "../out/secret", "sub/../../out/secret", "'../out'", "up", "absdir/secret",
		"a.txt\x00/..", "..\xff", strings.Repeat("../", 300)} {
		f.Add(seed, "secret")
	}
	const secret = "\x00 what no input holds \x01\x02"
	top := f.TempDir()
	in, out := filepath.Join(top, "in"), filepath.Join(top, "out")
	for _, err := range []error{
		os.Mkdir(in, 0o755), os.Mkdir(out, 0o755), os.WriteFile(filepath.Join(out, "secret"), []byte(secret), 0o644),
		os.Symlink("../out", filepath.Join(in, "up")), os.Symlink(out, filepath.Join(in, "absdir")),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	fs := fsnode.New(fsnode.Options{Dir: in})
	f.Fuzz(func(t *testing.T, rest, name string) {
		for _, method := range []string{"read", "write", "mkfile", "mkdir", "truncate"} {
			param := chainpack.String(name)
			if method == "read" {
				param = chainpack.Null()
			}
			r := &node.Request{Path: rest, Method: method, Param: param, Access: rpc.AccessSuper}
			v, _ := fs.Serve(t.Context(), func(float64) {}, new(node.Tree), r, rest)
			if b, ok := v.AsBlob(); ok && string(b) == secret {
				t.Fatalf("%q reads the secret", rest)
			}
		}
		if names, _ := filepath.Glob(out + "/*"); len(names) != 1 {
			t.Fatalf("outside: %q", names)
		}
		if names, _ := filepath.Glob(top + "/*"); len(names) != 2 {
			t.Fatalf("outside: %q", names)
		}
	})
}
