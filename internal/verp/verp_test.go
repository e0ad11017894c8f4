package verp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ukai/internal/mail"
)

var start = time.Date(2026, 4, 15, 9, 12, 0, 0, time.UTC)

func ring(t testing.TB, lives Lives) *Ring {
	t.Helper()
	r, err := OpenRing(t.TempDir(), lives, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func returns(t testing.TB) *Returns {
	t.Helper()
	return &Returns{Ring: ring(t, Lives{}), Address: Address{"bounce", "mail.example.com", '+'}, Senders: []string{"example.com", "*.example.org"}}
}

func envelope(from, header string, signed ...string) *mail.Envelope {
	return &mail.Envelope{ID: mail.ID(start.UnixMilli() << 20), From: from, FromHdr: header, DKIM: signed}
}

func TestATokenIsFoundAgainByTheAddress(t *testing.T) {
	r := returns(t)
	env := envelope("shop@example.com", "example.com")
	addr := r.For(env, 3, start)
	if local := mail.Local(addr); len(local) > 64 || !strings.HasPrefix(local, "bounce+") || mail.Domain(addr) != "mail.example.com" {
		t.Fatalf("return path %q", addr)
	}
	want := Token{Msg: env.ID, Group: 3, Day: time.Date(2026, 4, 15, 0, 0, 0, 0, time.UTC)}
	crockford := strings.NewReplacer("0", "o", "1", "l")
	token := crockford.Replace(strings.TrimSuffix(strings.TrimPrefix(addr, "bounce+"), "@mail.example.com"))
	for name, given := range map[string]string{
		"as it was sent": addr, "in lower case": strings.ToLower(addr), "in upper case": strings.ToUpper(addr),
		"quoted": `"` + mail.Local(addr) + `"@mail.example.com`, "written down by hand": "bounce+" + token + "@mail.example.com",
	} {
		if kind, got := r.Look(given, start.Add(5*day)); kind != Wrapped || got != want {
			t.Errorf("%s: %v %+v", name, kind, got)
		}
	}
}

func TestWhatAnAddressIsToUs(t *testing.T) {
	r := returns(t)
	good := r.For(envelope("shop@example.com", "example.com"), 0, start)
	flipped := []byte(good)
	if at := len("bounce+") + 5; flipped[at] == 'A' {
		flipped[at] = 'B'
	} else {
		flipped[at] = 'A'
	}
	for name, c := range map[string]struct {
		addr string
		want Kind
	}{
		"another domain":           {strings.Replace(good, "mail.example.com", "example.com", 1), Foreign},
		"another name":             {"info@mail.example.com", Foreign},
		"a name that begins alike": {"bouncer@mail.example.com", Foreign},
		"the plain address":        {"Bounce@MAIL.example.com", Plain},
		"one character changed":    {string(flipped), Wrong},
		"one character missing":    {good[:7] + good[8:], Wrong},
		"one character more":       {strings.Replace(good, "bounce+", "bounce+0", 1), Wrong},
		"nothing behind it":        {"bounce+@mail.example.com", Wrong},
		"somebody's guess":         {"bounce+sales@mail.example.com", Wrong},
		"no domain":                {"bounce", Foreign},
		"nothing":                  {"", Foreign},
		"a token that is good":     {good, Wrapped},
	} {
		if got, tok := r.Look(c.addr, start); got != c.want || (got != Wrapped && tok != Token{}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestATokenExpiresAndAForeignKeyMakesNone(t *testing.T) {
	r := ring(t, Lives{Token: 10 * day})
	text := r.Make(Token{Msg: 1, Day: start})
	for _, c := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {10 * day, nil}, {12 * day, ErrExpired}} {
		if _, err := r.Read(text, start.Add(c.after)); !errors.Is(err, c.want) {
			t.Errorf("after %v: %v", c.after, err)
		}
	}
	if _, err := ring(t, Lives{}).Read(text, start); !errors.Is(err, ErrForged) {
		t.Errorf("by another ring: %v", err)
	}
	if _, err := r.Read("", start); !errors.Is(err, ErrNone) {
		t.Errorf("nothing: %v", err)
	}
}

func TestAKeyThatWasReplacedIsGoodUntilItsLastTokenExpires(t *testing.T) {
	dir, lives := t.TempDir(), Lives{Key: 90 * day, Token: 30 * day}
	r, err := OpenRing(dir, lives, start)
	if err != nil {
		t.Fatal(err)
	}
	turn := start.Add(90 * day)
	old := r.Make(Token{Msg: 7, Day: turn.Add(-day)})
	if err := r.Turn(turn); err != nil {
		t.Fatal(err)
	}
	fresh := r.Make(Token{Msg: 7, Day: turn})
	again, err := OpenRing(dir, lives, turn.Add(29*day)) // after a restart
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{old, fresh} {
		if _, err := again.Read(text, turn.Add(29*day)); err != nil {
			t.Errorf("29 days after the turn: %v", err)
		}
	}
	if err := again.Turn(turn.Add(32 * day)); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Read(old, turn.Add(-day)); !errors.Is(err, ErrForged) { // even with a clock set back: the key is gone
		t.Errorf("32 days after the turn: %v", err)
	}
	if len(again.keys) != 1 {
		t.Errorf("%d keys are kept", len(again.keys))
	}
}

func TestTheFileOfKeysIsItsOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenRing(dir, Lives{}, start); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestAFileThatIsNoFileOfKeysIsLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "a word": "secret\n", "a short key": "1776000000 00ff\n", "no time": "x " + strings.Repeat("00", 32) + "\n", "only a remark": "# keys\n",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, KeyFile)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRing(dir, Lives{}, start); err == nil {
			t.Errorf("%s is taken", name)
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != text {
			t.Errorf("%s was changed: %q %v", name, b, err)
		}
	}
	if _, err := OpenRing(filepath.Join(t.TempDir(), "missing"), Lives{}, start); err == nil {
		t.Error("a directory that is not there")
	}
}

func TestWhenKeysCannotBeKeptTheOldOnesStay(t *testing.T) {
	r := ring(t, Lives{})
	text := r.Make(Token{Msg: 1, Day: start})
	r.file = filepath.Join(r.file, "below", "a file")
	if err := r.Turn(start.Add(200 * day)); err == nil {
		t.Fatal("no word of it")
	}
	if _, err := r.Read(text, start); err != nil {
		t.Error(err)
	}
}

func TestWhoseReversePathIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		env  *mail.Envelope
		want bool
	}{
		"a domain of the list, its header below the bounce domain's organisation": {envelope("a@example.com", "example.com"), true},
		"case does not matter":                       {envelope("a@EXAMPLE.com", "example.com"), true},
		"a subdomain of the list, signed":            {envelope("a@news.example.org", "news.example.org", "example.org"), true},
		"a subdomain of the list, not signed":        {envelope("a@news.example.org", "news.example.org"), false},
		"signed by somebody else":                    {envelope("a@news.example.org", "news.example.org", "example.net"), false},
		"the base domain of a list of subdomains":    {envelope("a@example.org", "example.org", "example.org"), false},
		"a domain that is not in the list":           {envelope("a@example.net", "example.net", "example.net"), false},
		"the null reverse-path":                      {envelope("", "example.com"), false},
		"no domain":                                  {envelope("root", "example.com"), false},
		"a message without a From field, not signed": {envelope("a@example.com", ""), false},
	} {
		r := returns(t)
		got := r.For(c.env, 0, start)
		if (got != c.env.From) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	r := returns(t)
	r.Senders, r.Unsigned = []string{"*"}, true
	if got := r.For(envelope("a@example.net", "example.net"), 0, start); !strings.HasPrefix(got, "bounce+") {
		t.Errorf("all senders, signed or not: %q", got)
	}
	r.Address.Domain = "example.com"
	if got := r.For(envelope("BOUNCE+x@example.com", "example.com"), 0, start); got != "BOUNCE+x@example.com" {
		t.Errorf("an address of ours is wrapped again: %q", got)
	}
}

func TestOnlyAPlainAddressIsABounceAddress(t *testing.T) {
	for s, want := range map[string]bool{
		"bounce@mail.example.com": true, "b@example.com": true, "a.b-c_d@example.com": true, strings.Repeat("a", MaxName) + "@example.com": true,
		strings.Repeat("a", MaxName+1) + "@example.com": false, "": false, "bounce": false, "@example.com": false, "a b@example.com": false, "a+b@example.com": false,
		`"a"@example.com`: false, "Name <a@example.com>": false, "a@": false,
	} {
		if _, err := ParseAddress(s, '+'); (err == nil) != want {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := ParseAddress("a@example.com", '.'); err == nil {
		t.Error("a dot is taken for a delimiter")
	}
	if a, err := ParseAddress("Bounce@MAIL.example.com", '-'); err != nil || a.String() != "Bounce@mail.example.com" {
		t.Errorf("%v %v", a, err)
	}
}

func TestATokenIsFoundWhereverItStands(t *testing.T) {
	r := returns(t)
	env := envelope("a@example.com", "example.com")
	addr := r.For(env, 9, start)
	for name, text := range map[string]string{
		"alone": addr, "in brackets": "Return-Path: <" + strings.ToLower(addr) + ">", "as an original recipient": "rfc822;" + addr,
		"behind a false one": "bounce+" + strings.Repeat("0", tokenChars) + "@x " + addr, "at the end of a line": "to bounce+" + strings.Split(addr[7:], "@")[0],
	} {
		if got, ok := r.Find(text, start); !ok || got.Msg != env.ID || got.Group != 9 {
			t.Errorf("%s: %+v %v", name, got, ok)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "another name": strings.Replace(addr, "bounce", "mounce", 1), "longer than a token": strings.Replace(addr, "@", "0@", 1), "too far behind": strings.Repeat(" ", maxText) + addr,
	} {
		if _, ok := r.Find(text, start); ok {
			t.Errorf("%s: found", name)
		}
	}
}

func TestEveryTokenIsReadAgainAndEveryChangeIsSeen(t *testing.T) {
	r := ring(t, Lives{})
	rapid.Check(t, func(t *rapid.T) {
		in := Token{
			Msg: mail.ID(rapid.Uint64().Draw(t, "msg")), Group: rapid.IntRange(0, 65535).Draw(t, "group"),
			Day: start.Truncate(day).Add(-time.Duration(rapid.IntRange(0, 29).Draw(t, "days")) * day),
		}
		text := r.Make(in)
		if out, err := r.Read(text, start); err != nil || out != in {
			t.Fatalf("%+v became %+v, %v", in, out, err)
		}
		at, c := rapid.IntRange(0, len(text)-1).Draw(t, "at"), rapid.SampledFrom([]byte(alphabet)).Draw(t, "to")
		changed := text[:at] + string(c) + text[at+1:]
		if _, err := r.Read(changed, start); (err == nil) != (changed == text) {
			t.Fatalf("%s as %s: %v", text, changed, err)
		}
	})
}

func FuzzLook(f *testing.F) {
	r := returns(f)
	good := r.For(envelope("a@example.com", "example.com"), 1, start)
	_, want := r.Look(good, start)
	for _, s := range []string{good, strings.ToLower(good), "", "bounce+@mail.example.com", "<" + good + ">", `"bounce+x"@mail.example.com`, "bounce+\x00@mail.example.com", strings.Repeat("bounce+", 1000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, tok := r.Look(s, start)
		if kind == Wrapped && tok != want {
			t.Fatalf("%q is taken for %+v", s, tok)
		}
		if found, ok := r.Find(s, start); ok && found != want {
			t.Fatalf("%q holds %+v", s, found)
		}
		if b, ok := decode(s); ok && !strings.EqualFold(encode(b), strings.NewReplacer("o", "0", "O", "0", "i", "1", "I", "1", "l", "1", "L", "1").Replace(s)) {
			t.Fatalf("%q is read as %q", s, encode(b))
		}
		if keys, err := parseKeys(s); (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	r := ring(b, Lives{})
	text := r.Make(Token{Msg: 1, Day: start})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(text, start); err != nil {
			b.Fatal(err)
		}
	}
}
