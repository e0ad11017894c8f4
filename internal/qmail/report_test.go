package qmail

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestReportsAreReadAsQmailRemoteWritesThem(t *testing.T) {
	for _, c := range []struct {
		name   string
		text   string
		rcpts  int
		fates  []kind
		opaque bool
	}{
		{"taken", "r\x00K192.0.2.1 accepted message.\n\x00", 1, []kind{done}, false},
		{"the recipient is refused for good", "h192.0.2.1 does not like recipient.\n\x00DGiving up on 192.0.2.1.\n\x00", 1, []kind{hard}, false},
		{"the recipient is to wait", "s192.0.2.1 does not like recipient.\n\x00DGiving up on 192.0.2.1.\n\x00", 1, []kind{soft}, false},
		{"the message is refused for all that were taken", "r\x00h1\x00s2\x00D192.0.2.1 failed after I sent the message.\n\x00", 3, []kind{hard, hard, soft}, false},
		{"each has a fate of its own", "r\x00hno\x00snot yet\x00K192.0.2.1 accepted message.\n\x00", 3, []kind{done, hard, soft}, false},
		{"nothing is said of the recipients", "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\x00", 2, []kind{soft, soft}, false},
		{"it stops in the midst of them", "r\x00DConnected to 192.0.2.1 but sender was rejected.\n\x00", 2, []kind{hard, hard}, false},
		{"a patch chats before it", chatter + "r\x00K192.0.2.1 accepted message.\n\x00", 1, []kind{done}, false},
		{"something comes behind it", "r\x00Kok\x00garbage", 1, []kind{done}, false},
		{"nothing", "", 1, nil, true},
		{"it is cut off", "r\x00K192.0.2.1 acc", 1, nil, true},
		{"no word about the message", "r\x00", 1, nil, true},
		{"a letter that nobody knows", "r\x00Xwhat\x00", 1, nil, true},
		{"more recipients than there are", "r\x00r\x00Kok\x00", 1, nil, true},
		{"an empty text", "\x00Kok\x00", 1, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, ok := parseReport([]byte(c.text), c.rcpts)
			if ok == c.opaque {
				t.Fatalf("ok = %v", ok)
			}
			if !ok {
				return
			}
			var kinds []kind
			for _, f := range r.fates(c.rcpts) {
				kinds = append(kinds, f.kind)
			}
			if !slices.Equal(kinds, c.fates) {
				t.Errorf("fates %v, want %v", kinds, c.fates)
			}
		})
	}
}

// spawnSays is what qmail-rspawn makes of a report, as its source says (qmail-rspawn.c, report): the letter that qmail-send gets
// and the text behind it.
func spawnSays(b []byte) (letter byte, text string) {
	var result, orr int
	result = -1
	for _, p := range bytes.SplitAfter(b, []byte{0}) {
		if len(p) > 0 && p[len(p)-1] == 0 && strings.IndexByte("KZD", p[0]) >= 0 {
			result = map[byte]int{'K': 1, 'Z': 0, 'D': -1}[p[0]]
			break
		}
	}
	orr = result
	switch b[0] {
	case 's':
		orr = 0
	case 'h':
		orr = -1
	}
	letter = "DZK"[orr+1]
	i := bytes.IndexByte(b, 0)
	text = string(b[1:i])
	if k := i + 1; result <= orr && k < len(b) && strings.IndexByte("KZD", b[k]) >= 0 {
		j := bytes.IndexByte(b[k:], 0)
		text += string(b[k+1 : k+j])
	}
	return letter, text
}

func TestWhatIsComposedReachesQmailSend(t *testing.T) {
	for _, c := range []struct {
		name, text string
		fate       fate
		letter     byte
	}{
		{"taken", "192.0.2.1 accepted message.\n", fate{kind: done, text: "192.0.2.1 accepted message."}, 'K'},
		{"to be tried again", "not yet\n", fate{kind: soft, text: "not yet"}, 'Z'},
		{"for good", "no\n", fate{kind: hard, text: "no"}, 'D'},
		{"for good, said of the message", "no\n", fate{hard, "no\n", true}, 'D'},
		{"a NUL in the text", "a?b\n", fate{kind: soft, text: "a\x00b"}, 'Z'},
	} {
		t.Run(c.name, func(t *testing.T) {
			if letter, text := spawnSays(compose([]fate{c.fate})); letter != c.letter || text != c.text {
				t.Errorf("%c %q", letter, text)
			}
		})
	}
}

func TestEveryRecipientGetsTheFateThatWasComposed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]kind{soft, hard, done}), 1, 8).Draw(t, "kinds")
		fates := make([]fate, len(kinds))
		for i, k := range kinds {
			fates[i] = fate{kind: k, text: rapid.StringN(0, 20, 100).Draw(t, "text")}
		}
		r, ok := parseReport(compose(fates), len(fates))
		if !ok {
			t.Fatal("not understood")
		}
		for i, f := range r.fates(len(fates)) {
			if f.kind != kinds[i] {
				t.Fatalf("recipient %d: %v, want %v", i, f.kind, kinds[i])
			}
		}
	})
}

func TestALongTextIsCut(t *testing.T) {
	if b := compose([]fate{{kind: hard, text: strings.Repeat("x", 1<<20)}}); len(b) > maxText+10 {
		t.Errorf("%d octets", len(b))
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte("r\x00K192.0.2.1 accepted message.\n\x00"), 1)
	f.Add([]byte("hno\x00snot yet\x00DGiving up on 192.0.2.1.\n\x00"), 2)
	f.Add([]byte(chatter+"ZSorry\n\x00"), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(1, n%10)
		r, ok := parseReport(b, n)
		if !ok {
			return
		}
		want := r.fates(n)
		again, ok := parseReport(compose(want), n)
		if !ok {
			t.Fatal("what was composed is not understood")
		}
		for i, f := range again.fates(n) {
			if f.kind != want[i].kind {
				t.Fatalf("recipient %d: %v became %v", i, want[i].kind, f.kind)
			}
		}
	})
}
