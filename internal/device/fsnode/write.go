package fsnode

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// writeMethods returns the methods that write. A file that does not exist yet has no
// others.
func (o *op) writeMethods() []node.Method {
	return []node.Method{
		{Name: "write", Param: "[i(0,):offset,b:data]|s|b|[s|b,{b}]", Result: "n|b", Access: rpc.AccessWrite,
			Call: o.write},
		{Name: "truncate", Param: "i(0,)", Access: rpc.AccessWrite, Call: o.truncate},
		{Name: "append", Param: "b", Access: rpc.AccessWrite, Flags: node.FlagNotIdem, Call: o.append},
	}
}

func badParam(want string) error {
	return rpc.Errorf(rpc.CodeInvalidParam, "the parameter must be %s", want)
}

// bytesOf returns the content of a Blob or a String.
func bytesOf(v chainpack.Value) (string, bool) {
	if b, ok := v.AsBlob(); ok {
		return string(b), true
	}
	return v.AsString()
}

// write takes [offset, data] to write into the file, as in the standard, or a content as in
// LocalFSNode: alone it replaces the whole file at once, with {"append": true} it is
// appended.
func (o *op) write(r *node.Request) (chainpack.Value, error) {
	first := r.Param
	if r.Param.Kind() == chainpack.KindList {
		first = r.Param.At(0)
	}
	if content, ok := bytesOf(first); ok {
		option, _ := r.Param.At(1).Get("append")
		write := o.replace
		if at, _ := option.AsBool(); at {
			write = o.atEnd
		}
		err := write(content)
		return chainpack.Bool(err == nil), err
	}
	offset, ok := first.AsInt()
	data, isData := bytesOf(r.Param.At(1))
	if !ok || offset < 0 || !isData || r.Param.Len() != 2 {
		return chainpack.Value{}, badParam("[offset, data], or the content of the file")
	}
	return chainpack.Null(), o.writeAt(offset, data)
}

func (o *op) append(r *node.Request) (chainpack.Value, error) {
	data, ok := bytesOf(r.Param)
	if !ok {
		return chainpack.Value{}, badParam("a Blob")
	}
	return chainpack.Null(), o.atEnd(data)
}

// atEnd appends data. The error says how much was written before the disk was full.
func (o *op) atEnd(data string) error {
	file, info, err := o.open(os.O_WRONLY | os.O_APPEND | os.O_CREATE)
	if err != nil {
		return err
	}
	err = o.fits(info.Size() + int64(len(data)))
	if err == nil {
		err = o.written(file.WriteString(data))
	}
	return errors.Join(err, file.Close())
}

// writeAt writes data into the file, which grows as needed.
func (o *op) writeAt(offset int64, data string) error {
	if offset+int64(len(data)) < 0 {
		return badParam("an offset that files can have")
	}
	if err := o.fits(offset + int64(len(data))); err != nil {
		return err
	}
	file, _, err := o.open(os.O_WRONLY | os.O_CREATE)
	if err != nil {
		return err
	}
	if _, err = file.Seek(offset, io.SeekStart); err == nil {
		err = o.written(file.WriteString(data)) // WriteAt would not return how much was written
	}
	return errors.Join(err, file.Close())
}

// written adds how much was written to an error.
func (o *op) written(n int, err error) error {
	if err == nil {
		return nil
	}
	return rpc.Errorf(rpc.CodeException, "%s: %v after %d bytes", o.path, errnoOf(err), n)
}

func (o *op) truncate(r *node.Request) (chainpack.Value, error) {
	size, ok := r.Param.AsInt()
	if !ok || size < 0 {
		return chainpack.Value{}, badParam("a size")
	}
	if err := o.fits(size); err != nil {
		return chainpack.Value{}, err
	}
	file, _, err := o.open(os.O_WRONLY | os.O_CREATE)
	if err != nil {
		return chainpack.Value{}, err
	}
	return chainpack.Null(), errors.Join(file.Truncate(size), file.Close())
}

func (o *op) remove(*node.Request) (chainpack.Value, error) {
	err := o.root.Remove(o.name)
	return chainpack.Bool(err == nil), err
}

// replace makes content the whole file at once: readers find the old or the new content,
// also after a power cut.
func (o *op) replace(content string) error {
	if err := o.fits(int64(len(content))); err != nil {
		return err
	}
	name, err := o.target()
	if err != nil {
		return err
	}
	temporary := path.Join(path.Dir(name), ".shvagent-"+rand.Text())
	old, err := o.root.Stat(name)
	mode := 0o666 &^ o.umask
	switch {
	case err == nil && !old.Mode().IsRegular():
		return errNotRegular
	case err == nil:
		mode = 0o600 // until dress, others must not read what the old file may hide
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	file, err := o.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err == nil && old != nil {
		err = dress(file, old)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = o.root.Rename(temporary, name)
	}
	if err != nil {
		_ = o.root.Remove(temporary)
		return err
	}
	return o.syncDir(path.Dir(name))
}

// dress gives a new file the mode of the old one, without set-id bits, and its owner if
// this process may change that.
func dress(file *os.File, old fs.FileInfo) error {
	if sys, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = file.Chown(int(sys.Uid), int(sys.Gid))
	}
	return file.Chmod(old.Mode().Perm())
}

// target returns the name of the file to replace: a link stays, and the file that it leads
// to is replaced.
func (o *op) target() (string, error) {
	name := o.name
	const maxLinks = 8
	for range maxLinks {
		to, err := o.root.Readlink(name)
		if err != nil {
			return name, nil // not a link, or it does not exist
		}
		if strings.HasPrefix(to, "/") {
			return "", fmt.Errorf("a link to %s, which is not followed", to)
		}
		name = path.Join(path.Dir(name), to)
	}
	return "", syscall.ELOOP
}

// syncDir makes a rename survive a power cut.
func (o *op) syncDir(name string) error {
	d, err := o.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
