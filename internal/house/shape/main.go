// Command shape prints how long the files and functions of the program are and fails when they have grown out of hand.
//
// The limits come from the code bases of the field that one can read in an evening: nine files in ten are under 350 lines,
// nine functions in ten under 42. The ones that one gets lost in have about twice that. Tests and generated files are not counted.
package main

import (
	"fmt"
	"go/ast"
	"io"
	"os"
	"slices"

	"ukai/internal/house"
)

// The limits, in lines.
const (
	fileP90 = 350
	funcP90 = 42
	funcP99 = 100
)

// length is one file or function with its lines.
type length struct {
	name  string
	lines int
}

func main() { os.Exit(run(".", os.Stdout)) }

func run(root string, w io.Writer) int {
	parsed, err := house.Parse(root)
	if err != nil {
		fmt.Fprintln(w, err)
		return 2
	}
	files, funcs := measure(parsed)
	if len(files) == 0 {
		fmt.Fprintln(w, "no Go files here: run it in the root of the module")
		return 2
	}
	fmt.Fprintf(w, "files      %5d   p50 %4d   p90 %4d (at most %d)   max %4d  %s\n",
		len(files), at(files, 50), at(files, 90), fileP90, files[len(files)-1].lines, files[len(files)-1].name)
	if len(funcs) == 0 {
		return 0
	}
	fmt.Fprintf(w, "functions  %5d   p50 %4d   p90 %4d (at most %d)   p99 %4d (at most %d)   max %4d  %s\n",
		len(funcs), at(funcs, 50), at(funcs, 90), funcP90, at(funcs, 99), funcP99, funcs[len(funcs)-1].lines, funcs[len(funcs)-1].name)
	if at(files, 90) > fileP90 || at(funcs, 90) > funcP90 || at(funcs, 99) > funcP99 {
		fmt.Fprintln(w, "out of shape; the longest:")
		for _, l := range slices.Concat(tail(files, 5), tail(funcs, 10)) {
			fmt.Fprintf(w, "  %5d  %s\n", l.lines, l.name)
		}
		return 1
	}
	return 0
}

// measure returns the files and functions that are neither tests nor generated, shortest first.
func measure(parsed []*house.File) (files, funcs []length) {
	for _, f := range parsed {
		if f.Test() || f.Generated() {
			continue
		}
		files = append(files, length{f.Path, f.Fset.File(f.AST.Pos()).LineCount()})
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			from, to := f.Fset.Position(fn.Pos()).Line, f.Fset.Position(fn.End()).Line
			funcs = append(funcs, length{fmt.Sprintf("%s:%d %s", f.Path, from, fn.Name.Name), to - from + 1})
		}
	}
	byLines := func(a, b length) int { return a.lines - b.lines }
	slices.SortStableFunc(files, byLines)
	slices.SortStableFunc(funcs, byLines)
	return files, funcs
}

// at returns the percentile p of sorted lengths: the smallest that p percent do not exceed (nearest rank).
func at(sorted []length, p int) int {
	return sorted[(len(sorted)*p+99)/100-1].lines
}

func tail(sorted []length, n int) []length {
	t := slices.Clone(sorted[max(0, len(sorted)-n):])
	slices.Reverse(t)
	return t
}
