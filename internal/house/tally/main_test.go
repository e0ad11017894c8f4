package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	const (
		pass  = `{"Action":"output","Package":"a","Test":"TestX","Output":"fine\n"}` + "\n" + `{"Action":"pass","Package":"a","Test":"TestX","Elapsed":0.1}` + "\n"
		cover = `{"Action":"output","Package":"a","Output":"coverage: 91.5% of statements\n"}` + "\n"
		done  = `{"Action":"pass","Package":"a","Elapsed":1.5}` + "\n"
	)
	for name, c := range map[string]struct {
		in   string
		min  minima
		code int
		want []string // in the output
		not  string   // not in the output
	}{
		"a test that passed is counted and keeps quiet": {pass + done, nil, 0, []string{"ok   a", "1 tests", "1 passed, 0 failed\n"}, "fine"},
		"no test at all is a failure":                   {"", nil, 1, []string{"0 passed, 0 failed\n"}, "ok"},
		"a test that failed shows its output": {
			pass + `{"Action":"output","Package":"a","Test":"TestY","Output":"went wrong\n"}` + "\n" + `{"Action":"fail","Package":"a","Test":"TestY"}` + "\n" + `{"Action":"fail","Package":"a"}` + "\n",
			nil, 1, []string{"FAIL a TestY", "went wrong", "1 passed, 1 failed\n"}, "fine",
		},
		"a package that does not build is one failure": {
			pass + `{"ImportPath":"b [b.test]","Action":"build-output","Output":"undefined: y\n"}` + "\n" + `{"Action":"fail","Package":"b","FailedBuild":"b [b.test]"}` + "\n",
			nil, 1, []string{"FAIL b", "undefined: y", "1 passed, 1 failed\n"}, "",
		},
		"a package that panics behind its tests is a failure": {
			pass + `{"Action":"output","Package":"a","Output":"panic: goroutine\n"}` + "\n" + `{"Action":"fail","Package":"a"}` + "\n",
			nil, 1, []string{"panic: goroutine", "1 passed, 1 failed\n"}, "",
		},
		"a skipped test is named": {
			pass + `{"Action":"output","Package":"a","Test":"TestZ","Output":"not today\n"}` + "\n" + `{"Action":"skip","Package":"a","Test":"TestZ"}` + "\n" + done,
			nil, 0, []string{"SKIP a TestZ", "not today", "1 passed, 0 failed, 1 skipped\n"}, "",
		},
		"enough coverage":                              {pass + cover + done, minima{"a": 90}, 0, []string{"91.5 % covered", "1 passed, 0 failed\n"}, "FAIL"},
		"too little coverage":                          {pass + cover + done, minima{"a": 92}, 1, []string{"FAIL a: 91.5 %", "1 passed, 1 failed\n"}, ""},
		"coverage that was not measured":               {pass + done, minima{"b": 1}, 1, []string{"FAIL b: 0.0 %"}, ""},
		"what the go command says itself is passed on": {"go: no module\n", nil, 1, []string{"go: no module\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if code := run(strings.NewReader(c.in), &out, c.min); code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("want %q in:\n%s", want, out.String())
				}
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("did not want %q in:\n%s", c.not, out.String())
			}
		})
	}
}

func TestMinimaAreReadFromTheCommandLine(t *testing.T) {
	m := make(minima)
	if err := m.Set("ukai/internal/route=90.5"); err != nil || m["ukai/internal/route"] != 90.5 {
		t.Errorf("got %v, %v", m, err)
	}
	for _, bad := range []string{"", "x", "x=", "x=much"} {
		if err := m.Set(bad); err == nil {
			t.Errorf("%q is taken for a minimum", bad)
		}
	}
}
