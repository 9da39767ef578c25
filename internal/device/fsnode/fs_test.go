package fsnode_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/fsnode"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// export is an exported directory beside one that is not.
type export struct {
	t            *testing.T
	dir, outside string
	opts         fsnode.Options
	within       *within
	level        rpc.Access
	ctx          context.Context
}

// within are the limits of a caller.
type within struct {
	umask   int
	maxFile int64
}

func newExport(t *testing.T) *export {
	top := t.TempDir()
	e := &export{t: t, dir: filepath.Join(top, "in"), outside: filepath.Join(top, "out"), level: rpc.AccessSuper,
		ctx: t.Context()}
	e.opts.Dir = e.dir
	for _, dir := range []string{e.dir, e.outside, filepath.Join(e.dir, "sub")} {
		must(t, os.Mkdir(dir, 0o755))
	}
	e.write("a.txt", "hello world\n")
	e.write("sub/b", "b")
	must(t, os.WriteFile(filepath.Join(e.outside, "secret"), []byte("secret"), 0o644))
	return e
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func (e *export) path(name string) string { return filepath.Join(e.dir, name) }

func (e *export) write(name, content string) {
	e.t.Helper()
	must(e.t, os.WriteFile(e.path(name), []byte(content), 0o644))
}

// content is that of a file, "-" where there is none.
func (e *export) content(name string) string {
	b, err := os.ReadFile(e.path(name))
	if err != nil {
		return "-"
	}
	return string(b)
}

// value calls a method.
func (e *export) value(rest, method string, param chainpack.Value) (chainpack.Value, error) {
	r := &node.Request{Path: strings.TrimSuffix("sys/fs/"+rest, "/"), Method: method, Param: param, Access: e.level}
	fs := fsnode.New(e.opts)
	if e.within != nil {
		fs = fs.Within(e.within.umask, e.within.maxFile)
	}
	return fs.Serve(e.ctx, func(float64) {}, new(node.Tree), r, rest)
}

// call gives the result in CPON, or the code and the text of the error.
func (e *export) call(rest, method, param string) string {
	e.t.Helper()
	v, err := cpon.Parse([]byte(param), chainpack.Limits{})
	if err != nil {
		e.t.Fatalf("%s: %v", param, err)
	}
	return outcome(e.value(rest, method, v))
}

func outcome(v chainpack.Value, err error) string {
	if err != nil {
		failed := rpc.AsError(err)
		return fmt.Sprintf("%d %s", failed.Code, failed.Message)
	}
	return cpon.String(v)
}

// check compares calls, in their order: node, method, param, want.
func (e *export) check(calls [][4]string) {
	e.t.Helper()
	for _, c := range calls {
		if got := e.call(c[0], c[1], c[2]); got != c[3] {
			e.t.Errorf("%s:%s(%s)\n got %s\nwant %s", c[0], c[1], c[2], got, c[3])
		}
	}
}

func notFound(method, rest string) string {
	return "2 " + rpc.NotFound(method, strings.TrimSuffix("sys/fs/"+rest, "/")).Message
}

func TestReadingMethods(t *testing.T) {
	e := newExport(t)
	e.check([][4]string{
		{"", "ls", `null`, `["a.txt","sub"]`},
		{"", "ls", `"sub"`, `true`},
		{"", "ls", `"nosuch"`, `false`},
		{"", "ls", `".."`, `false`},
		{"", "ls", `"sub/b"`, `false`},
		{"", "ls", `["",1]`, `[["a.txt",false],["sub",true]]`},
		{"sub", "ls", `null`, `["b"]`},
		{"a.txt", "ls", `null`, `[]`},
		{"", "lsfiles", `null`, `[["a.txt","f"],["sub","d"]]`},
		{"", "lsfiles", `{"size":true,"dirs":false}`, `[["a.txt","f",12]]`},
		{"", "lsfiles", `{"files":false}`, `[["sub","d"]]`},
		{"", "lsfiles", `5`, `3 the parameter must be a Map of size, ctime, dirs and files, each true or false`},
		{"a.txt", "size", `null`, `12`},
		{"a.txt", "crc", `null`, `2936552237u`},
		{"a.txt", "crc", `[0,null]`, `2936552237u`},
		{"a.txt", "crc", `[0,5]`, `907060870u`},
		{"a.txt", "crc", `[100,5]`, `0u`},
		{"a.txt", "hash", `null`, `"22596363b3de40b06f981fb85d82312e8c0ed511"`},
		{"a.txt", "sha1", `null`, `b"\"Ycc\b3\de@\b0o\98\1f\b8]\821.\8c\0e\d5\11"`},
		{"a.txt", "sha1", `[6,5]`, `b"|!\143\f0 qYwA\e6\ffZ\8e\a3G\89\ab\bfC"`},
		{"a.txt", "read", `[0,5]`, `b"hello"`},
		{"a.txt", "read", `[6,100]`, `b"world\n"`},
		{"a.txt", "read", `[6,null]`, `b"world\n"`},
		{"a.txt", "read", `[12,10]`, `b""`},
		{"a.txt", "read", `[1000,9223372036854775807]`, `b""`},
		{"a.txt", "read", `[9223372036854775807,1]`, `b""`},
		{"a.txt", "read", `null`, `<"fileName":"a.txt","offset":0,"size":12>b"hello world\n"`},
		{"a.txt", "read", `{"offset":6,"size":3}`, `<"fileName":"a.txt","offset":6,"size":3>b"wor"`},
		{"a.txt", "read", `{}`, `<"fileName":"a.txt","offset":0,"size":12>b"hello world\n"`},
		{"a.txt", "read", `[-1,5]`, `3 the parameter must be [offset, size], {"offset":…, "size":…} or nothing`},
		{"a.txt", "read", `[1,2,3]`, `3 the parameter must be [offset, size], {"offset":…, "size":…} or nothing`},
		{"a.txt", "read", `["a",2]`, `3 the parameter must be [offset, size], {"offset":…, "size":…} or nothing`},
		{"a.txt", "readCompressed", `{"compressionType":"rar"}`, `3 the parameter must be compressionType gzip or qcompress`},
		{"nosuch", "read", `null`, notFound("read", "nosuch")},
		{"nosuch", "ls", `null`, notFound("ls", "nosuch")},
		{"a.txt/x", "ls", `null`, notFound("ls", "a.txt/x")},
		{"a.txt/x", "write", `"x"`, notFound("write", "a.txt/x")},
		{"sub", "read", `null`, notFound("read", "sub")},
		{"a.txt", "lsfiles", `null`, notFound("lsfiles", "a.txt")},
	})
	e.level = rpc.AccessBrowse
	e.check([][4]string{
		{"a.txt", "size", `null`, `12`},
		{"a.txt", "read", `null`, `8 Call method: 'read' on path 'sys/fs/a.txt' permission denied, grant: bws required: rd`},
		{"new", "write", `"x"`, notFound("write", "new")}, // tells no more than it must
	})
}

func TestStat(t *testing.T) {
	e := newExport(t)
	v, err := e.value("a.txt", "stat", chainpack.Null())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[int64]string{0: "0", 1: "12", 2: "65536", 5: "1048576", 6: "4194304"} {
		if got, _ := v.GetInt(key); cpon.String(got) != want {
			t.Errorf("key %d: %s, want %s", key, cpon.String(got), want)
		}
	}
	info, _ := os.Stat(e.path("a.txt"))
	modified, _ := v.GetInt(4)
	if at, ok := modified.AsTime(); !ok || at.UnixMilli() != info.ModTime().UnixMilli() {
		t.Errorf("modified %v, want %v", at, info.ModTime())
	}
}

func TestCompressedContent(t *testing.T) {
	e := newExport(t)
	text := strings.Repeat("hello ", 10000)
	e.write("long", text)
	open := map[string]func(io.Reader) (io.ReadCloser, error){
		`"gzip"`: func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
		`"qcompress"`: func(r io.Reader) (io.ReadCloser, error) {
			_, _ = io.ReadFull(r, make([]byte, 4))
			return zlib.NewReader(r)
		},
	}
	for kind, open := range open {
		param, _ := cpon.Parse([]byte(`{"compressionType":`+kind+`,"offset":6}`), chainpack.Limits{})
		v, err := e.value("long", "readCompressed", param)
		if err != nil {
			t.Fatal(err)
		}
		packed, _ := v.AsBlob()
		r, err := open(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != text[6:] {
			t.Errorf("%s: %d bytes, %v", kind, len(got), err)
		}
		if got := e.call("long", "sizeCompressed", cpon.String(param)); got != fmt.Sprintf("%du", len(packed)) {
			t.Errorf("%s: sizeCompressed %s, it is %d", kind, got, len(packed))
		}
	}
}

func TestWritingMethods(t *testing.T) {
	e := newExport(t)
	e.check([][4]string{
		{"a.txt", "write", `[6,"W"]`, `null`},
		{"a.txt", "read", `[0,12]`, `b"hello World\n"`},
		{"a.txt", "write", `[14,b"x"]`, `null`},
		{"a.txt", "read", `[0,20]`, `b"hello World\n\00\00x"`},
		{"a.txt", "truncate", `5`, `null`},
		{"a.txt", "append", `b"!"`, `null`},
		{"a.txt", "read", `[0,20]`, `b"hello!"`},
		{"a.txt", "write", `"whole"`, `true`},
		{"a.txt", "write", `[" end",{"append":true}]`, `true`},
		{"a.txt", "read", `[0,20]`, `b"whole end"`},
		{"a.txt", "write", `[b"again"]`, `true`},
		{"a.txt", "read", `[0,20]`, `b"again"`},
		{"a.txt", "write", `["once",{"append":false}]`, `true`},
		{"a.txt", "read", `[0,20]`, `b"once"`},
		{"a.txt", "write", `null`, `3 the parameter must be [offset, data], or the content of the file`},
		{"a.txt", "write", `[-1,"x"]`, `3 the parameter must be [offset, data], or the content of the file`},
		{"a.txt", "write", `[9223372036854775807,"x"]`, `3 the parameter must be an offset that files can have`},
		{"a.txt", "write", `[1,"x",2]`, `3 the parameter must be [offset, data], or the content of the file`},
		{"a.txt", "truncate", `-1`, `3 the parameter must be a size`},
		{"a.txt", "append", `5`, `3 the parameter must be a Blob`},
		// New files, as uploads make them.
		{"new", "dir", `"write"`, `true`},
		{"new", "dir", `"read"`, `false`},
		{"new", "truncate", `0`, `null`},
		{"new", "write", `[0,"x"]`, `null`},
		{"new", "read", `[0,9]`, `b"x"`},
		{"new2", "append", `"x"`, `null`},
		{"new3", "write", `"x"`, `true`},
		{"sub/new4", "write", `[0,"x"]`, `null`},
		{"nodir/new", "dir", `"write"`, notFound("dir", "nodir/new")},
		{"nodir/new", "write", `"x"`, notFound("write", "nodir/new")},
		{"", "ls", `null`, `["a.txt","new","new2","new3","sub"]`},
		// Directories.
		{"", "mkfile", `"e"`, `true`},
		{"", "mkfile", `"e"`, `8 sys/fs: 'e' already exists`},
		{"", "mkfile", `["f","content"]`, `true`},
		{"f", "read", `[0,20]`, `b"content"`},
		{"", "mkfile", `["g",5]`, `3 the parameter must be a name, or a List of a name and the content`},
		{"", "mkfile", `"../g"`, `3 the parameter must be a name without a slash`},
		{"", "mkdir", `"d"`, `true`},
		{"", "mkdir", `"d"`, `8 sys/fs: 'd' already exists`},
		{"", "mkdir", `".."`, `3 the parameter must be a name without a slash`},
		{"", "mkdir", `"d/e"`, `3 the parameter must be a name without a slash`},
		{"d", "mkfile", `"x"`, `true`},
		{"d", "rmdir", `false`, `8 sys/fs/d: directory not empty`},
		{"d", "rmdir", `null`, `8 sys/fs/d: directory not empty`},
		{"d", "rmdir", `true`, `true`},
		{"d", "ls", `null`, notFound("ls", "d")},
		{"", "rmdir", `true`, `8 the exported directory itself cannot be removed`},
		{"sub", "rmdir", `"x"`, `3 the parameter must be true or false`},
		{"new", "delete", `null`, `true`},
		{"new", "delete", `null`, notFound("delete", "new")},
		{"sub", "delete", `null`, notFound("delete", "sub")},
	})
	if left, _ := filepath.Glob(e.path(".shvagent*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestReadOnlyExportChangesNothing(t *testing.T) {
	e := newExport(t)
	e.opts.ReadOnly = true
	for _, c := range [][3]string{
		{"a.txt", "write", `"x"`}, {"a.txt", "write", `[0,"x"]`}, {"a.txt", "append", `"x"`}, {"a.txt", "truncate", `0`},
		{"a.txt", "delete", `null`},
		{"", "mkfile", `"n"`}, {"", "mkdir", `"n"`}, {"sub", "rmdir", `true`}, {"new", "write", `"x"`},
		{"new", "dir", `"write"`},
	} {
		if got, want := e.call(c[0], c[1], c[2]), notFound(c[1], c[0]); got != want {
			t.Errorf("%s:%s: got %s, want %s", c[0], c[1], got, want)
		}
	}
	if got := e.call("a.txt", "dir", `"write"`); got != "false" {
		t.Errorf("write is there: %s", got)
	}
	if e.content("a.txt") != "hello world\n" || e.content("sub/b") != "b" {
		t.Error("changed")
	}
}

func TestLargestFile(t *testing.T) {
	e := newExport(t)
	e.opts.MaxFile = 20
	e.check([][4]string{
		{"a.txt", "write", `[15,"12345"]`, `null`},
		{"a.txt", "write", `[16,"12345"]`, `3 the file would have 21 bytes (at most 20 on this device)`},
		{"a.txt", "append", `"x"`, `3 the file would have 21 bytes (at most 20 on this device)`},
		{"a.txt", "write", `"123456789012345678901"`, `3 the file would have 21 bytes (at most 20 on this device)`},
		{"a.txt", "truncate", `1000000000000`, `3 the file would have 1000000000000 bytes (at most 20 on this device)`},
		{"a.txt", "size", `null`, `20`},
		{"", "mkfile", `["n","123456789012345678901"]`, `3 the file would have 21 bytes (at most 20 on this device)`},
		{"", "ls", `null`, `["a.txt","sub"]`},
	})
}

func TestContentThatFitsNoAnswer(t *testing.T) {
	e := newExport(t)
	must(t, os.Truncate(e.path("a.txt"), 5<<20))
	const tooMuch = `3 sys/fs/a.txt: too large for one answer (at most 4194304 bytes); read it in parts by offset and size`
	e.check([][4]string{
		{"a.txt", "read", `null`, tooMuch},
		{"a.txt", "read", `[0,5000000]`, tooMuch},
		{"a.txt", "read", `[5242870,5000000]`, `b"\00\00\00\00\00\00\00\00\00\00"`},
	})
	if v, err := e.value("a.txt", "readCompressed", chainpack.Null()); err != nil || v.Len() > 10000 {
		t.Errorf("zeros, compressed: %v", err)
	}
}

func TestNothingLeadsOut(t *testing.T) {
	e := newExport(t)
	must(t,
		os.Symlink("../out/secret", e.path("up")),
		os.Symlink(filepath.Join(e.outside, "secret"), e.path("abs")),
		os.Symlink(e.outside, e.path("absdir")),
		os.Symlink("../out", e.path("updir")),
		os.Symlink("..", e.path("parent")),
		os.Symlink("loop", e.path("loop")),
		os.Symlink("../out/new", e.path("upnew")),
		os.Symlink("sub/b", e.path("fine")),
		os.Symlink("sub", e.path("finedir")),
	)
	e.check([][4]string{
		{"", "ls", `null`, `["a.txt","fine","finedir","sub"]`},
		{"fine", "read", `[0,9]`, `b"b"`},
		{"finedir/b", "read", `[0,9]`, `b"b"`},
		{"fine", "write", `"new"`, `true`}, // through the link
		{"sub/b", "read", `[0,9]`, `b"new"`},
		{"fine", "delete", `null`, `true`}, // of the link
		{"sub/b", "read", `[0,9]`, `b"new"`},
		{"", "ls", `"up"`, `false`},
	})
	for _, rest := range []string{
		"up", "abs", "absdir/secret", "updir/secret", "updir/new", "absdir/new", "parent/out/secret", "parent/in/a.txt",
		"loop", "upnew",
		"..", "../out/secret", "sub/../../out/secret", "./a.txt", "sub/..", ".", "../in/a.txt", "a.txt\x00", "sub/\xff",
		strings.Repeat("x", 256),
		"'a.txt/..'", "'..'/out/secret",
	} {
		for _, c := range [][2]string{
			{"read", `null`}, {"write", `"x"`}, {"write", `[0,"x"]`}, {"append", `"x"`}, {"truncate", `0`}, {"delete", `null`},
			{"ls", `null`},
			{"lsfiles", `null`}, {"mkfile", `"n"`}, {"mkdir", `"n"`}, {"rmdir", `true`}, {"stat", `null`}, {"size", `null`},
			{"hash", `null`},
		} {
			v, _ := cpon.Parse([]byte(c[1]), chainpack.Limits{})
			if v, err := e.value(rest, c[0], v); err == nil {
				t.Errorf("%q:%s(%s) gives %s", rest, c[0], c[1], cpon.String(v))
			}
		}
	}
	if b, err := os.ReadFile(filepath.Join(e.outside, "secret")); string(b) != "secret" {
		t.Errorf("outside: %q, %v", b, err)
	}
	if names, _ := filepath.Glob(e.outside + "/*"); len(names) != 1 {
		t.Errorf("outside: %q", names)
	}
	if e.content("a.txt") != "hello world\n" {
		t.Error("a.txt changed")
	}
}

func TestSpecialFilesHaveNoNodes(t *testing.T) {
	e := newExport(t)
	must(t, unix.Mkfifo(e.path("fifo"), 0o666), os.Symlink("fifo", e.path("link")))
	names := []string{"fifo", "link"}
	if unix.Mknod(e.path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) == nil {
		names = append(names, "null")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	t.Chdir(e.dir) // the name of a socket is short
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: "socket"}))
	names = append(names, "socket")
	e.check([][4]string{{"", "ls", `null`, `["a.txt","sub"]`}, {"", "lsfiles", `null`, `[["a.txt","f"],["sub","d"]]`}})
	for _, name := range names {
		for _, c := range [][2]string{{"read", `null`}, {"write", `"x"`}, {"write", `[0,"x"]`}, {"append", `"x"`},
			{"truncate", `0`}, {"hash", `null`}, {"ls", `null`}} {
			if got := e.call(name, c[0], c[1]); got != notFound(c[0], name) {
				t.Errorf("%s:%s: %s", name, c[0], got)
			}
		}
		if got := e.call("", "mkfile", `"`+name+`"`); got != "8 sys/fs: '"+name+"' already exists" {
			t.Errorf("mkfile %s: %s", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	e := newExport(t)
	must(t, os.Remove(e.path("a.txt")), os.RemoveAll(e.path("sub")))
	for _, name := range []string{"a b", "žluťoučký 🐎", "a\nb", "\x1b[31mred", "'quoted'", "it's", `"x"`, "-rf", "*",
		".hidden", "a:b", " ", strings.Repeat("n", 255)} {
		content := "content of " + name
		if _, err := e.value(name, "write", chainpack.String(content)); err != nil {
			t.Errorf("%q: write: %v", name, err)
			continue
		}
		v, err := e.value(name, "read", chainpack.Null())
		if got, _ := v.AsBlob(); string(got) != content {
			t.Errorf("%q: read %q, %v", name, got, err)
		}
		v, err = e.value("", "ls", chainpack.Null())
		if got, _ := v.At(0).AsString(); got != name || v.Len() != 1 {
			t.Errorf("%q: ls gives %s, %v", name, cpon.String(v), err)
		}
		if v, err := e.value("", "ls", chainpack.String(name)); err != nil || cpon.String(v) != "true" {
			t.Errorf("%q is not there", name)
		}
		if _, err := e.value(name, "delete", chainpack.Null()); err != nil {
			t.Errorf("%q: delete: %v", name, err)
		}
	}
	e.write("bad\xff", "x")
	e.check([][4]string{{"", "ls", `null`, `[]`}})
}

func TestHugeDirectoryIsAnErrorThatSaysSo(t *testing.T) {
	e := newExport(t)
	long := strings.Repeat("x", 240)
	must(t, os.Mkdir(e.path("huge"), 0o755))
	const files = 18000 // 4.4 MB of names
	for i := range files {
		must(t, os.Link(e.path("a.txt"), e.path(fmt.Sprintf("huge/%s%05d", long, i))))
	}
	const want = "8 sys/fs/huge: too many entries for one answer (at most 4194304 bytes)"
	e.check([][4]string{
		{"huge", "ls", `null`, want},
		{"huge", "lsfiles", `{"size":true}`, want},
		{"huge", "ls", `"` + long + `00007"`, `true`},
		{"huge/" + long + "00007", "read", `[0,5]`, `b"hello"`},
	})
}

func TestModeAndOwnerOfAReplacedFileStay(t *testing.T) {
	e := newExport(t)
	must(t, os.Chmod(e.path("a.txt"), 0o751|os.ModeSetuid))
	if os.Geteuid() == 0 {
		must(t, os.Chown(e.path("a.txt"), 1234, 2345), os.Chmod(e.path("a.txt"), 0o751|os.ModeSetuid))
	}
	e.check([][4]string{{"a.txt", "write", `"new"`, `true`}})
	info, err := os.Stat(e.path("a.txt"))
	must(t, err)
	if info.Mode() != 0o751 {
		t.Errorf("mode %v", info.Mode())
	}
	if stat := new(unix.Stat_t); os.Geteuid() == 0 {
		if must(t, unix.Stat(e.path("a.txt"), stat)); stat.Uid != 1234 || stat.Gid != 2345 {
			t.Errorf("owner %d:%d", stat.Uid, stat.Gid)
		}
	}
}

func TestMissingDirectory(t *testing.T) {
	e := newExport(t)
	e.opts.Dir = filepath.Join(e.outside, "later")
	e.check([][4]string{{"", "ls", `null`, `8 the exported directory cannot be opened: no such file or directory`}})
	must(t, os.Mkdir(e.opts.Dir, 0o755))
	e.check([][4]string{{"", "ls", `null`, `[]`}})
}

// What comes from afar must not run with the rights of an owner. For root the kernel
// leaves the bits where they are.
func TestWritesIntoAFileTakeItsSetIDBits(t *testing.T) {
	newExport(t).takesSetIDBits(0o755, func() {})
}

func TestWritesIntoTheSetIDFileOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	e := newExport(t)
	must(t, os.Chmod(filepath.Dir(filepath.Dir(e.dir)), 0o755)) // that of all of t.TempDir
	e.takesSetIDBits(0o777, func() { must(t, syscall.Seteuid(65534)) })
}

// takesSetIDBits checks the methods that write into a file, after become.
func (e *export) takesSetIDBits(mode os.FileMode, become func()) {
	t := e.t
	for method, param := range map[string]string{"append": `b"x"`, "write": `[0,b"x"]`, "truncate": `3`} {
		must(t, os.Chmod(e.path("a.txt"), mode|os.ModeSetuid|os.ModeSetgid))
		me := os.Geteuid()
		become()
		got := e.call("a.txt", method, param)
		must(t, syscall.Seteuid(me))
		if got != "null" {
			t.Errorf("%s: %s", method, got)
		}
		if info, err := os.Stat(e.path("a.txt")); err != nil || info.Mode() != mode {
			t.Errorf("%s leaves %v, %v", method, info.Mode(), err)
		}
	}
}

// made calls all methods that create something, and returns the modes of the results.
func (e *export) made() (modes string) {
	e.check([][4]string{
		{"", "mkfile", `["new1","x"]`, `true`}, {"new2", "write", `"x"`, `true`}, {"new3", "append", `b"x"`, `null`},
		{"new4", "write", `[0,b"x"]`, `null`}, {"new5", "truncate", `1`, `null`}, {"", "mkdir", `"new6"`, `true`},
	})
	for i := range 6 {
		name := fmt.Sprintf("new%d", i+1)
		info, err := os.Stat(e.path(name))
		must(e.t, err, os.Remove(e.path(name)))
		modes += fmt.Sprintf("%o ", info.Mode().Perm())
	}
	return modes
}

func TestModesOfWhatIsMade(t *testing.T) {
	old := unix.Umask(0) // which must not matter, and no other test runs meanwhile
	defer unix.Umask(old)
	e := newExport(t)
	if got := e.made(); got != "644 644 644 644 644 755 " {
		t.Errorf("usually: %s", got)
	}
	e.within = &within{umask: 0o27, maxFile: -1}
	if got := e.made(); got != "640 640 640 640 640 750 " {
		t.Errorf("with a umask of 027: %s", got)
	}
	e.write("secret", "s")
	must(t, os.Chmod(e.path("secret"), 0o600))
	e.within = &within{umask: 0, maxFile: -1}
	e.check([][4]string{{"secret", "write", `"new"`, `true`}})
	if info, err := os.Stat(e.path("secret")); err != nil || info.Mode() != 0o600 {
		t.Errorf("a file that only its owner reads becomes %v, %v", info.Mode(), err)
	}
}

func TestFilesOfACallerGrowToHisLimit(t *testing.T) {
	e := newExport(t)
	e.opts.MaxFile = 20
	for _, tt := range []struct {
		limit int64
		size  int // that is too much
		text  string
	}{{5, 6, "3 the file would have 6 bytes (at most 5 on this device)"},
		{100, 21, "3 the file would have 21 bytes (at most 20 on this device)"},
		{-1, 21, "3 the file would have 21 bytes (at most 20 on this device)"}} {
		e.within = &within{umask: -1, maxFile: tt.limit}
		if got := e.call("n", "write", fmt.Sprintf("%q", strings.Repeat("x", tt.size))); got != tt.text {
			t.Errorf("%d: %s", tt.limit, got)
		}
	}
	e.within = &within{umask: -1, maxFile: 0}
	if got := e.call("a.txt", "write", `"x"`); got != notFound("write", "a.txt") {
		t.Errorf("no limit of zero: %s", got)
	}
}
