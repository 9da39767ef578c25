// Package fsnode exports a directory as nodes: the file nodes of the standard and
// the methods of the older LocalFSNode (spec.md 9.5, 9.7). Nothing leads out
// of the directory, neither names nor links, since all goes through os.Root.
//
// It waits for the disk, so no read loop may call it. Special files have no nodes
// and are never opened. Linux only.
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

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

const (
	// maxRead bounds the bytes of one answer with content, and of one listing.
	maxRead = 4 << 20
	// maxWrite is what writers are told to send at most at a time. A frame holds
	// more.
	maxWrite = 1 << 20
	// pageSize is what readers are told to ask for at a time.
	pageSize = 64 << 10
	// chunk is what is read between two looks at whether the call still runs.
	chunk = 256 << 10
	// maxName is the longest name that Linux file systems take, in bytes.
	maxName = 255
)

// Options of an FS.
type Options struct {
	Dir      string
	ReadOnly bool
	MaxFile  int64 // bytes that a file may be made to have; 0: any number
}

// FS serves a directory. Its methods may be called concurrently.
type FS struct {
	opts  Options
	umask fs.FileMode
}

// usualUmask holds for what is made, beside the umask of the process.
const usualUmask = 0o022

// New serves the directory of o, which need not exist all the time.
func New(o Options) *FS { return &FS{o, usualUmask} }

// Within serves the same directory under the limits of a caller: a umask (negative:
// the usual one), and the bytes that a file may grow to (negative: no limit but
// ours; 0: nothing can be written).
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

// Check tells why a directory cannot be served at the moment.
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

// Serve serves a request for the node at rest, a clean path below the directory,
// as a node of tree. It ends soon after ctx.
func (f *FS) Serve(ctx context.Context, progress func(float64), tree *node.Tree, r *node.Request, rest string) (chainpack.Value, error) {
	if ctx.Err() != nil {
		return chainpack.Value{}, context.Cause(ctx)
	}
	name, ok := local(rest)
	if !ok {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "'%s' is no path of a file here", r.Path)
	}
	root, err := os.OpenRoot(f.opts.Dir)
	if err != nil {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeException, "the exported directory is not there: %v", errnoOf(err))
	}
	defer root.Close()
	o := &op{FS: f, ctx: ctx, progress: progress, root: root, path: r.Path, name: name}
	methods, err := o.methods(r)
	if err != nil {
		return chainpack.Value{}, err
	}
	result, err := tree.Serve(r, methods, o.ls)
	if err != nil {
		err = o.explain(err)
	}
	return result, err
}

// local is a clean path as a name for os.Root.
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

// isName tells whether a file can be named so. Names that are not UTF-8 cannot be
// told in a String that all peers read.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsAny(name, "/\x00")
}

// methods are those of the node, by what stands there now.
func (o *op) methods(r *node.Request) ([]node.Method, error) {
	info, err := o.root.Stat(o.name)
	switch {
	case err == nil && info.IsDir():
		return o.dirMethods(), nil
	case err == nil && info.Mode().IsRegular():
		return o.fileMethods(), nil
	case errors.Is(err, fs.ErrNotExist) && !o.opts.ReadOnly && r.Method != "ls" && r.Access >= rpc.AccessWrite && o.mayCome():
		return o.writeMethods(), nil
	case err == nil || notThere(err):
		return nil, rpc.NotFound(r.Method, r.Path)
	}
	return nil, o.explain(err)
}

// mayCome tells whether a file of this name could be made: uploads of new files
// begin with the question whether the node has a method write.
func (o *op) mayCome() bool {
	if _, err := o.root.Lstat(o.name); err == nil {
		return false // a link that leads nowhere
	}
	info, err := o.root.Stat(path.Dir(o.name))
	return err == nil && info.IsDir()
}

// open opens a file that is regular, before and after: an open alone may block,
// or do something to a device.
func (o *op) open(flags int) (*os.File, fs.FileInfo, error) {
	info, err := o.root.Stat(o.name)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil && (flags&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, nil, err
	}
	file, err := o.root.OpenFile(o.name, flags|syscall.O_NONBLOCK, 0o666&^o.umask)
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errNotRegular
	case flags&(os.O_WRONLY|os.O_RDWR) != 0 && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		// The kernel does it for all but root: what comes from afar must not run as
		// the owner of what was there.
		err = file.Chmod(info.Mode().Perm())
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			err = nil // the file of somebody else, and the kernel does it at the write
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

var errNotRegular = errors.New("not a regular file")

// fits tells whether a file may have size bytes.
func (o *op) fits(size int64) error {
	if o.opts.MaxFile > 0 && size > o.opts.MaxFile {
		return rpc.Errorf(rpc.CodeInvalidParam, "a file may have %d bytes on this device, not %d", o.opts.MaxFile, size)
	}
	return nil
}

// explain turns the error of a system call into one that names the node and not
// the device's own paths.
func (o *op) explain(err error) error {
	var known *rpc.Error
	if errors.As(err, &known) || o.ctx.Err() != nil {
		return err
	}
	return rpc.Errorf(rpc.CodeException, "%s: %v", o.path, errnoOf(err))
}

// errnoOf is what is left of an error without operation and path.
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
