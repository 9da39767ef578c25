package fsnode

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// fileMethods returns the methods of an existing file: those of the standard, then those of
// LocalFSNode. A method that both have takes the params of both.
func (o *op) fileMethods() []node.Method {
	const (
		part     = "[i(0,):offset,i(0,)|n:size]|n"
		readPart = "[i(0,):offset,i(0,):size]|{i}|n"
		long     = node.FlagLongCalls
	)
	methods := []node.Method{
		{Name: "stat", Flags: node.FlagGetter, Result: "!stat", Access: rpc.AccessRead, Call: o.stat},
		{Name: "size", Flags: node.FlagGetter, Result: "i(0,)", Access: rpc.AccessBrowse, Call: o.size},
		{Name: "crc", Flags: long, Param: part, Result: "u(>32)", Access: rpc.AccessRead, Call: o.crc},
		{Name: "sha1", Flags: long, Param: part, Result: "b(20)", Access: rpc.AccessRead, Call: o.sha1},
		{Name: "read", Flags: node.FlagLarge, Param: readPart, Result: "b", Access: rpc.AccessRead, Call: o.read},
		{Name: "hash", Flags: long, Result: "s", Access: rpc.AccessRead, Call: o.hash},
		{Name: "sizeCompressed", Flags: long, Param: "s|{?}|n", Result: "u", Access: rpc.AccessRead,
			Call: o.sizeCompressed},
		{Name: "readCompressed", Flags: node.FlagLarge | long, Param: "{?}|n", Result: "b", Access: rpc.AccessRead,
			Call: o.readCompressed},
	}
	if o.opts.ReadOnly {
		return methods
	}
	methods = append(methods, o.writeMethods()...)
	return append(methods, node.Method{Name: "delete", Result: "b", Access: rpc.AccessService, Call: o.remove})
}

// Keys of the result of stat.
const (
	statType       = 0 // 0: a regular file
	statSize       = 1
	statPageSize   = 2
	statAccessTime = 3
	statModTime    = 4
	statMaxWrite   = 5
	statMaxRead    = 6
)

func (o *op) stat(*node.Request) (chainpack.Value, error) {
	info, err := o.root.Stat(o.name)
	if err != nil {
		return chainpack.Value{}, err
	}
	entries := []chainpack.Entry{
		chainpack.N(statType, chainpack.Int(0)),
		chainpack.N(statSize, chainpack.Int(info.Size())),
		chainpack.N(statPageSize, chainpack.Int(pageSize)),
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		entries = append(entries, chainpack.N(statAccessTime, chainpack.Time(time.Unix(sys.Atim.Unix()))))
	}
	return chainpack.IMap(append(entries,
		chainpack.N(statModTime, chainpack.Time(info.ModTime())),
		chainpack.N(statMaxWrite, chainpack.Int(maxWrite)),
		chainpack.N(statMaxRead, chainpack.Int(maxRead)),
	)...), nil
}

func (o *op) size(*node.Request) (chainpack.Value, error) {
	info, err := o.root.Stat(o.name)
	if err != nil {
		return chainpack.Value{}, err
	}
	return chainpack.Int(info.Size()), nil
}

// part is the part of a file that a param asks for.
type part struct {
	offset, size int64 // in bytes; size -1: to the end
	whole        bool  // the whole file
	old          bool  // the param has LocalFSNode's form
}

// parsePart reads Null, [offset, size] or {"offset":…, "size":…}.
func parsePart(param chainpack.Value) (p part, err error) {
	bad := badParam("[offset, size], {\"offset\":…, \"size\":…} or nothing")
	p.size = -1
	number := func(v chainpack.Value, into *int64) {
		if v.IsNull() {
			return
		}
		n, ok := v.AsInt()
		if !ok || n < 0 {
			err = bad
		}
		*into = n
	}
	switch param.Kind() {
	case chainpack.KindNull:
		return part{size: -1, whole: true, old: true}, nil
	case chainpack.KindList:
		if param.Len() < 1 || param.Len() > 2 {
			return p, bad
		}
		number(param.At(0), &p.offset)
		number(param.At(1), &p.size)
	case chainpack.KindMap:
		p.old = true
		offset, _ := param.Get("offset")
		size, _ := param.Get("size")
		number(offset, &p.offset)
		number(size, &p.size)
		p.whole = p.offset == 0 && p.size < 0
	default:
		return p, bad
	}
	return p, err
}

// source is an opened file and the part of it to read.
type source struct {
	*op
	part
	file *os.File
	info fs.FileInfo
	n    int64 // bytes of the part that the file has
}

