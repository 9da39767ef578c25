package archtest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "shvtools"

// pkg is what the rules need of one package as `go list` tells it.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string // everything that Imports lead to
}

// file is one parsed Go file of the module, under any build constraint.
type file struct {
	name   string // from the module's root, with slashes
	source []byte
	syntax *ast.File
	places *token.FileSet
}

// line returns the line on which a node begins.
func (f *file) line(n ast.Node) int { return f.places.Position(n.Pos()).Line }

func (f *file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// dir returns the file's package directory, such as "internal/shv/rpc".
func (f *file) dir() string { return path.Dir(f.name) }

// imports returns the import paths of the file with the name that each has in it.
func (f *file) imports() map[string]string {
	names := map[string]string{}
	for _, spec := range f.syntax.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		names[target] = path.Base(target)
		if spec.Name != nil {
			names[target] = spec.Name.Name
		}
	}
	return names
}

// parse returns the file that has source for its text.
func parse(name string, source []byte) (*file, error) {
	places := token.NewFileSet()
	syntax, err := parser.ParseFile(places, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &file{name: name, source: source, syntax: syntax, places: places}, nil
}

// packages returns the packages of the module that exist, none of them built.
var packages = sync.OnceValues(func() ([]pkg, error) {
	list := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	list.Dir = root()
	out, err := list.Output()
	if err != nil {
		return nil, err
	}
	var all []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := decoder.Decode(&p); err {
		case nil:
			all = append(all, p)
		case io.EOF:
			return all, nil
		default:
			return nil, err
		}
	}
})

// files returns the module's Go files. It leaves out what the go command leaves
// out, and modules within the module.
var files = sync.OnceValues(func() ([]*file, error) {
	var all []*file
	top := root()
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := entry.Name()
			hidden := strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata"
			_, statErr := os.Stat(filepath.Join(name, "go.mod"))
			if name != top && (hidden || statErr == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		parsed, err := parse(filepath.ToSlash(relative), source)
		if err != nil {
			return err
		}
		all = append(all, parsed)
		return nil
	})
	return all, err
})

// root returns the module's root: tests run in their package's directory.
func root() string { return filepath.Join("..", "..", "..") }

func allPackages(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(all) == 0 {
		t.Fatal("go list found no package")
	}
	return all
}

func allFiles(t *testing.T) []*file {
	t.Helper()
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file found")
	}
	return all
}

// mustPackage returns the package in a directory, such as "internal/shv/rpc". A rule
// whose package is gone would hold for nothing.
func mustPackage(t *testing.T, dir string) pkg {
	t.Helper()
	all := allPackages(t)
	i := slices.IndexFunc(all, func(p pkg) bool { return p.ImportPath == module+"/"+dir })
	if i < 0 {
		t.Fatalf("a rule names %s, and there is no such package", dir)
	}
	return all[i]
}
