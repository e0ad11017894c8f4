package connect

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAChangeIsTakenBackLineByLine(t *testing.T) {
	const before, after = "a = 1\nrelayhost =\nb = 2\n", "a = 1\nrelayhost = [ukai]\nb = 2\n# ukai: the net\nfallback = [ukai]\n"
	for name, c := range map[string]struct{ before, after, current, want, left, lost string }{
		"untouched":                            {before, after, after, before, "", ""},
		"edited elsewhere":                     {before, after, strings.Replace(after, "a = 1", "a = 9", 1), "a = 9\nrelayhost =\nb = 2\n", "", ""},
		"a line put next to ours":              {before, after, after + "hand = 1\n", before + "hand = 1\n", "", ""},
		"a line put between ours":              {before, after, strings.Replace(after, "fallback", "hand = 1\nfallback", 1), before + "hand = 1\n", "", ""},
		"a line put before what we replaced":   {before, after, strings.Replace(after, "relay", "hand = 1\nrelay", 1), "a = 1\nhand = 1\nrelayhost =\nb = 2\n", "", ""},
		"our line was edited":                  {before, after, strings.Replace(after, "fallback = [ukai]", "fallback = [other]", 1), before + "fallback = [other]\n", "4:fallback = [other]", ""},
		"what we replaced was edited":          {before, after, strings.Replace(after, "relayhost = [ukai]", "relayhost = [other]", 1), "a = 1\nrelayhost = [other]\nb = 2\n", "2:relayhost = [other]", "2:relayhost ="},
		"our line was removed":                 {before, after, strings.Replace(after, "relayhost = [ukai]\n", "", 1), before, "", ""},
		"our line was removed, theirs is back": {before, after, strings.Replace(after, "relayhost = [ukai]\n", "relayhost =\n", 1), before, "", ""},
		"saved with other line ends":           {before, after, strings.ReplaceAll(after, "\n", "\r\n"), "a = 1\r\nrelayhost =\nb = 2\r\n", "", ""},
		"everything is gone":                   {before, after, "", "relayhost =\n", "", ""},
		"no line end at the end":               {"a = 1", "a = 1\nfallback = [ukai]\n", "a = 1\nfallback = [ukai]\nhand = 1\n", "a = 1\nhand = 1\n", "", ""},
		"no line end at the end, kept":         {"x\na = 1", "x\na = 1\nfallback = [ukai]\n", "hand\nx\na = 1\nfallback = [ukai]\n", "hand\nx\na = 1", "", ""},
		"an indented line behind ours":         {before, after, after + "  , [second]\n", strings.Replace(before, "b = 2\n", "b = 2\n# ukai: the net\nfallback = [ukai]\n  , [second]\n", 1), "4:# ukai: the net|5:fallback = [ukai]", ""},
		"a file of ours with a line of theirs": {"", "ours 1\nours 2\n", "ours 1\nhand\nours 2\n", "hand\n", "", ""},
		"a line we took out":                   {"a\nb\nc\n", "a\nc\n", "a\nhand\nc\n", "a\nb\nhand\nc\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := reverse([]byte(c.after), []byte(c.before), []byte(c.current))
			if string(r.text) != c.want {
				t.Errorf("got %q, want %q", r.text, c.want)
			}
			if got := told(r.left); got != c.left {
				t.Errorf("left %q, want %q", got, c.left)
			}
			if got := told(r.lost); got != c.lost {
				t.Errorf("lost %q, want %q", got, c.lost)
			}
		})
	}
}

func told(lines []Line) string {
	var all []string
	for _, l := range lines {
		all = append(all, string(rune('0'+l.Number))+":"+l.Text)
	}
	return strings.Join(all, "|")
}

// edited draws what somebody does to a file: lines that nobody else writes are put in, lines are removed and changed.
func edited(t *rapid.T, lines []string) (text string, hand []string) {
	lines = slices.Clone(lines)
	for range rapid.IntRange(1, 6).Draw(t, "edits") {
		own := rapid.SampledFrom([]string{"hand = ", "  hand ", "#hand ", "relayhost = hand"}).Draw(t, "kind") +
			rapid.StringMatching(`[a-z]{6}`).Draw(t, "own")
		own += rapid.SampledFrom([]string{"\n", "\r\n", "\n"}).Draw(t, "end")
		at := rapid.IntRange(0, len(lines)).Draw(t, "at")
		switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
		case what < 2 || at == len(lines):
			lines = slices.Insert(lines, at, own)
		case what == 2:
			lines[at] = own
		default:
			lines = slices.Delete(lines, at, at+1)
		}
	}
	for _, l := range lines {
		if strings.Contains(l, "hand") {
			hand = append(hand, strings.TrimRight(l, "\r\n"))
		}
	}
	return strings.Join(lines, ""), hand
}

func TestNoLineThatSomebodyEditedIsEverLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := someLines(t, "before"), someLines(t, "after")
		current, hand := edited(t, after)
		r := reverse([]byte(strings.Join(after, "")), []byte(strings.Join(before, "")), []byte(current))
		got := bare(split(r.text))
		at := 0
		for _, h := range hand {
			i := slices.Index(got[at:], h)
			if i < 0 {
				t.Fatalf("%q is lost, or in another place\nbefore %q\nafter %q\ncurrent %q\ngot %q", h, before, after, current, got)
			}
			at += i + 1
		}
	})
}

func TestTakingBackWhatWasNotTouchedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := strings.Join(someLines(t, "before"), ""), strings.Join(someLines(t, "after"), "")
		if got := reverse([]byte(after), []byte(before), []byte(after)); string(got.text) != before || got.left != nil || got.lost != nil {
			t.Fatalf("%q -> %q: %q", before, after, got.text)
		}
	})
}

// TestPatchUnderstandsTheDifference has the program patch apply what is shown, where it is installed, and else reads it back.
func TestTheDifferenceIsOneThatPatchUnderstands(t *testing.T) {
	program, err := exec.LookPath("patch")
	if err != nil {
		t.Fatal("patch is missing: apt-get install patch")
	}
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		if n++; n > 40 { // each is a process
			return
		}
		before, after := someLines(t, "before"), someLines(t, "after")
		if len(before) > 0 && rapid.Bool().Draw(t, "no end") {
			before[len(before)-1] = "last"
		}
		text := strings.Join(before, "")
		diff := Unified("file", []byte(text), []byte(strings.Join(after, "")))
		if diff == "" {
			return
		}
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "-s", "-u", file)
		cmd.Stdin = strings.NewReader(diff)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("patch: %v\n%s\n%s", err, out, diff)
		}
		got, err := os.ReadFile(file)
		if os.IsNotExist(err) && len(after) == 0 {
			return // patch removes what becomes empty
		}
		if err != nil || string(got) != strings.Join(after, "") {
			t.Fatalf("%v: %q, want %q", err, got, after)
		}
	})
}
