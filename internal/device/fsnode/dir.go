package fsnode

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// dirMethods returns the methods of LocalFSNode's directories.
func (o *op) dirMethods() []node.Method {
	methods := []node.Method{
		{Name: "lsfiles", Flags: node.FlagLarge, Param: "{b}|n", Result: "[[?]]", Access: rpc.AccessRead, Call: o.lsfiles},
	}
	if o.opts.ReadOnly {
		return methods
	}
	return append(methods,
		node.Method{Name: "mkfile", Param: "s|[s,s|b]", Result: "b", Access: rpc.AccessWrite, Call: o.mkfile},
		node.Method{Name: "mkdir", Param: "s", Result: "b", Access: rpc.AccessWrite, Call: o.mkdir},
		node.Method{Name: "rmdir", Param: "b|n", Result: "b", Access: rpc.AccessService, Call: o.rmdir},
	)
}

// entry is a file or directory in a directory.
type entry struct {
	name string
	dir  bool
}

// list reads the directory, without special files, names that are not UTF-8, broken links
// and links that lead out. size is what an entry takes in the answer besides its name, in
// bytes.
func (o *op) list(size int) ([]entry, error) {
	d, err := o.root.OpenFile(o.name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var entries []entry
	total := 0
	for o.ctx.Err() == nil {
		const batch = 512
		read, err := d.ReadDir(batch)
		for _, e := range read {
			is, ok := o.entry(e)
			if !ok {
				continue
			}
			if total += len(is.name) + size; total > maxRead {
				return nil, rpc.Errorf(rpc.CodeException,
					"%s: too many entries for one answer (at most %d bytes)", o.path, maxRead)
			}
			entries = append(entries, is)
		}
		if errors.Is(err, io.EOF) {
			slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, o.cause()
}

// entry returns e as an entry; ok is false if list leaves it out.
func (o *op) entry(e fs.DirEntry) (_ entry, ok bool) {
	if !isName(e.Name()) {
		return entry{}, false
	}
	mode := e.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := o.root.Stat(path.Join(o.name, e.Name()))
		if err != nil {
			return entry{}, false
		}
		mode = info.Mode().Type()
	}
	return entry{name: e.Name(), dir: mode.IsDir()}, mode.IsDir() || mode.IsRegular()
}

// ls returns the names in a directory, or whether the one in the param exists. A file has
// no children.
func (o *op) ls(r *node.Request) (chainpack.Value, error) {
	if name, ok := r.Param.AsString(); ok {
		there := false
		if isName(name) {
			info, err := o.root.Stat(path.Join(o.name, name))
			there = err == nil && (info.IsDir() || info.Mode().IsRegular())
		}
		return chainpack.Bool(there), nil
	}
	if info, err := o.root.Stat(o.name); err != nil || !info.IsDir() {
		return chainpack.List(), err
	}
	const head = 6 // bytes of a String, and of the pair that clients of 2022 get
	entries, err := o.list(head)
	if err != nil {
		return chainpack.Value{}, err
	}
	names := make([]string, len(entries))
	dirs := make(map[string]bool)
	for i, e := range entries {
		names[i] = e.name
		if e.dir {
			dirs[e.name] = true
		}
	}
	return node.Names(r.Param, names, func(name string) chainpack.Value {
		return chainpack.Bool(dirs[name])
	}), nil
}

// lsfiles returns names with what else the param asks for.
func (o *op) lsfiles(r *node.Request) (chainpack.Value, error) {
	if !r.Param.IsNull() && r.Param.Kind() != chainpack.KindMap {
		return chainpack.Value{}, badParam("a Map of size, ctime, dirs and files, each true or false")
	}
	asked := func(name string, otherwise bool) bool {
		v, ok := r.Param.Get(name)
		if !ok {
			return otherwise
		}
		b, _ := v.AsBool()
		return b
	}
	size, ctime := asked("size", false), asked("ctime", false)
	dirs, files := asked("dirs", true), asked("files", true)
	const head = 30 // bytes of a List with a kind, a size and a time
	entries, err := o.list(head)
	if err != nil {
		return chainpack.Value{}, err
	}
	lines := make([]chainpack.Value, 0, len(entries))
	for _, e := range entries {
		kind := "f"
		if e.dir {
			kind = "d"
		}
		if e.dir && !dirs || !e.dir && !files {
			continue
		}
		line := []chainpack.Value{chainpack.String(e.name), chainpack.String(kind)}
		if size || ctime {
			info, err := o.root.Stat(path.Join(o.name, e.name))
			if err != nil {
				continue // removed meanwhile
			}
			if size {
				line = append(line, chainpack.Int(info.Size()))
			}
			if ctime {
				line = append(line, chainpack.Time(changed(info)))
			}
		}
		lines = append(lines, chainpack.List(line...))
	}
	return chainpack.List(lines...), nil
}

func changed(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctim.Unix())
	}
	return info.ModTime()
}

// child returns the op for a new entry in this directory, whose name is v.
func (o *op) child(v chainpack.Value) (*op, error) {
	name, ok := v.AsString()
	if !ok || !isName(name) {
		return nil, badParam("a name without a slash")
	}
	at := *o
	at.name = path.Join(o.name, name)
	if _, err := o.root.Lstat(at.name); err == nil {
		return nil, rpc.Errorf(rpc.CodeException, "%s: '%s' already exists", o.path, name)
	}
	return &at, nil
}

// mkfile creates a file, empty or with content.
func (o *op) mkfile(r *node.Request) (chainpack.Value, error) {
	name, content := r.Param, ""
	if r.Param.Kind() == chainpack.KindList {
		var ok bool
		if content, ok = bytesOf(r.Param.At(1)); !ok && !r.Param.At(1).IsNull() {
			return chainpack.Value{}, badParam("a name, or a List of a name and the content")
		}
		name = r.Param.At(0)
	}
	at, err := o.child(name)
	if err == nil {
		err = at.replace(content)
	}
	return chainpack.Bool(err == nil), err
}

func (o *op) mkdir(r *node.Request) (chainpack.Value, error) {
	at, err := o.child(r.Param)
	if err == nil {
		err = o.root.Mkdir(at.name, 0o777&^o.umask)
	}
	return chainpack.Bool(err == nil), err
}

// rmdir removes the directory; with the param true also what is in it.
func (o *op) rmdir(r *node.Request) (chainpack.Value, error) {
	recursive, ok := r.Param.AsBool()
	switch {
	case !ok && !r.Param.IsNull():
		return chainpack.Value{}, badParam("true or false")
	case o.name == ".":
		return chainpack.Value{}, rpc.Errorf(rpc.CodeException, "the exported directory itself cannot be removed")
	}
	remove := o.root.Remove
	if recursive {
		remove = o.root.RemoveAll
	}
	err := remove(o.name)
	return chainpack.Bool(err == nil), err
}
