package dnsbl

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/provider"
)

func TestTheEmbeddedCatalogueIsGood(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	alive, dead := 0, 0
	zones := make(map[string]string)
	for _, l := range c.Lists {
		if l.Dead() {
			dead++
			if l.Use.Profile != Off {
				t.Errorf("%s is dead and would be asked", l.ID)
			}
			continue
		}
		alive++
		if other := zones[l.Zone]; other != "" {
			t.Errorf("%s and %s have the zone %s", l.ID, other, l.Zone)
		}
		zones[l.Zone] = l.ID
		if !slices.Contains([]string{"high", "medium", "low"}, l.About.Confidence) || len(l.About.Sources) == 0 {
			t.Errorf("%s does not say how far it can be trusted", l.ID)
		}
		for _, s := range l.About.Sources {
			if c.Sources[s] == "" {
				t.Errorf("%s: source %q is not explained", l.ID, s)
			}
		}
		if l.Use.Profile == Core && (l.Use.Weight == 0 && l.Entries.Severity == Block || l.Delist.URL == "") {
			t.Errorf("%s is asked always, and nobody knows how to get off it", l.ID)
		}
		if l.Delist.Who != "" && !slices.Contains([]string{"owner", "network", "wait"}, l.Delist.Who) {
			t.Errorf("%s: who may ask: %q", l.ID, l.Delist.Who)
		}
	}
	if alive != 127 || dead < 35 {
		t.Errorf("%d lists, %d dead ones", alive, dead)
	}
}

// The rows that matter most, told by their answers.
func TestTheCatalogueKnowsWhatTheGreatListsMean(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	ip, domain := Target{IP: netip.MustParseAddr("192.0.2.5")}, Target{Domain: "example.com"}
	tests := []struct {
		zone     string
		target   Target
		code     string
		state    State
		scope    Scope
		severity Severity
		who      string
	}{
		{"zen.spamhaus.org", ip, "127.0.0.2", Listed, ScopeIP, Block, "network"},
		{"zen.spamhaus.org", ip, "127.0.0.3", Listed, ScopeIP, Block, "owner"},
		{"zen.spamhaus.org", ip, "127.0.0.9", Listed, ScopeRange, Block, "network"},
		{"zen.spamhaus.org", ip, "127.0.0.10", Listed, ScopeRange, Policy, "owner"},
		{"zen.spamhaus.org", ip, "127.0.0.77", Broken, ScopeIP, Block, "owner"},
		{"dbl.spamhaus.org", domain, "127.0.1.2", Listed, ScopeDomain, Block, "owner"},
		{"dbl.spamhaus.org", domain, "127.0.1.255", Broken, ScopeDomain, Block, "owner"},
		{"multi.uribl.com", domain, "127.0.0.1", ResolverUnfit, ScopeDomain, Block, "owner"},
		{"multi.uribl.com", domain, "127.0.0.2", Listed, ScopeDomain, Block, "owner"},
		{"multi.uribl.com", domain, "127.0.0.4", Clean, ScopeDomain, Block, "owner"},
		{"multi.surbl.org", domain, "127.0.0.1", ResolverUnfit, ScopeDomain, Block, "owner"},
		{"multi.surbl.org", domain, "127.0.0.72", Listed, ScopeDomain, Block, "owner"},
		{"list.dnswl.org", ip, "127.0.5.3", Clean, ScopeIP, Allow, ""},
		{"list.dnswl.org", ip, "127.0.0.255", Refused, ScopeIP, Allow, ""},
		{"list.dnswl.org", ip, "127.0.10.3", Refused, ScopeIP, Allow, ""},
		{"all.spamrats.com", ip, "127.0.0.36", Listed, ScopeIP, Policy, "owner"},
		{"all.spamrats.com", ip, "127.0.0.5", Broken, ScopeIP, Block, "owner"},
		{"dnsbl-2.uceprotect.net", ip, "127.0.0.2", Listed, ScopeRange, Block, "network"},
		{"dnsbl-3.uceprotect.net", ip, "127.0.0.2", Listed, ScopeASN, Info, "network"},
		{"hostkarma.junkemailfilter.com", ip, "127.0.0.1", Clean, ScopeIP, Block, "owner"},
		{"bl.score.senderscore.com", ip, "127.0.0.3", Listed, ScopeIP, Block, "owner"},
		{"score.spfbl.net", ip, "127.0.1.12", Clean, ScopeIP, Info, ""},
	}
	for _, tt := range tests {
		l := c.List(tt.zone)
		if l == nil {
			t.Errorf("no list %s", tt.zone)
			continue
		}
		a := c.Interpret(l, tt.target, says(tt.code), nil)
		severity := a.Severity
		if tt.state != Listed && tt.state != Clean {
			severity = tt.severity // of an error it means nothing
		}
		if a.State != tt.state || a.Scope != tt.scope || severity != tt.severity || a.Who() != tt.who {
			t.Errorf("%s %s: %s %s %s %q, want %s %s %s %q", tt.zone, tt.code, a.State, a.Scope, a.Severity, a.Who(), tt.state, tt.scope, tt.severity, tt.who)
		}
	}
}

