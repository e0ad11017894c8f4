// Command tally reads what "go test -json -cover" prints, shows it in brief, and judges it.
//
//	go test -json -cover ./... | tally -min ukai/internal/route=90
//
// A package that passed gets one line, a test that failed its whole output, and a package whose coverage is below its
// minimum fails. The last line counts: "412 passed, 0 failed". The exit code is 1 when anything failed and when no test ran.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// event is one line of "go test -json" (see "go doc test2json").
type event struct {
	Action      string
	Package     string
	ImportPath  string // in place of Package while building
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// tally is what was seen so far.
type tally struct {
	w                       io.Writer
	minima                  map[string]float64
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by package and test; by import path while building
	cover                   map[string]float64
	tests                   map[string]int // tests that ran, by package
	broken                  map[string]int // tests that failed, by package
}

// minima is a flag that may be given several times: package=percent.
type minima map[string]float64

func (m minima) String() string { return "" }

func (m minima) Set(s string) error {
	pkg, percent, ok := strings.Cut(s, "=")
	v, err := strconv.ParseFloat(percent, 64)
	if !ok || err != nil {
		return fmt.Errorf("want package=percent, got %q", s)
	}
	m[pkg] = v
	return nil
}

func main() {
	m := make(minima)
	flag.Var(m, "min", "`package=percent`: the least coverage; may be given several times")
	flag.Parse()
	os.Exit(run(os.Stdin, os.Stdout, m))
}

func run(r io.Reader, w io.Writer, m minima) int {
	t := &tally{w: w, minima: m, output: map[string]*strings.Builder{}, cover: map[string]float64{}, tests: map[string]int{}, broken: map[string]int{}}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		var e event
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil {
			t.take(e)
		} else if line != "" {
			fmt.Fprintln(w, strings.TrimSuffix(line, "\n")) // the go command itself, complaining
		}
		if err != nil {
			break
		}
	}
	t.gate()
	if t.skipped > 0 {
		fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	} else {
		fmt.Fprintf(w, "%d passed, %d failed\n", t.passed, t.failed)
	}
	if t.failed > 0 || t.passed == 0 {
		return 1
	}
	return 0
}

func (t *tally) take(e event) {
	where := e.Package
	if where == "" {
		where = e.ImportPath
	}
	key := where + "\x00" + e.Test
	switch e.Action {
	case "output", "build-output":
		t.keep(key, e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.pkg(e)
		} else {
			t.test(e, key)
		}
		delete(t.output, key)
	}
}

var coverage = regexp.MustCompile(`^coverage: ([0-9.]+)% of statements`)

func (t *tally) keep(key string, e event) {
	if m := coverage.FindStringSubmatch(e.Output); m != nil {
		t.cover[e.Package], _ = strconv.ParseFloat(m[1], 64) // the pattern lets only numbers through
	}
	b := t.output[key]
	if b == nil {
		b = new(strings.Builder)
		t.output[key] = b
	}
	if b.Len() < 1<<20 {
		b.WriteString(e.Output)
	}
}

func (t *tally) test(e event, key string) {
	t.tests[e.Package]++
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		fmt.Fprintf(t.w, "SKIP %s %s\n%s", e.Package, e.Test, t.text(key))
	case "fail":
		t.failed++
		t.broken[e.Package]++
		fmt.Fprintf(t.w, "FAIL %s %s (%.1f s)\n%s", e.Package, e.Test, e.Elapsed, t.text(key))
	}
}

// pkg closes a package. One that failed although none of its tests did was not built, panicked, or had a race at its end.
func (t *tally) pkg(e event) {
	if e.Action == "fail" && t.broken[e.Package] == 0 {
		t.failed++
		fmt.Fprintf(t.w, "FAIL %s\n%s%s", e.Package, t.text(e.FailedBuild+"\x00"), t.text(e.Package+"\x00"))
	}
	if e.Action != "pass" {
		return
	}
	line := fmt.Sprintf("ok   %-40s %4d tests %7.1f s", e.Package, t.tests[e.Package], e.Elapsed)
	if c, ok := t.cover[e.Package]; ok {
		line += fmt.Sprintf("  %5.1f %% covered", c)
	}
	fmt.Fprintln(t.w, line)
}

func (t *tally) text(key string) string {
	if b := t.output[key]; b != nil {
		return b.String()
	}
	return ""
}

// gate counts a failure for each package below its minimum; one that was not measured is below.
func (t *tally) gate() {
	for _, name := range slices.Sorted(maps.Keys(t.minima)) {
		if c := t.cover[name]; c < t.minima[name] {
			t.failed++
			fmt.Fprintf(t.w, "FAIL %s: %.1f %% of its statements are covered by tests, at least %.0f %% are asked for\n", name, c, t.minima[name])
		}
	}
}
