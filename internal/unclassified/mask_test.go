package unclassified

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMaskTakesOutWhatNamesSomebody(t *testing.T) {
	for in, want := range map[string]string{
		"550 5.7.1 <john.doe@example.com>: nothing for you today":        "550 5.7.1 <address> nothing for you today",
		"550 strange weather at 192.0.2.1 and [2001:db8::17]":            "550 strange weather at <ip> and [<ip>]",
		"554 see https://postmaster.example.org/x?u=john&t=abc123":       "554 see <link:postmaster.example.org>",
		"554 see https://a8f3.u17.reports.example.org/":                  "554 see <link:reports.example.org>",
		"451 4.3.9 oddity 4BF1A2C3D4 (TSS04)":                            "451 4.3.9 oddity <id> (TSS##)",
		"550-5.9.9 first line 550 5.9.9 second line":                     "550-5.9.9 first line 550 5.9.9 second line",
		"550 mailbox jdoe dislikes you":                                  "550 mailbox <name> dislikes you",
		"550 user \"jdoe\" dislikes you":                                 "550 user <name> dislikes you",
		"550 \"john doe\"@example.com dislikes you":                      "550 <address> dislikes you",
		"550 mx1.example.com says no to bounce+tok=example.com@esp.test": "550 <host> says no to <address>",
		"550 john%40example.com: hm":                                     "550 <address> hm",
		"550 case 12345678 opened 17 times":                              "550 case ######## opened ## times",
		"554 ref aBcDeFgHiJkLmNoP":                                       "554 ref <id>",
		"554 何かがおかしい jdoe@example.jp 様":                                  "554 何かがおかしい <address> 様",
		"": "",
	} {
		if got := Mask(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestRepliesThatDifferOnlyInNamesAreOne(t *testing.T) {
	a := Mask("451 4.9.9 Message for <ann@example.com> from 192.0.2.1 put aside as 1a2b3c4d5e; see https://example.net/t/1")
	b := Mask("451 4.9.9 Message for <bob.smith@example.org> from 2001:db8::1 put aside as 99ffee88aa; see https://example.net/t/2?x=y")
	if a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// secrets draws what must not survive.
func TestNothingPersonalSurvivesWhereverItStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[a-z]{3,8}[._+-][a-z]{3,8}[0-9]{0,3}`).Draw(t, "local")
		token := rapid.StringMatching(`[0-9][A-Za-z0-9]{5,20}[a-z]`).Draw(t, "token")
		ip := rapid.StringMatching(`(192\.0\.2\.[1-9][0-9]?|2001:db8::[1-9a-f]{1,4})`).Draw(t, "ip")
		before := rapid.SampledFrom([]string{"550 ", "550 5.7.1 ", "451-4.3.0 odd ", "", "554 (", "550 said: "}).Draw(t, "before")
		form := rapid.SampledFrom([]string{"<%>", "%", "[%]", "(%)", "\"%\"", "'%'", "<%>:", "%;", "to=<%>,", "%..."}).Draw(t, "form")
		for _, secret := range []string{local + "@example.com", token, ip} {
			s := before + strings.ReplaceAll(form, "%", secret) + " dislikes it, see http://x.example/" + token + "?to=" + local
			got := Mask(s)
			if strings.Contains(got, local) || strings.Contains(got, token) || strings.Contains(got, ip) || strings.Contains(got, "@") {
				t.Fatalf("%s: %s", s, got)
			}
			if again := Mask(got); again != got {
				t.Fatalf("masked again: %s: %s", got, again)
			}
		}
	})
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"550 x", "<a@b>", "http://", "\xff\xfe", "550-550-550", "<link:x>", "\"\"@", strings.Repeat("a", 5000), "550 user 'a' <b>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Mask(s)
		if len(got) > maxText+64 {
			t.Errorf("%d octets", len(got))
		}
		if strings.ContainsAny(got, "@\n\r\x00") && strings.Contains(got, "@") {
			t.Errorf("an address may be left: %q", got)
		}
	})
}

func TestASampleHasExamplesInThePlacesOfWhatWasMasked(t *testing.T) {
	got := Sample("550 5.7.1 <address> from <ip> (<host>) TSS## see <link:example.org> <name> <id>")
	want := "550 5.7.1 <user@example.com> from 192.0.2.1 (mx.example.com) TSS11 see <https://example.org> user "
	if got != want {
		t.Errorf("got %q", got)
	}
}
