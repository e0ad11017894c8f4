package classify

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ukai/internal/mail"
)

// form brings a text into the form that rules are compared with, the signs as they are written in rules.
func form(code int, s string) (string, *text) {
	var t text
	t.reset(code, mail.Status{}, netip.Addr{})
	t.add(s)
	t.finish()
	f := strings.NewReplacer("\x01", "{ip}", "\x02", "{addr}").Replace(string(t.norm))
	return f, &t
}

func TestTheFormOfAText(t *testing.T) {
	for _, x := range []struct {
		name, in, want string
		code           int
		status         string
	}{
		{"one line", "550 5.1.1 User  Unknown", " user unknown ", 550, "5.1.1"},
		{"lines that were joined", "550-5.7.1 very low reputation of the sending 550-5.7.1 IP address 550 5.7.1 blocked", " very low reputation of the sending ip address blocked ", 550, "5.7.1"},
		{"lines without a status", "553-you are trying 553-to use me 553 as a relay (#5.7.1)", " you are trying to use me as a relay ", 553, "5.7.1"},
		{"line ends written out", `421-4.7.0 Try again\n421 4.7.0 later`, " try again later ", 421, "4.7.0"},
		{"line ends", "421-4.7.0 Try again\r\n421 4.7.0 later", " try again later ", 421, "4.7.0"},
		{"a line that begins with an address", "521-192.0.2.1 blocked 521 for abuse", " {ip} blocked for abuse ", 521, ""},
		{"another number stays", "550 size 552 exceeds 5120", " size 552 exceeds 5120 ", 550, ""},
		{"a number with a dash stays", "550 id=1 450-12 x", " id=1 450-12 x ", 550, ""},
		{"an address", "550 <User@Example.ORG>... no such user, sender=a+b=c@d.example;", " {addr} no such user, {addr}; ", 550, ""},
		{"an address literal", "550 <u@[192.0.2.1]>: no", " {addr}: no ", 550, ""},
		{"an @ that is no address", "550 @ foo@ @bar", " @ foo@ @bar ", 550, ""},
		{"an IP address in brackets", "550 [192.0.2.1] and (192.0.2.2), 192.0.2.3:25 [IPv6:2001:db8::1]", " {ip} and {ip}, {ip}:25 {ip} ", 550, ""},
		{"an IP address behind a host", "550 mx.example.org[2001:db8::25]: no", " mx.example.org{ip}: no ", 550, ""},
		{"what is no IP address", "550 1.2.3 1.2.3.4.5 256.1.1.1 12:30:45 192-0-2-1.example.net v1.2.3.4 1.2.3.4.example.net", " 1.2.3 1.2.3.4.5 256.1.1.1 12:30:45 192-0-2-1.example.net v1.2.3.4 1.2.3.4.example.net ", 550, ""},
		{"accents", "421 Service refusé. Boîte pleine, Größe, łódź", " service refuse. boite pleine, grosse, lodz ", 421, ""},
		{"accents in Latin-1", "421 refus\xe9", " refuse ", 421, ""},
		{"Japanese and full-width", "550 ＵＳＥＲ　が存在しません！", " user が存在しません! ", 550, ""},
		{"Russian", "550 Пользователь НЕ найден", " пользователь не найден ", 550, ""},
		{"typographic quotes and dashes", "550 weren’t “sent” – no", " weren't \"sent\" - no ", 550, ""},
		{"a signed × stays", "550 2×2", " 2×2 ", 550, ""},
		{"a reported reply", "host mx.example.org[192.0.2.9] said: 550 5.1.1 no", " host mx.example.org{ip} said: no ", 550, "5.1.1"},
		{"a status in the middle", "Remote host said: 552 <x> (#5.2.2)", " remote host said: <x> ", 552, "5.2.2"},
		{"a quoted code", "Depot returns error: <552 5.2.2 Over quota>", " depot returns error: over quota> ", 552, "5.2.2"},
		{"control characters", "550 a\x00b\x1b[1mc\x7f", " a b [1mc  ", 550, ""},
		{"nothing", "", " ", 0, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, txt := form(0, x.in)
			if got != x.want || txt.code != x.code || txt.status.String() != x.status {
				t.Errorf("%q\n got %q %d %s\nwant %q %d %s", x.in, got, txt.code, txt.status, x.want, x.code, x.status)
			}
		})
	}
}

