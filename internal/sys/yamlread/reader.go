// Package yamlread helps to read configurations in YAML strictly: keys that are
// twice, anchors, tags and second documents are errors, each error has its file,
// line and column, and all of them are told at once. It knows no configuration;
// rshconfig and brokerconf say which keys there are.
package yamlread

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxSize is far beyond what anyone writes, and saves us from reading a device.
const maxSize = 16 << 20

// Reader collects the faults of one file. It goes on after a fault, to tell all
// of them.
type Reader struct {
	file   string
	faults []error
}

// Parse begins to read data, which came from file. The node is nil where the
// file says nothing; an error is one of YAML itself.
func Parse(file string, data []byte) (*Reader, ast.Node, error) {
	r := &Reader{file: file}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := invalidUTF8(data); i >= 0 {
		return nil, nil, fmt.Errorf("%s:%d: not UTF-8", file, 1+bytes.Count(data[:i], []byte("\n")))
	}
	// The parser takes "a.b" and b below a for duplicates, so it is not asked.
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, nil, r.syntax(err, data)
	}
	var body ast.Node
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.DirectiveType:
		case body != nil:
			r.Fail(doc.Body, "a second document; there is one only")
		default:
			body = doc.Body
		}
	}
	return r, body, nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// File is the name of the file.
func (r *Reader) File() string { return r.file }

// Fail notes a fault at a node.
func (r *Reader) Fail(node ast.Node, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s: %w", r.Place(node), fmt.Errorf(format, args...)))
}

// Place is file, line and column of a node.
func (r *Reader) Place(node ast.Node) string {
	line, column := Position(node)
	return fmt.Sprintf("%s:%d:%d", r.file, line, column)
}

// Err is all faults, as errors.Join has it; nil when there are none.
func (r *Reader) Err() error { return errors.Join(r.faults...) }

// syntax drops the part of the parser's text that is several lines, and knows the
// mistake that patterns invite.
func (r *Reader) syntax(err error, data []byte) error {
	var detailed yaml.Error
	if !errors.As(err, &detailed) || detailed.GetToken() == nil {
		return fmt.Errorf("%s: not YAML: %s", r.file, firstLine(err.Error()))
	}
	at, hint := detailed.GetToken().Position, ""
	if lines := bytes.Split(data, []byte("\n")); at.Line >= 1 && at.Line <= len(lines) {
		if bytes.HasPrefix(bytes.TrimLeft(lines[at.Line-1], " {"), []byte("*")) {
			hint = "; a name that begins with * needs quotes"
		}
	}
	return fmt.Errorf("%s:%d:%d: not YAML: %s%s", r.file, at.Line, at.Column, firstLine(detailed.GetMessage()), hint)
}

// ReadFile reads a configuration, whose size is bounded. The error names the file
// once.
func ReadFile(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(data) > maxSize {
		return nil, fmt.Errorf("longer than %d bytes", maxSize)
	}
	return data, err
}
