package cases

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ukai/internal/dnsbl"
	"ukai/internal/i18n"
)

// all returns a case for every list that says how to get out, or who may ask, and for every provider, as they look in the worst and
// in the best case.
func all(t *testing.T) (list []Case) {
	k := catalogues(t)
	add := func(key Key) {
		bare := Case{ID: 7, Key: key, State: Open, Opened: start, Due: start, About: About{Began: start}}
		full := bare
		full.State = Ready
		full.About = About{Began: start, Last: start.Add(time.Hour), Addresses: []netip.Addr{own}, Reply: "550 go away\n550 see page", URL: "https://list.example/1"}
		full.Fixes = []Fix{{At: start, What: "closed the form"}}
		full.Requests = []Request{{At: start.Add(time.Minute)}}
		for _, name := range []CheckName{CheckPTR, CheckForward, CheckGeneric, CheckHELO, CheckSPF, CheckRelay, CheckCause, CheckRecent} {
			full.Checks = append(full.Checks, Check{name, OK, map[string]string{"names": "mail.example.jp", "helo": "mail.example.jp", "domain": "example.jp", "ip": own.String(), "what": "w"}})
			for _, r := range []Result{Bad, Unknown} {
				bare.Checks = append(bare.Checks, Check{name, r, map[string]string{"why": "w", "names": "n", "helo": "h", "domain": "d", "ip": "i", "net": "n", "refused": "1", "at": "a", "until": "u"}})
			}
		}
		full.say(start, "cases.event.asked", "by", "hanako", "note", "ticket")
		list = append(list, bare, full)
	}
	for _, kind := range []dnsbl.Kind{dnsbl.IP4, dnsbl.IP6, dnsbl.Domain} {
		for _, l := range k.Lists.For(kind, true) {
			add(Key{Listing, l.ID, "192.0.2.7"})
			add(Key{Listing, l.ID, "192.0.2.0/24"})
			add(Key{Listing, l.ID, "example.jp"})
		}
	}
	for _, r := range k.Providers.All() {
		add(Key{Block, r.Provider, "192.0.2.0/24"})
	}
	add(Key{Listing, "nobody.example", "192.0.2.7"})
	add(Key{Block, "example.net", "direct"})
	return list
}

// whole checks that a text is one: no value left out, no key of the catalogue shown, nothing empty.
func whole(t *testing.T, c *Case, l i18n.Lang, text string) {
	t.Helper()
	if strings.ContainsAny(text, "{}") || strings.Contains(text, "cases.") || strings.TrimSpace(text) == "" || strings.Contains(text, "  \n") {
		t.Errorf("%+v in %s: %q", c.Key, l, text)
	}
}

func TestEveryListAndProviderHasItsWordsAndItsLetterInBothLanguages(t *testing.T) {
	k := catalogues(t)
	cases := all(t)
	if len(cases) < 400 {
		t.Fatalf("only %d", len(cases))
	}
	for n := range cases {
		c := &cases[n]
		f := k.Facts(c)
		if f.Name == "" || f.Term <= 0 {
			t.Errorf("%+v: %+v", c.Key, f)
		}
		for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
			w := c.Say(l, &f)
			texts := append([]string{w.Title, w.State, w.Next}, append(append(w.Door, w.Values...), w.Steps...)...)
			for _, k := range w.Checks {
				texts = append(texts, k.Text)
				if k.Result != OK {
					texts = append(texts, k.Do)
				}
			}
			for _, line := range w.Story {
				texts = append(texts, line.Text)
			}
			for _, text := range append(texts, c.Text(l, &f, time.UTC)) {
				whole(t, c, l, text)
			}
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	k := catalogues(t)
	for name, c := range map[string]struct {
		key  Key
		want string
	}{
		"an SBL entry is the network owner's":     {Key{Listing, "spamhaus-sbl", "192.0.2.7"}, Network},
		"a PBL range lets single addresses out":   {Key{Listing, "spamhaus-pbl", "192.0.2.0/24"}, Owner},
		"ZEN alone does not tell":                 {Key{Listing, "zen.spamhaus.org", "192.0.2.7"}, Depends},
		"SpamCop takes no requests":               {Key{Listing, "spamcop", "192.0.2.7"}, Wait},
		"one address at Barracuda":                {Key{Listing, "barracuda-brbl", "192.0.2.7"}, Owner},
		"a whole range at Barracuda":              {Key{Listing, "barracuda-brbl", "192.0.2.0/24"}, Network},
		"the /64 of one host":                     {Key{Listing, "psbl", "2001:db8::/64"}, Owner},
		"a list that nobody knows":                {Key{Listing, "nobody.example", "192.0.2.7"}, ""},
		"Google":                                  {Key{Block, "google", "192.0.2.0/24"}, Owner},
		"a provider that is not in the catalogue": {Key{Block, "example.net", "192.0.2.0/24"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if f := k.Facts(&Case{Key: c.key}); f.Who != c.want {
				t.Errorf("%q, want %q: %+v", f.Who, c.want, f)
			}
		})
	}
	if f := k.Facts(&Case{Key: Key{Listing, "uceprotect-1", "192.0.2.7"}}); f.Pay == "" {
		t.Error("that money is asked for is not said")
	}
}

func TestTheCodeOfAnEntryTellsWhoMayAsk(t *testing.T) {
	k := catalogues(t)
	for name, c := range map[string]struct {
		listed Listed
		want   string
	}{
		"SBL in ZEN":            {Listed{Code: "127.0.0.2", Who: Network, Scope: "ip"}, Network},
		"PBL in ZEN":            {Listed{Code: "127.0.0.10", Who: Owner, Scope: "range"}, Owner},
		"not seen by ourselves": {Listed{}, Depends},
	} {
		t.Run(name, func(t *testing.T) {
			got := k.Facts(&Case{Key: Key{Listing, "spamhaus-zen", "192.0.2.7"}, About: About{Listed: c.listed}})
			if got.Who != c.want {
				t.Errorf("%q, want %q", got.Who, c.want)
			}
		})
	}
	barracuda := Case{Key: Key{Listing, "barracuda-brbl", "192.0.2.7"}, About: About{Listed: Listed{Who: Owner, Scope: "range"}}}
	if got := k.Facts(&barracuda); got.Who != Network {
		t.Errorf("an entry for a range: %q", got.Who)
	}
}

func TestALetterHoldsWhatIsKnownAndNoMore(t *testing.T) {
	k := catalogues(t)
	key := Key{Listing, "spamhaus-sbl", "192.0.2.0/24"}
	f := k.Facts(&Case{Key: key})
	c := Case{Key: key, About: About{Began: start, Addresses: []netip.Addr{own}}, Checks: []Check{{CheckPTR, Bad, nil}, {CheckHELO, OK, map[string]string{"helo": "mail.example.jp"}}}}
	text := c.Text(i18n.EN, &f, time.FixedZone("JST", 9*3600))
	for _, want := range []string{"192.0.2.7", "192.0.2.0/24", "2019-04-15 18:00:00 +09:00", "EHLO name: mail.example.jp", "[What the cause was", "customer in your network"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, not := range []string{"Reverse DNS", "SPF", "A refusal", "Last refusal"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is not known, and stands in\n%s", not, text)
		}
	}
	c.Fixes = []Fix{{At: start, What: "closed the form"}}
	if text = c.Text(i18n.JA, &f, time.UTC); !strings.Contains(text, "closed the form (2019-04-15 09:00:00 +00:00)") || strings.Contains(text, "［原因") {
		t.Errorf("what was mended is not quoted:\n%s", text)
	}
}
