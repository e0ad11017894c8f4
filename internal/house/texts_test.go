package house

import (
	"slices"
	"testing"

	"ukai/internal/i18n"
)

func TestEveryTextKeyIsInTheCatalogueAndEveryTextIsUsed(t *testing.T) {
	all, err := i18n.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	report(t, CheckTexts(parse(t, root), all))
}

func TestAHoleInTheCatalogueIsSeen(t *testing.T) {
	const head = "import \"ukai/internal/i18n\"\n"
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"a key that is there": {head + `var s = i18n.Text("en", "queue.full", "free", 1)`, nil},
		"a key that is missing": {
			head + `var s = i18n.Text("en", "queue.ful", "free", 1)`,
			[]string{`the catalogue has no "queue.ful"`, `nobody uses "queue.full"`},
		},
		"a key of a room without texts": {
			head + `var e, f = i18n.Errorf("cellar.wet"), "queue.full"`,
			[]string{`the catalogue has no "cellar.wet"`},
		},
		"a long key outside of a call": {
			`var a, b = "queue.why.lost", "queue.full"`,
			[]string{`the catalogue has no "queue.why.lost"`},
		},
		"a long key in a call is told once": {
			head + `var a, b = i18n.Errorf("queue.why.lost"), "queue.full"`,
			[]string{`the catalogue has no "queue.why.lost"`},
		},
		"a host name is no key":           {`var a, b = "mx.example.org", "queue.full"`, nil},
		"a file name is no key":           {`var a, b = "queue.toml", "queue.full"`, nil},
		"a text that nobody uses":         {``, []string{`nobody uses "queue.full"`}},
		"a key that is put together":      {`func f(s string) string { return "queue." + s }`, nil},
		"a value that is missing":         {head + `var e = i18n.Errorf("queue.full", "size", 1)`, []string{`the text of "queue.full" wants a value {free}`}},
		"values that are not written out": {head + `func f(a ...any) error { return i18n.Errorf("queue.full", a...) }`, nil},
		"another package's Text":          {"import i18n \"ukai/internal/mail\"\nvar a, b = i18n.Text(1, \"queue.x\"), \"queue.full\"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[string]i18n.Entry{"queue.full": {EN: "only {free} left", JA: "残り{free}"}}
			var got []string
			for _, v := range CheckTexts(parse(t, plant(t, "internal/cli/a.go", c.source)), all) {
				got = append(got, v.Text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
