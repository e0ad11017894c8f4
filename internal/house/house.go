// Package house holds the rules of how ukai is built and the tests that keep them.
//
// A plan of rooms and floors is worth something only while nobody can break it without noticing. The rules are therefore
// checked by parsing the source files, at every run of the tests. (A check built on "go list" would be served stale from
// the test cache.) Nothing in the program imports this package.
//
//   - plan.go says which room lies on which floor and what is kept out of which room; floors.go holds the sources to it;
//   - texts.go compares the keys in the sources with the message catalogue;
//   - the tests beside them also hold the list of dependencies and the words that have no place in the tree;
//   - shape measures the length of files and functions, tally runs the tests and counts.
package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// Violation is one place where the sources break a rule of the house.
type Violation struct {
	Pos  string // "internal/route/choose.go:12"; a file alone where the whole file is meant
	Rule string // which rule, as a short name: see the constants
	Text string // what stands there and what is allowed
}

// String returns the violation on one line.
func (v Violation) String() string { return v.Pos + ": " + v.Rule + ": " + v.Text }

// The rules.
const (
	RuleRoom   = "room"   // a package that the plan does not know
	RuleFloor  = "floor"  // an import from the same or a higher floor
	RuleImport = "import" // a package that is kept out of this room
	RuleClock  = "clock"  // the clock read, or slept, where the time is handed in
	RuleLog    = "log"    // the global logger
	RulePanic  = "panic"  // a panic that is not a broken invariant
	RuleInit   = "init"   // work in an init function
	RuleText   = "text"   // a text key that is missing, unused or lacks a value
)

// File is one Go source file, read and parsed.
type File struct {
	Path string // from the root of the module, with slashes
	AST  *ast.File
	Fset *token.FileSet
}

// Test tells whether the file is for tests only: by its own name, or by that of its package ("storetest", as in httptest).
func (f *File) Test() bool {
	return strings.HasSuffix(f.Path, "_test.go") || strings.HasSuffix(path.Dir(f.Path), "test")
}

// Generated tells whether a program wrote the file.
func (f *File) Generated() bool { return ast.IsGenerated(f.AST) }

// pos names a place in the file.
func (f *File) pos(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, f.Fset.Position(n.Pos()).Line)
}

// Parse reads all Go files under root (the directory of go.mod) but those in testdata, in hidden directories and in
// modules of their own.
func Parse(root string) ([]*File, error) {
	var files []*File
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, name, d.Name())
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		files = append(files, &File{Path: filepath.ToSlash(rel), AST: tree, Fset: fset})
		return nil
	})
	return files, err
}

func skip(root, path, name string) error {
	if path == root {
		return nil
	}
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return filepath.SkipDir
	}
	if nested, _ := filepath.Glob(filepath.Join(path, "go.mod")); nested != nil {
		return filepath.SkipDir
	}
	return nil
}
