package i18n

import (
	"errors"
	"fmt"
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

func TestTheTextOfAnErrorIsThatOfEveryPart(t *testing.T) {
	full := Errorf("queue.locked", "dir", "/a", "cause", errors.New("in use"))
	later := Errorf("queue.later", "file", "/b")
	plain := errors.New("disk on fire")
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"one of ours":                 {full, []string{full.Text(JA)}},
		"one of ours, wrapped":        {fmt.Errorf("open: %w", full), []string{full.Text(JA)}},
		"not ours":                    {fmt.Errorf("open: %w", plain), []string{"open: disk on fire"}},
		"two of ours, joined":         {errors.Join(full, later), []string{full.Text(JA), later.Text(JA)}},
		"ours and another, joined":    {errors.Join(full, nil, plain), []string{full.Text(JA), "disk on fire"}},
		"another and ours, joined":    {errors.Join(plain, fmt.Errorf("close: %w", later)), []string{"disk on fire", later.Text(JA)}},
		"joined, wrapped":             {fmt.Errorf("start: %w", errors.Join(full, later)), []string{full.Text(JA), later.Text(JA)}},
		"joined in joined":            {errors.Join(errors.Join(full, plain), later), []string{full.Text(JA), "disk on fire", later.Text(JA)}},
		"a sentence around two":       {fmt.Errorf("open %w, then %w", plain, later), []string{later.Text(JA)}},
		"a sentence around two plain": {fmt.Errorf("open %w, then %w", plain, plain), []string{"open disk on fire, then disk on fire"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := ErrorText(JA, c.err), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