func (o *op) source(param chainpack.Value) (*source, error) {
	p, err := parsePart(param)
	if err != nil {
		return nil, err
	}
	file, info, err := o.open(os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	s := &source{op: o, part: p, file: file, info: info, n: max(info.Size()-p.offset, 0)}
	if p.size >= 0 {
		s.n = min(s.n, p.size)
	}
	return s, nil
}

// copy writes the part to w. If the file changes meanwhile, that is an error, so that no
// mixture of two versions is returned.
func (s *source) copy(w io.Writer) error {
	from := io.NewSectionReader(s.file, s.offset, s.n)
	buffer := make([]byte, min(chunk, s.n))
	for done := int64(0); done < s.n; {
		if s.ctx.Err() != nil {
			return s.cause()
		}
		n, err := from.Read(buffer)
		if _, err := w.Write(buffer[:n]); err != nil {
			return err
		}
		done += int64(n)
		s.progress(float64(done) / float64(s.n))
		switch {
		case errors.Is(err, io.EOF) && done < s.n:
			return s.changed()
		case err != nil && done < s.n:
			return err
		}
	}
	if !s.whole {
		return nil
	}
	now, err := s.file.Stat()
	if err == nil && (now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime())) {
		return s.changed()
	}
	return err
}

func (s *source) changed() error {
	return rpc.Errorf(rpc.CodeException, "%s: the file changed while it was read", s.path)
}

func (o *op) cause() error { return context.Cause(o.ctx) }

// digest writes a part of the file to w.
func (o *op) digest(param chainpack.Value, w io.Writer) error {
	s, err := o.source(param)
	if err != nil {
		return err
	}
	defer s.file.Close()
	return s.copy(w)
}

func (o *op) crc(r *node.Request) (chainpack.Value, error) {
	sum := crc32.NewIEEE()
	err := o.digest(r.Param, sum)
	return chainpack.UInt(uint64(sum.Sum32())), err
}

func (o *op) sha1(r *node.Request) (chainpack.Value, error) {
	sum := sha1.New()
	err := o.digest(r.Param, sum)
	return chainpack.Blob(sum.Sum(nil)), err
}

func (o *op) hash(*node.Request) (chainpack.Value, error) {
	sum := sha1.New()
	err := o.digest(chainpack.Null(), sum)
	return chainpack.String(hex.EncodeToString(sum.Sum(nil))), err
}

// bounded collects up to maxRead bytes.
type bounded struct {
	path  string
	bytes []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.bytes)+len(p) > maxRead {
		return 0, tooMuch(b.path)
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

func tooMuch(path string) error {
	return rpc.Errorf(rpc.CodeInvalidParam,
		"%s: too large for one answer (at most %d bytes); read it in parts by offset and size", path, maxRead)
}

func (o *op) read(r *node.Request) (chainpack.Value, error) {
	s, err := o.source(r.Param)
	if err != nil {
		return chainpack.Value{}, err
	}
	defer s.file.Close()
	if s.n > maxRead {
		return chainpack.Value{}, tooMuch(o.path)
	}
	to := bounded{path: o.path, bytes: make([]byte, 0, s.n)}
	if err := s.copy(&to); err != nil {
		return chainpack.Value{}, err
	}
	content := chainpack.Blob(to.bytes)
	if !s.old {
		return content, nil
	}
	return content.WithMeta(
		chainpack.F("fileName", chainpack.String(path.Base(o.name))),
		chainpack.F("offset", chainpack.Int(s.offset)),
		chainpack.F("size", chainpack.Int(s.n)),
	), nil
}

// compressor returns a writer for the type that the param names, and the name's ending for
// files of that type.
func compressor(param chainpack.Value, size int64, w io.Writer) (_ io.WriteCloser, ending string, err error) {
	kind := param
	if param.Kind() == chainpack.KindMap {
		kind, _ = param.Get("compressionType")
	}
	name, ok := kind.AsString()
	switch {
	case ok && name == "gzip":
		return gzip.NewWriter(w), ".gz", nil
	case ok && name == "qcompress" || kind.IsNull():
		// The format of Qt's qCompress: the size, then zlib.
		_, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(size)))
		return zlib.NewWriter(w), ".qcompress", err
	}
	return nil, "", badParam("compressionType gzip or qcompress")
}

// compress writes a part of the file to w, compressed.
func (o *op) compress(param chainpack.Value, w io.Writer) (s *source, ending string, err error) {
	of := param
	if param.Kind() != chainpack.KindMap {
		of = chainpack.Null()
	}
	if s, err = o.source(of); err != nil {
		return nil, "", err
	}
	defer s.file.Close()
	to, ending, err := compressor(param, s.n, w)
	if err != nil {
		return nil, "", err
	}
	err = s.copy(to)
	return s, ending, errors.Join(err, to.Close())
}

// count counts bytes.
type count uint64

func (c *count) Write(p []byte) (int, error) { *c += count(len(p)); return len(p), nil }

func (o *op) sizeCompressed(r *node.Request) (chainpack.Value, error) {
	var size count
	_, _, err := o.compress(r.Param, &size)
	return chainpack.UInt(uint64(size)), err
}

func (o *op) readCompressed(r *node.Request) (chainpack.Value, error) {
	to := bounded{path: o.path}
	s, ending, err := o.compress(r.Param, &to)
	if err != nil {
		return chainpack.Value{}, err
	}
	return chainpack.Blob(to.bytes).WithMeta(
		chainpack.F("fileName", chainpack.String(path.Base(o.name)+ending)),
		chainpack.F("offset", chainpack.Int(s.offset)),
		chainpack.F("size", chainpack.Int(s.n)),
	), nil
}
