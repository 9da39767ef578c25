// Package fsnode serves a directory as nodes: the file nodes of the SHV standard and the
// methods of the older LocalFSNode (spec.md 9.5, 9.7). Neither names nor links lead out of
// the directory, since all access is through os.Root. Special files have no nodes and are
// never opened.
//
// It waits for the disk, so read loops must not call it, and it decides nothing about
// callers (package policy does). Linux only.
package fsnode

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

const (
	// maxRead bounds the content of one answer and the size of one listing, in bytes.
	maxRead = 4 << 20
	// maxWrite is how many bytes stat tells writers to send at a time. A frame holds more.
	maxWrite = 1 << 20
	// pageSize is how many bytes stat tells readers to ask for at a time.
	pageSize = 64 << 10
	// chunk is how many bytes are read between two checks whether the call still runs.
	chunk = 256 << 10
	// maxName is the longest name that Linux file systems take, in bytes.
	maxName = 255
)

// Options of an FS.
type Options struct {
	Dir      string // the served directory
	ReadOnly bool   // no method changes anything
	MaxFile  int64  // size to which files may grow, in bytes; 0: any
}

// FS serves a directory. Its methods may be called concurrently.
type FS struct {
	opts   Options
	umask  fs.FileMode
	around Around // nil: nothing
}

// Around makes a change: it calls change, or returns an error for the caller instead.
type Around func(r *node.Request, change func() (chainpack.Value, error)) (chainpack.Value, error)

// Around returns an FS that makes each change through around, however it is asked for.
func (f *FS) Around(around Around) *FS {
	within := *f
	within.around = around
	return &within
}

// usualUmask applies to new files in addition to the umask of the process.
const usualUmask = 0o022

// New returns an FS for the directory of o, which need not exist all the time.
func New(o Options) *FS { return &FS{opts: o, umask: usualUmask} }

// Within returns an FS for the same directory under the limits of a caller: a umask
// (negative: the usual one), and the size to which files may grow, in bytes (negative:
// that of the FS; 0: read-only).
func (f *FS) Within(umask int, maxFile int64) *FS {
	within := *f
	if umask >= 0 {
		within.umask = fs.FileMode(umask) & fs.ModePerm
	}
	within.opts.ReadOnly = f.opts.ReadOnly || maxFile == 0
	if maxFile > 0 && (f.opts.MaxFile == 0 || maxFile < f.opts.MaxFile) {
		within.opts.MaxFile = maxFile
	}
	return &within
}

// Check returns an error if a directory cannot be served at the moment.
func Check(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	return root.Close()
}

// op is one request.
type op struct {
	*FS
	ctx      context.Context
	progress func(float64)
	root     *os.Root
	path     string // of the request, for errors
	name     string // below root
}

// Serve answers a request for the node at rest, a clean path below the directory, as a node
// of tree. progress is called with values from 0 to 1. Serve returns soon after ctx ends.
// Errors are for the caller.
func (f *FS) Serve(
	ctx context.Context, progress func(float64), tree *node.Tree, r *node.Request, rest string,
) (chainpack.Value, error) {
	if ctx.Err() != nil {
		return chainpack.Value{}, context.Cause(ctx)
	}
	name, ok := local(rest)
	if !ok {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "'%s' is not a valid file path", r.Path)
	}
	root, err := os.OpenRoot(f.opts.Dir)
	if err != nil {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeException, "the exported directory cannot be opened: %v", errnoOf(err))
	}
	defer root.Close()
	o := &op{FS: f, ctx: ctx, progress: progress, root: root, path: r.Path, name: name}
	methods, err := o.methods(r)
	if err != nil {
		return chainpack.Value{}, err
	}
	for i := range methods {
		// The levels of the methods that only read are lower.
		if m := &methods[i]; f.around != nil && m.Access >= rpc.AccessWrite {
			change := m.Call
			m.Call = func(r *node.Request) (chainpack.Value, error) {
				return f.around(r, func() (chainpack.Value, error) { return change(r) })
			}
		}
	}
	result, err := tree.Serve(r, methods, o.ls)
	if err != nil {
		err = o.explain(err)
	}
	return result, err
}

// local returns a clean path as a name for os.Root.
func local(rest string) (string, bool) {
	if rest == "" {
		return ".", true
	}
	for part := range strings.SplitSeq(rest, "/") {
		if !isName(part) {
			return "", false
		}
	}
	return rest, true
}

// isName reports whether name can be the name of a file. Names that are not UTF-8 do not
// fit a String that all peers can read.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName &&
		utf8.ValidString(name) && !strings.ContainsAny(name, "/\x00")
}

// methods returns the methods of the node, by what exists now.
func (o *op) methods(r *node.Request) ([]node.Method, error) {
	info, err := o.root.Stat(o.name)
	switch {
	case err == nil && info.IsDir():
		return o.dirMethods(), nil
	case err == nil && info.Mode().IsRegular():
		return o.fileMethods(), nil
	case errors.Is(err, fs.ErrNotExist) && r.Method != "ls" && r.Access >= rpc.AccessWrite && o.creatable():
		return o.writeMethods(), nil
	case err == nil || notThere(err):
		return nil, rpc.NotFound(r.Method, r.Path)
	}
	return nil, o.explain(err)
}

// creatable reports whether a file of this name can be created: uploads of new files begin
// with the question whether the node has a method write.
func (o *op) creatable() bool {
	if o.opts.ReadOnly {
		return false
	}
	if _, err := o.root.Lstat(o.name); err == nil {
		return false // a broken link
	}
	info, err := o.root.Stat(path.Dir(o.name))
	return err == nil && info.IsDir()
}

// open opens a regular file. It checks before and after, since opening alone may block or
// act on a device.
func (o *op) open(flags int) (*os.File, fs.FileInfo, error) {
	info, err := o.root.Stat(o.name)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil && (flags&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, nil, err
	}
	// Unlike os.OpenFile, os.Root leaves large files out on 32-bit machines.
	file, err := o.root.OpenFile(o.name, flags|syscall.O_NONBLOCK|unix.O_LARGEFILE, 0o666&^o.umask)
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errNotRegular
	case flags&(os.O_WRONLY|os.O_RDWR) != 0 && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		// New content must not run as the file's owner. The kernel clears the bits for
		// all users except root.
		err = file.Chmod(info.Mode().Perm())
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			err = nil // another user's file; the kernel clears the bits at the write
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

var errNotRegular = errors.New("not a regular file")

// fits returns an error if a file may not have size bytes.
func (o *op) fits(size int64) error {
	if o.opts.MaxFile > 0 && size > o.opts.MaxFile {
		return rpc.Errorf(rpc.CodeInvalidParam,
			"the file would have %d bytes (at most %d on this device)", size, o.opts.MaxFile)
	}
	return nil
}

// explain turns the error of a system call into one that names the node instead of the
// device's own path.
func (o *op) explain(err error) error {
	var known *rpc.Error
	if errors.As(err, &known) || o.ctx.Err() != nil {
		return err
	}
	return rpc.Errorf(rpc.CodeException, "%s: %v", o.path, errnoOf(err))
}

// errnoOf returns an error without its operation and path.
func errnoOf(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
