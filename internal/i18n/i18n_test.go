package i18n

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

func TestEveryTextStandsInBothLanguagesWithTheSameValues(t *testing.T) {
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for key, e := range all {
		if e.EN == "" || e.JA == "" {
			t.Errorf("%s: missing in a language: en %q, ja %q", key, e.EN, e.JA)
		}
		en, ja := placeholder.FindAllString(e.EN, -1), placeholder.FindAllString(e.JA, -1)
		slices.Sort(en)
		slices.Sort(ja)
		if !slices.Equal(slices.Compact(en), slices.Compact(ja)) {
			t.Errorf("%s: en uses %v, ja uses %v", key, en, ja)
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]Lang{"ja": JA, "ja_JP.UTF-8": JA, "JA": JA, "en_GB": EN, "C": EN, "C.UTF-8": EN} {
		if got, ok := Parse(in); got != want || !ok {
			t.Errorf("Parse(%q) = %v, %v", in, got, ok)
		}
	}
	if _, ok := Parse("fr"); ok {
		t.Error("fr is taken for a language of the catalogue")
	}
}

func TestDurationForPeople(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		en, ja string
	}{
		{0, "0 ms", "0ミリ秒"}, {3 * time.Second, "3 s", "3秒"}, {130 * time.Minute, "2 h 10 min", "2時間10分"},
		{96 * time.Hour, "4 d", "4日"}, {5*time.Minute + 2*time.Second, "5 min 2 s", "5分2秒"}, {time.Hour + 5*time.Second, "1 h", "1時間"},
	} {
		if got := Duration(EN, c.d); got != c.en {
			t.Errorf("Duration(en, %v) = %q, want %q", c.d, got, c.en)
		}
		if got := Duration(JA, c.d); got != c.ja {
			t.Errorf("Duration(ja, %v) = %q, want %q", c.d, got, c.ja)
		}
	}
}

func TestErrorKeepsItsCauseAndAMissingKeyShowsItsFacts(t *testing.T) {
	cause := errors.New("disk on fire")
	err := Errorf("i18n.no.such.key", "cause", cause)
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if got := err.Error(); !strings.Contains(got, "i18n.no.such.key") || !strings.Contains(got, "disk on fire") {
		t.Errorf("the fact is hidden: %q", got)
	}
}
