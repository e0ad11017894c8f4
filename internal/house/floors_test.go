package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

func parse(t *testing.T, root string) []*File {
	t.Helper()
	files, err := Parse(root)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func report(t *testing.T, all []Violation) {
	t.Helper()
	for _, v := range all {
		t.Error(v)
	}
}

func TestEveryPackageImportsOnlyFromLowerFloors(t *testing.T) {
	files := parse(t, root)
	if len(files) < 20 {
		t.Fatalf("only %d source files were found: is %s the root of the module?", len(files), root)
	}
	report(t, CheckPlan(files))
}

// The rule is worth nothing if it cannot fail: each case plants one breach in a small house of its own.
func TestAPlantedBreachOfThePlanIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		file, source, rule string
	}{
		"an import from a higher floor":                 {"internal/mail/a.go", `import _ "ukai/internal/route"`, RuleFloor},
		"an import from the same floor":                 {"internal/config/a.go", `import _ "ukai/internal/api"`, RuleFloor},
		"the stairs the other way":                      {"internal/classify/a.go", `import _ "ukai/internal/health"`, RuleFloor},
		"an import of the rules themselves":             {"internal/cli/a.go", `import _ "ukai/internal/house"`, RuleFloor},
		"an import from a higher floor in a test":       {"internal/mail/a_test.go", `import _ "ukai/internal/queue"`, RuleFloor},
		"a package in no room of the plan":              {"internal/util/a.go", ``, RuleRoom},
		"an import of a room that is not in the plan":   {"internal/cli/a.go", `import _ "ukai/internal/cellar"`, RuleRoom},
		"Go files beside the house":                     {"scripts/a.go", ``, RuleRoom},
		"SQL outside sql.go":                            {"internal/journal/a.go", `import _ "database/sql"`, RuleImport},
		"HTTP in the queue":                             {"internal/queue/a.go", `import _ "net/http"`, RuleImport},
		"a library below a gate":                        {"internal/health/a.go", `import _ "github.com/spf13/cobra"`, RuleImport},
		"testing in the program":                        {"internal/queue/a.go", `import _ "testing"`, RuleImport},
		"a suite that climbs":                           {"internal/queue/storetest/a.go", `import _ "ukai/internal/route"`, RuleFloor},
		"a socket in the pure chooser":                  {"internal/route/a.go", `import _ "net"`, RuleImport},
		"a command that knows more than cli":            {"cmd/ukai/a.go", `import _ "ukai/internal/mail"`, RuleImport},
		"the clock in a judgement":                      {"internal/route/a.go", "import \"time\"\nvar t = time.Now()", RuleClock},
		"the clock under another name":                  {"internal/classify/a.go", "import clock \"time\"\nvar t = clock.Since", RuleClock},
		"a sleep":                                       {"internal/dispatch/a.go", "import \"time\"\nfunc f() { time.Sleep(1) }", RuleClock},
		"a goroutine in the pure chooser":               {"internal/route/a.go", "func f() { go f() }", RuleClock},
		"the global logger":                             {"internal/queue/a.go", "import \"log/slog\"\nfunc f() { slog.Info(\"x\") }", RuleLog},
		"a panic that is no bug":                        {"internal/queue/a.go", "func f() { panic(\"disk full\") }", RulePanic},
		"a panic with a value nobody can read the text": {"internal/queue/a.go", "func f(err error) { panic(err) }", RulePanic},
		"work in init":                                  {"internal/queue/a.go", "func init() {}", RuleInit},
	} {
		t.Run(name, func(t *testing.T) {
			got := CheckPlan(parse(t, plant(t, c.file, c.source)))
			if len(got) != 1 || got[0].Rule != c.rule || !strings.HasPrefix(got[0].Pos, c.file) {
				t.Errorf("want one breach of the rule %q in %s, got %v", c.rule, c.file, got)
			}
		})
	}
}

func TestWhatThePlanAllowsIsNoBreach(t *testing.T) {
	for name, c := range map[string]struct{ file, source string }{
		"an import from a lower floor":         {"internal/queue/a.go", `import _ "ukai/internal/mail"`},
		"an import by the stairs":              {"internal/health/a.go", `import _ "ukai/internal/classify"`},
		"anything a test needs in a suite":     {"internal/queue/storetest/a.go", "import _ \"testing\"\nimport _ \"net/http\""},
		"an import within the room":            {"internal/queue/storetest/a.go", `import _ "ukai/internal/queue"`},
		"cli in the command":                   {"cmd/ukai/a.go", `import _ "ukai/internal/cli"`},
		"anything in a benchmark":              {"bench/relay/a.go", `import _ "ukai/internal/app"`},
		"SQL in sql.go":                        {"internal/journal/sql.go", `import _ "database/sql"`},
		"HTTP in a test":                       {"internal/queue/a_test.go", `import _ "net/http"`},
		"a logger of one's own":                {"internal/queue/a.go", "import \"log/slog\"\nvar l = slog.New(nil)"},
		"the clock in a loop's room":           {"internal/dispatch/a.go", "import \"time\"\nvar t = time.Now()"},
		"a name that only looks like a clock":  {"internal/route/a.go", "var time struct{ Now int }\nvar t = time.Now"},
		"a panic for a broken invariant":       {"internal/queue/a.go", "import \"fmt\"\nfunc f() { panic(fmt.Sprintf(\"bug: %d\", 1)) }"},
		"a panic with a text and a cause":      {"internal/queue/a.go", "func f(err error) { panic(\"bug: \" + err.Error()) }"},
		"broken rules in a directory testdata": {"internal/queue/testdata/a.go", `import _ "net/http"`},
	} {
		t.Run(name, func(t *testing.T) { report(t, CheckPlan(parse(t, plant(t, c.file, c.source)))) })
	}
}

func plant(t *testing.T, file, source string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("package a\n\n"+source+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

var floorRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| `([a-z0-9]+)` \\|")

func TestTheArchitectureTellsTheSamePlan(t *testing.T) {
	told := make(map[string]int)
	for _, m := range floorRow.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1) {
		floor, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		told[m[2]] = floor
	}
	for room, floor := range floors {
		if got, ok := told[room]; !ok || got != floor {
			t.Errorf("%s lies on floor %d; ARCHITECTURE.md says %d, %v", room, floor, got, ok)
		}
	}
	for room := range told {
		if _, ok := floors[room]; !ok {
			t.Errorf("ARCHITECTURE.md has a room %s that the plan has not", room)
		}
	}
}