func TestAMistakeNamesItsLineAndWhatToDo(t *testing.T) {
	const good = "[[list]]\nid = \"a\"\nzone = \"a.example\"\n[list.entries]\nlists = [\"ip4\"]\n"
	tests := []struct{ name, text, want string }{
		{"no TOML", good + "x = = 1\n", "c.toml:6: this is not TOML"},
		{"an unknown name", good + "lits = [\"ip4\"]\n", `c.toml:6: there is no setting "list.entries.lits" here`},
		{"nothing in it", "# nothing\n", "c.toml: there is no [[list]] in it"},
		{"an id twice", good + good, `c.toml:7: the id "a" stands here a second time`},
		{"no id", "[[list]]\nzone = \"a.example\"\n[list.entries]\nlists = [\"ip4\"]\n", "c.toml:1: this list has no id"},
		{"no zone", good + "[[list]]\nid = \"b\"\n[list.entries]\nlists = [\"ip4\"]\n", `c.toml:6: the list "b" has neither a zone`},
		{"a zone that is none", strings.Replace(good, "a.example", "a..example", 1), `c.toml:3: "a..example" is not the name of a zone`},
		{"a zone without its key", "[[list]]\nid = \"b\"\nkeyed_zone = \"{key}.b.example\"\n[list.entries]\nlists = [\"ip4\"]\n", `c.toml:3: the list "b" is asked with a key only`},
		{"a keyed zone without a place", "[[list]]\nid = \"b\"\nzone = \"b.example\"\nkeyed_zone = \"b.example\"\n[list.entries]\nlists = [\"ip4\"]\n", `c.toml:4: "b.example" must be the name of a zone with {key}`},
		{"a key that is none", good + "[keys]\na = \"no key!\"\n", `c.toml:7: the key of "a" cannot be part of a name`},
		{"nothing that it lists", "[[list]]\nid = \"a\"\nzone = \"a.example\"\n", `c.toml:1: the list "a" does not say what it lists`},
		{"what cannot be listed", strings.Replace(good, "ip4", "ip5", 1), `c.toml:5: lists cannot be "ip5"; choose one of: ip4, ip6, domain, hash`},
		{"a code that is none", good + "codes = [\n{ code = \"127.0.0.2\" },\n{ code = \"10.0.0.2\" },\n]\n", `c.toml:8: "10.0.0.2" is not a return code`},
		{"a state that is none", good + "codes = [ { code = \"127.0.0.2\", state = \"bad\" } ]\n", `c.toml:6: state cannot be "bad"`},
		{"a profile that is none", good + "[list.use]\nprofile = \"always\"\n", `c.toml:7: profile cannot be "always"`},
		{"a weight out of bounds", good + "[list.use]\nweight = 11\n", "c.toml:7: a weight of 11"},
		{"a negative rate", good + "[list.use]\nrate = -1.0\n", "c.toml:7: rate and daily"},
		{"a test entry that is none", good + "[list.test]\nlisted = \"a..b\"\n", `c.toml:7: "a..b" is neither`},
		{"a format that is none", good + "[list.feed]\npath = \"x\"\nformat = \"xml\"\n", `"xml" is not a format`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("c.toml", []byte(tt.text))
			if err == nil || c != nil {
				t.Fatal("it was taken")
			}
			if got := i18n.ErrorText(i18n.EN, err); !strings.HasPrefix(got, tt.want) && !strings.Contains(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if ja := i18n.ErrorText(i18n.JA, err); !strings.Contains(ja, "。") && !strings.Contains(ja, "：") {
				t.Errorf("no Japanese: %s", ja)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := Parse("c.toml", []byte("[[list]]\nid = \"a\"\nzone = \"a..b\"\n[list.use]\nweight = 99\n"))
	if got := strings.Count(i18n.ErrorText(i18n.EN, err), "c.toml:"); got != 3 {
		t.Errorf("%d mistakes: %v", got, err)
	}
	var e *i18n.Error
	if !errors.As(err, &e) {
		t.Error("not an error for people")
	}
}

func TestAFileExtendsTheCatalogueOrStandsAlone(t *testing.T) {
	const row = "[[list]]\nid = \"spamcop\"\nzone = \"sc.example\"\n[list.entries]\nlists = [\"ip4\"]\n"
	alone, extended := mustParse(t, row), mustParse(t, "extends = true\n"+row+"[keys]\nspamhaus = \"k1\"\n")
	if len(alone.Lists) != 1 || len(extended.Lists) < 160 {
		t.Fatalf("%d and %d lists", len(alone.Lists), len(extended.Lists))
	}
	if extended.List("spamcop").Zone != "sc.example" {
		t.Error("the own row does not stand before the embedded one")
	}
	if z := extended.List("spamhaus-zen").Shown(); z != "***.zen.dq.spamhaus.net" {
		t.Errorf("zone %s", z)
	}
	base, _ := Load()
	if z := base.List("spamhaus-zen").Shown(); z != "zen.spamhaus.org" {
		t.Errorf("the key got into the embedded catalogue: %s", z)
	}
	if a := alone.Interpret(alone.Lists[0], Target{IP: netip.MustParseAddr("192.0.2.1")}, says("127.255.255.254"), nil); a.State != ResolverUnfit {
		t.Errorf("a catalogue that stands alone does not know the common errors: %s", a.State)
	}
}

func TestListsThatAreNotToBeAskedAreNot(t *testing.T) {
	c, _ := Load()
	for _, kind := range []Kind{IP4, IP6, Domain} {
		usual, all := c.For(kind, false), c.For(kind, true)
		if len(usual) == 0 || len(all) <= len(usual) {
			t.Errorf("%s: %d usually, %d of all", kind, len(usual), len(all))
		}
		for _, l := range all {
			if l.Dead() || l.needsKey() || !l.Holds(kind) {
				t.Errorf("%s is asked about %s", l.ID, kind)
			}
		}
		for _, l := range usual {
			if l.Use.Profile == Off || l.Use.Profile == OptIn {
				t.Errorf("%s is asked", l.ID)
			}
		}
	}
}

func TestAFeedThatCannotBeReadIsAMistakeOfTheCatalogue(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "lists.toml")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("lists.toml", "[[list]]\nid = \"a\"\n[list.entries]\nlists = [\"ip4\"]\n[list.feed]\npath = \"a.txt\"\nformat = \"cidr\"\n")
	if _, err := LoadFile(file); err == nil {
		t.Error("a feed that is not there was taken")
	}
	write("a.txt", "192.0.2.1\nnonsense\n")
	if _, err := LoadFile(file); err == nil || !strings.Contains(err.Error(), "a.txt:2:") {
		t.Errorf("%v", err)
	}
	write("a.txt", "192.0.2.1\n")
	c, err := LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := New(c, &answers{}, Options{})
	for ip, want := range map[string]State{"192.0.2.1": Listed, "192.0.2.2": Clean} {
		if a := e.Ask(t.Context(), c.Lists[0], Target{IP: netip.MustParseAddr(ip)}); a.State != want || !a.Feed {
			t.Errorf("%s: %s", ip, a.State)
		}
	}
	old := time.Now().Add(-72 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), old, old); err != nil {
		t.Fatal(err)
	}
	if c, err = LoadFile(file); err != nil {
		t.Fatal(err)
	}
	if a := New(c, &answers{}, Options{}).Ask(t.Context(), c.Lists[0], Target{IP: netip.MustParseAddr("192.0.2.2")}); a.State != Broken || a.Why != WhyFeedOld {
		t.Errorf("an old file says %s", a.State)
	}
}

func TestProvidersThatUseAListAreThoseOfTheCatalogue(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[provider.ID]bool)
	for _, row := range all.All() {
		known[row.Provider] = true
	}
	n := 0
	for _, l := range c.Lists {
		for _, id := range l.Use.Providers {
			n++
			if !known[id] {
				t.Errorf("%s: no provider is called %q", l.ID, id)
			}
		}
	}
	if n == 0 {
		t.Error("no list is known to be used by anybody")
	}
}
