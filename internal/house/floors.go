package house

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CheckPlan holds the files to the plan of rooms and floors and to the manners of the house.
func CheckPlan(files []*File) []Violation {
	var all []Violation
	for _, f := range files {
		room, floor, ok := roomOf(path.Dir(f.Path))
		if !ok {
			all = append(all, Violation{f.Path, RuleRoom, fmt.Sprintf("the plan knows no room %q: give it a floor in internal/house/plan.go", room)})
			continue
		}
		for _, spec := range f.AST.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			all = append(all, checkImport(f, spec, importing{room, floor, imported})...)
		}
		if !f.Test() && floor != outside {
			all = append(all, checkManners(f, room)...)
		}
	}
	return all
}

// importing is one import: from which room, on which floor, of what.
type importing struct {
	room  string
	floor int
	path  string
}

func checkImport(f *File, spec *ast.ImportSpec, im importing) []Violation {
	if inner, ok := strings.CutPrefix(im.path, module+"/"); ok {
		return checkInner(f, spec, im, inner)
	}
	if f.Test() || im.floor == outside {
		return nil
	}
	var all []Violation
	if slices.Contains(pure, im.room) && slices.Contains(impure, im.path) {
		all = append(all, Violation{f.pos(spec), RuleImport, fmt.Sprintf("%q in the pure room %s: no socket, no file, no log, no goroutine", im.path, im.room)})
	}
	for _, gate := range gates {
		if gate.covers(im.path) && !gate.opens(im.room, f.Path) {
			all = append(all, Violation{f.pos(spec), RuleImport, fmt.Sprintf("%q is kept out of %s: %s", im.path, im.room, gate.why)})
		}
	}
	return all
}

func checkInner(f *File, spec *ast.ImportSpec, im importing, inner string) []Violation {
	room, floor, ok := roomOf(inner)
	switch {
	case !ok:
		return []Violation{{f.pos(spec), RuleRoom, fmt.Sprintf("the plan knows no room %q", inner)}}
	case im.room == "cmd" && room != "cli":
		return []Violation{{f.pos(spec), RuleImport, fmt.Sprintf("a command has nothing to say: it may import cli, not %s", room)}}
	case room == im.room || stairs[[2]string{im.room, room}] != "":
		return nil
	case floor >= im.floor:
		return []Violation{{f.pos(spec), RuleFloor, fmt.Sprintf("%s (floor %d) imports %s (floor %d): only lower floors may be imported", im.room, im.floor, room, floor)}}
	}
	return nil
}

// checkManners looks for what no file of the program does: the global logger, sleeping, the clock in a room that judges,
// a panic for anything but a broken invariant, an init function.
func checkManners(f *File, room string) []Violation {
	var all []Violation
	add := func(n ast.Node, rule, text string) { all = append(all, Violation{f.pos(n), rule, text}) }
	names := importNames(f.AST)
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				add(n, RuleInit, "work in init runs before anybody asked for it: make it a function")
			}
		case *ast.GoStmt:
			if slices.Contains(pure, room) {
				add(n, RuleClock, "a goroutine in the pure room "+room)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "panic" && !invariant(n) {
				add(n, RulePanic, `only a broken invariant panics, with a text that starts with "bug:"`)
			}
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok {
				if rule, text := checkSelector(room, names[id.Name], n.Sel.Name); rule != "" {
					add(n, rule, text)
				}
			}
		}
		return true
	})
	return all
}

// globalLog are the functions of log/slog that write to, or change, the global logger.
var globalLog = []string{"Debug", "DebugContext", "Info", "InfoContext", "Warn", "WarnContext", "Error", "ErrorContext", "Log", "LogAttrs", "With", "Default", "SetDefault"}

func checkSelector(room, pkg, name string) (rule, text string) {
	switch {
	case pkg == "log/slog" && slices.Contains(globalLog, name):
		return RuleLog, "slog." + name + " uses the global logger: a *slog.Logger is handed in"
	case pkg == "time" && name == "Sleep":
		return RuleClock, "time.Sleep cannot be interrupted: select on a timer and ctx.Done()"
	case pkg == "time" && slices.Contains([]string{"Now", "Since", "Until"}, name) && slices.Contains(timeless, room):
		return RuleClock, fmt.Sprintf("time.%s in %s: a judgement gets the time handed in", name, room)
	}
	return "", ""
}

// importNames maps the name that a file uses for a package to its path.
func importNames(tree *ast.File) map[string]string {
	names := make(map[string]string, len(tree.Imports))
	for _, spec := range tree.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

// invariant tells whether a panic's text starts with "bug:".
func invariant(call *ast.CallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	e := call.Args[0]
	for {
		switch x := e.(type) {
		case *ast.BinaryExpr:
			e = x.X
			continue
		case *ast.CallExpr: // fmt.Sprintf("bug: ...", ...)
			if len(x.Args) == 0 {
				return false
			}
			e = x.Args[0]
			continue
		case *ast.BasicLit:
			s, err := strconv.Unquote(x.Value)
			return err == nil && strings.HasPrefix(s, "bug:")
		}
		return false
	}
}