func TestWhatATextNames(t *testing.T) {
	for _, x := range []struct{ in, ip, url string }{
		{"550 [192.0.2.1      18] see https://a.example/x?y=1.", "192.0.2.1", "https://a.example/x?y=1"},
		{"550 see <http://a.example/?ip=192.0.2.1>, then http://b.example/", "192.0.2.1", "http://a.example/?ip=192.0.2.1"},
		{"550 see HTTP://A.example/)", "", "HTTP://A.example/"},
		{"550 see http:// and ftp://a.example", "", ""},
		{"550 2001:db8::1: no", "2001:db8::1", ""},
		{"550 from 2001:DB8:0:0::25.", "2001:db8::25", ""},
		{"550 [::ffff:192.0.2.1] no", "::ffff:192.0.2.1", ""},
		{"host [203.0.113.1] said: 550 from 192.0.2.1, not 192.0.2.2", "192.0.2.1", ""},
		{"550 see http://a.example/1.2.3.4.html", "", "http://a.example/1.2.3.4.html"},
		{"550 the mail of 2026:11:22", "", ""},
	} {
		_, txt := form(0, x.in)
		ip := ""
		if txt.ip.IsValid() {
			ip = txt.ip.String()
		}
		if ip != x.ip || txt.url != x.url {
			t.Errorf("%s: %q %q, want %q %q", x.in, ip, txt.url, x.ip, x.url)
		}
	}
}

func TestALongTextIsCutAndNotReadForever(t *testing.T) {
	s := "550 " + strings.Repeat("x ", 1<<20) + "user unknown"
	if _, txt := form(0, s); len(txt.norm) > maxText+64 {
		t.Errorf("%d octets are looked at", len(txt.norm))
	}
	one := "550 " + strings.Repeat("y", 1<<20)
	if _, txt := form(0, one); len(txt.norm) > maxText+64 {
		t.Errorf("%d octets of one word are looked at", len(txt.norm))
	}
	if v := rules(t).Text("", s); v.Class != Unclassified {
		t.Errorf("%+v", v)
	}
}

func TestPhrases(t *testing.T) {
	for _, x := range []struct {
		phrase, text string
		want         bool
	}{
		{"user unknown", "550 User  unknown", true},
		{"user * unknown", "550 user <a@b.example> is unknown", true},
		{"user * unknown", "550 user unknown", true},
		{"user * unknown", "550 user " + strings.Repeat("x", gap) + " unknown", false},
		{"user * unknown", "550 user a. This one: user b unknown", true},
		{"user * unknown", "550 unknown user", false},
		{"one * two * three", "550 one 1 one 2 two 3 three", true},
		{"one * two * three", "550 one three two", false},
		{"|rbl|", "550 in an RBL, sorry", true},
		{"|rbl|", "550 garbled", false},
		{"|rbl|", "550 marbl rbls", false},
		{"|rbl", "550 rbls", true},
		{"rbl|", "550 marbl", true},
		{"|rbl| * list", "550 garbled rbl in a list", true},
		{"mail from {ip} refused", "550 Mail from [192.0.2.1] refused", true},
		{"{addr} unknown", "550 <a@b.example> unknown", true},
		{"Boîte pleine", "550 boite PLEINE", true},
		{"受信拒否", "550 受信拒否です", true},
	} {
		p, err := parsePhrase(x.phrase)
		if err != nil {
			t.Fatal(err)
		}
		_, txt := form(0, x.text)
		if got := p.in(txt.norm); got != x.want {
			t.Errorf("%q in %q: %v", x.phrase, txt.norm, got)
		}
	}
	for _, s := range []string{"", "x", "|a|", "ok * b"} {
		if _, err := parsePhrase(s); err == nil {
			t.Errorf("the phrase %q was taken", s)
		}
	}
}

func TestTheAutomatonFindsWhatASearchFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[abc]{1,5}`), 1, 30).Draw(t, "words")
		text := []byte(rapid.StringMatching(`[abcd]{0,60}`).Draw(t, "text"))
		type hit struct {
			word string
			end  int
		}
		got, want := make(map[hit]bool), make(map[hit]bool)
		newAutomaton(words).run(text, func(n uint32, end int) { got[hit{words[n], end}] = true })
		for _, w := range words {
			for i := 0; i+len(w) <= len(text); i++ {
				if bytes.HasPrefix(text[i:], []byte(w)) {
					want[hit{w, i + len(w)}] = true
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("words %q in %q: found %v, want %v", words, text, got, want)
		}
		for h := range want {
			if !got[h] {
				t.Fatalf("words %q in %q: %v is missing", words, text, h)
			}
		}
	})
}

func TestAnAutomatonOfNothingFindsNothing(t *testing.T) {
	newAutomaton(nil).run([]byte("text"), func(uint32, int) { t.Error("something was found") })
	newAutomaton([]string{""}).run([]byte("text"), func(uint32, int) { t.Error("an empty word was found") })
}

func TestHostNamesOfLists(t *testing.T) {
	for s, want := range map[string]bool{"bl.example.net": true, "a-b.c_d.org": true, "x": false, "": false, ".net": false, "a.b": false, "1.2.3.4": false, "a..b": false, "policy": false, "a b.net": false} {
		if isHost(s) != want {
			t.Errorf("isHost(%q) = %v", s, !want)
		}
	}
}
