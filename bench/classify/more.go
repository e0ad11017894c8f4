package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ukai/internal/classify"
)

// multiplied returns the rules with copies of them before them that look for other words: the letters are turned round. So there are
// as many phrases as times the rules would have, of the same lengths and as much alike.
func multiplied(rules *classify.Rules, times int) (*classify.Rules, error) {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for n := 1; n < times; n++ {
		var b strings.Builder
		for _, d := range rules.All() {
			if len(d.Rule.Any)+len(d.Rule.All) > 0 {
				writeTurned(&b, &d, 5*n)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("copy%d.toml", n)), []byte(b.String()), 0o600); err != nil {
			return nil, err
		}
	}
	return classify.LoadDir(dir)
}

func writeTurned(b *strings.Builder, d *classify.Described, by int) {
	x := &d.Rule
	fmt.Fprintf(b, "[[rule]]\nname = %q\nclass = %q\nexample = \"550 x\"\nsource = \"a copy\"\n", d.Name, x.Class)
	for key, list := range map[string][]string{"all": x.All, "any": x.Any, "none": x.None} {
		if len(list) == 0 {
			continue
		}
		quoted := make([]string, len(list))
		for i, s := range list {
			quoted[i] = strconv.Quote(turn(s, by))
		}
		fmt.Fprintf(b, "%s = [%s]\n", key, strings.Join(quoted, ", "))
	}
	for key, list := range map[string][]string{"codes": x.Codes, "statuses": x.Statuses, "phases": x.Phases} {
		if len(list) > 0 {
			fmt.Fprintf(b, "%s = [\"%s\"]\n", key, strings.Join(list, `", "`))
		}
	}
}

// turn replaces each letter by the one that many places on.
func turn(s string, by int) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return 'a' + (c-'a'+rune(by))%26
		}
		return c
	}, strings.NewReplacer("{ip}", "qq", "{addr}", "qq").Replace(s))
}
