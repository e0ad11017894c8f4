package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func catalogue(t testing.TB) *Catalogue {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryRowIsRecognisedByItsExampleHosts(t *testing.T) {
	c := catalogue(t)
	if len(c.All()) < 67 {
		t.Errorf("%d rows, 67 were gathered", len(c.All()))
	}
	for _, r := range c.All() {
		if len(r.MX) > 0 && len(r.Hosts) == 0 {
			t.Errorf("%s: has MX suffixes and no example host", r.ID)
		}
		for _, h := range r.Hosts {
			m := c.ByMX([]string{h})
			if m.Row != r {
				t.Errorf("%s: its host %s is taken for %+v", r.ID, h, m)
				continue
			}
			if want := r.Provider; !r.Separate && m.ID != want {
				t.Errorf("%s: %s has ID %s, want %s", r.ID, h, m.ID, want)
			}
			if m.Gateway != (r.Type == Gateway) {
				t.Errorf("%s: %s: gateway %v for a %s", r.ID, h, m.Gateway, r.Type)
			}
			if !strings.HasSuffix("."+h, "."+m.Suffix) {
				t.Errorf("%s: %s is said to match %s", r.ID, h, m.Suffix)
			}
		}
	}
}

func TestWhoReceives(t *testing.T) {
	c := catalogue(t)
	for _, x := range []struct {
		name  string
		hosts []string
		id    ID
		row   string
		why   Why
	}{
		{"gmail.com and Workspace decide together", []string{"gmail-smtp-in.l.google.com"}, "google", "google-gmail", WhySuffix},
		{"a Workspace domain is Google", []string{"ASPMX.L.GOOGLE.COM.", "alt1.aspmx.l.google.com"}, "google", "google-workspace", WhySuffix},
		{"Outlook.com is not Microsoft 365", []string{"outlook-com.olc.protection.outlook.com"}, "microsoft-consumer", "microsoft-consumer", WhySuffix},
		{"a tenant is Microsoft 365", []string{"example-com.mail.protection.outlook.com"}, "microsoft-365", "microsoft-365", WhySuffix},
		{"a tenant with DANE is Microsoft 365", []string{"example-org.a-v1.mx.microsoft"}, "microsoft-365", "microsoft-365", WhySuffix},
		{"AT&T lies at Yahoo", []string{"mx-att.mail.am0.yahoodns.net"}, "yahoo", "yahoo-aol", WhySuffix},
		{"Yahoo! JAPAN is another company", []string{"mx1.mail.yahoo.co.jp"}, "yahoo-japan", "yahoo-japan", WhySuffix},
		{"iCloud", []string{"mx01.mail.icloud.com"}, "icloud", "apple-icloud", WhySuffix},
		{"a gateway decides for those behind it", []string{"mx0a-00000001.pphosted.com"}, "proofpoint", "proofpoint", WhyGateway},
		{"a placeholder receives nothing", []string{"ms12345678.msv1.invalid.outlook.com"}, "microsoft-365", "microsoft-365", WhyPlaceholder},
		{"a placeholder gives way to a host", []string{"ms12345678.msv1.invalid.outlook.com", "aspmx.l.google.com"}, "google", "google-workspace", WhySuffix},
		{"rows of unrelated companies keep them apart", []string{"smtp-in.libero.it"}, "libero.it", "italy-isps", WhySuffix},
		{"and go by the registrable domain", []string{"mx.jcom.zaq.ne.jp"}, "zaq.ne.jp", "other-jp-isp", WhySuffix},
		{"the most preferred host decides", []string{"mail.example.co.uk", "aspmx.l.google.com"}, "example.co.uk", "", WhyUnknown},
		{"an unknown host stands for its domain", []string{"mx3.mail.example.co.jp"}, "example.co.jp", "", WhyUnknown},
		{"an implicit MX is the domain itself", []string{"sub.example.org"}, "example.org", "", WhyUnknown},
		{"customers with a subdomain of a hoster are kept apart", []string{"mx.customer.dyndns.org"}, "customer.dyndns.org", "", WhyUnknown},
		{"a name under no known top level", []string{"mx1.corp.test"}, "corp.test", "", WhyUnknown},
		{"a single label stands for itself", []string{"localhost"}, "localhost", "", WhyUnknown},
		{"a public suffix stands for itself", []string{"co.jp"}, "co.jp", "", WhyUnknown},
		{"an address literal", []string{"[192.0.2.1]"}, "[192.0.2.1]", "", WhyLiteral},
		{"an IPv6 literal", []string{"[IPv6:2001:DB8::1]"}, "[2001:db8::1]", "", WhyLiteral},
		{"a bare address", []string{"2001:db8:0::1"}, "[2001:db8::1]", "", WhyLiteral},
		{"a null MX", []string{""}, "", "", WhyNone},
		{"no host at all", nil, "", "", WhyNone},
		{"a name of dots only", []string{".", ".."}, "", "", WhyNone},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := c.ByMX(x.hosts)
			row := ""
			if m.Row != nil {
				row = m.Row.ID
			}
			if m.ID != x.id || row != x.row || m.Why != x.why {
				t.Errorf("%v: got %s, row %q, %s", x.hosts, m.ID, row, m.Why)
			}
			if m.Placeholder != (x.why == WhyPlaceholder) || m.Gateway != (x.why == WhyGateway) {
				t.Errorf("flags do not fit the reason: %+v", m)
			}
		})
	}
}

func TestLookAlikesAreNotTheProvider(t *testing.T) {
	c := catalogue(t)
	for _, h := range []string{
		"mygoogle.com.evil.example", "notgoogle.com", "aspmx.l.google.com.evil.example", "xaspmx-l-google.com", "google.com.co",
		"fakeprotection.outlook.com.example", "mail-protection-outlook.com", "pphosted.com.example", "evilpphosted.com",
		"icloud.com.example.net", "yahoodns.net.example", "microsoft", "notmx.microsoft.example",
	} {
		if m := c.ByMX([]string{h}); m.Row != nil {
			t.Errorf("%s is taken for %s by %s", h, m.ID, m.Suffix)
		}
	}
}

func TestByDomainKnowsConsumersWithoutDNS(t *testing.T) {
	c := catalogue(t)
	for domain, want := range map[string]ID{
		"gmail.com": "google", "GoogleMail.com.": "google", "hotmail.co.jp": "microsoft-consumer", "me.com": "icloud", "aol.com": "yahoo",
		"docomo.ne.jp": "docomo", "abc.ocn.ne.jp": "ocn", "t.vodafone.ne.jp": "softbank",
	} {
		if m, ok := c.ByDomain(domain); !ok || m.ID != want || m.Why != WhyDomain {
			t.Errorf("%s: %v, %+v", domain, ok, m)
		}
	}
	for _, domain := range []string{"example.org", "", "sub.gmail.com", "ocn.ne.jp", "notgmail.com"} {
		if m, ok := c.ByDomain(domain); ok || m.ID != "" {
			t.Errorf("%s is taken for %s", domain, m.ID)
		}
	}
}

func TestLimitsAreThoseOfTheStrictestRowAndNeverZero(t *testing.T) {
	c := catalogue(t)
	for id, want := range map[ID][2]int{
		"google": {5, 50}, "icloud": {10, 5}, "yahoo": {20, 20}, "yahoo-japan": {2, 20}, "comcast": {25, 1000},
		"kpnmail.nl": {10, 10}, "proofpoint": {20, 100}, "example.org": {20, 100}, "": {20, 100},
	} {
		if l := c.Limits(id); l.MaxConns != want[0] || l.MaxMsgsPerConn != want[1] {
			t.Errorf("%s: %d connections, %d messages each, want %v", id, l.MaxConns, l.MaxMsgsPerConn, want)
		}
	}
	if l := c.Limits("yahoo-japan"); l.PerSecond != 10 {
		t.Errorf("yahoo-japan: %v messages per second", l.PerSecond)
	}
	if !c.Limits("google").TLS || c.Limits("example.org").TLS {
		t.Error("TLS is certain at Google, and not at a stranger's")
	}
	for _, r := range c.All() {
		if l := c.Limits(r.Provider); l.MaxConns <= 0 || l.MaxMsgsPerConn <= 0 {
			t.Errorf("%s: %+v", r.Provider, l)
		}
	}
}

func TestIDsOfTheCatalogueNeverMeetADomain(t *testing.T) {
	c := catalogue(t)
	for _, r := range c.All() {
		if strings.ContainsAny(r.ID+r.Provider, ".[]") {
			t.Errorf("%s, %s: an ID with a dot or bracket could be a domain or an address", r.ID, r.Provider)
		}
		if got, ok := c.Get(r.ID); !ok || got != r {
			t.Errorf("Get(%s) is not its row", r.ID)
		}
	}
	if rows := c.Rows("google"); len(rows) != 2 {
		t.Errorf("google has %d rows", len(rows))
	}
	if _, ok := c.Get("nobody"); ok {
		t.Error("a row named nobody")
	}
}

func TestEveryRowSaysWhereItComesFrom(t *testing.T) {
	c := catalogue(t)
	for _, r := range c.All() {
		if len(r.Sources) == 0 {
			t.Errorf("%s: no source", r.ID)
		}
		for _, s := range r.Requirements {
			if strings.HasPrefix(s, "@") || s == "" {
				t.Errorf("%s: a requirement was not filled in: %q", r.ID, s)
			}
		}
	}
	for key, s := range c.Sources {
		if s.Ref == "" {
			t.Errorf("source %s says nothing", key)
		}
	}
}

func TestAFileAddsRowsAndReplacesOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.toml")
	text := `
[[provider]]
id = "partner"
name = "A partner"
type = "mailbox"
mx = ["mx.partner.example", "smtp.google.com"]
confidence = "high"
[provider.limits]
connections = 3

[[provider]]
id = "comcast"
provider = "yahoo"
name = "Comcast, moved"
type = "isp"
mx = ["comcast.example"]
requirements = ["@bulk-2024"]
confidence = "low"
sources = ["bg"]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]ID{
		"in.mx.partner.example": "partner", "smtp.google.com": "partner", "aspmx.l.google.com": "google", "mx1.comcast.example": "yahoo", "mx1.comcast.net": "comcast.net",
	} {
		if m := c.ByHost(host); m.ID != want {
			t.Errorf("%s: %s, want %s", host, m.ID, want)
		}
	}
	if l := c.Limits("partner"); l.MaxConns != 3 || l.MaxMsgsPerConn != DefaultLimits.MaxMsgsPerConn {
		t.Errorf("limits of the partner: %+v", l)
	}
	if len(c.All()) != len(catalogue(t).All())+1 {
		t.Error("a replaced row is there twice, or a new one is missing")
	}
	if m := catalogue(t).ByHost("mx1.comcast.net"); m.ID != "comcast" {
		t.Errorf("the embedded catalogue was changed: %+v", m)
	}
	if _, err := LoadFile(filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a file that is not there was loaded")
	}
}

func TestMistakesOfAFileAreToldAllAtOnceWithTheirLines(t *testing.T) {
	for _, x := range []struct {
		name, text string
		want       []string
	}{
		{"not TOML", "[[provider]\n", []string{"own.toml:1:"}},
		{"a key that does not exist", "[[provider]]\nid = \"a\"\nmxx = []\n", []string{"own.toml:3:1: unknown key provider.mxx"}},
		{"a value of the wrong type", "[[provider]]\nid = 3\n", []string{"own.toml:2:"}},
		{"everything at once", `
[[provider]]
id = "Ä"
provider = "x y"
type = "bank"
confidence = "very"
mx = [
  "ok.example",
  ".dot.example",
  "UPPER.example",
]
domains = ["*.*"]
sources = ["nowhere"]
requirements = ["@nothing"]
[provider.limits]
connections = -1

[[provider]]
id = "b"
name = "B"
type = "isp"
confidence = "low"
mx = ["b.example"]

[[provider]]
id = "b"
name = "B again"
type = "isp"
confidence = "low"
placeholder = ["b.example"]
`, []string{
			`own.toml:3: an id is made of`, `own.toml:4: an id is made of`, `own.toml:2: a name is missing`, `own.toml:5: "bank" is not a type`,
			`own.toml:6: "very" is not a confidence`, `own.toml:9: ".dot.example" is not a host name`, `own.toml:10: "UPPER.example"`,
			`own.toml:12: "*.*"`, `own.toml:13: no source has the key "nowhere"`, `own.toml:14: no requirement has the key "nothing"`,
			`own.toml:16: a limit is below 0`, `own.toml:26: the id "b" stands in line 19 already`, `own.toml:30: "b.example" stands in the row of line 19 already`,
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := catalogue(t).With("own.toml", []byte(x.text))
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, w := range x.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is missing in:\n%v", w, err)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; len(x.want) > 1 && n != len(x.want) {
				t.Errorf("%d mistakes told, want %d:\n%v", n, len(x.want), err)
			}
		})
	}
}

func TestTheTextOfAMatchHasItsValues(t *testing.T) {
	args := catalogue(t).ByHost("mx0a-1.pphosted.com").Args()
	got := map[any]any{}
	for i := 0; i+1 < len(args); i += 2 {
		got[args[i]] = args[i+1]
	}
	if got["provider"] != "proofpoint" || got["suffix"] != "pphosted.com" || got["host"] != "mx0a-1.pphosted.com" || got["name"] == "" {
		t.Errorf("%v", got)
	}
	if a := (Match{ID: "example.org"}).Args(); a[3] != "example.org" {
		t.Errorf("an unknown provider is named by its ID: %v", a)
	}
}

func FuzzByMX(f *testing.F) {
	for _, s := range []string{"aspmx.l.google.com", "mygoogle.com.evil.example", "[IPv6:::1]", "[", "1", "a..b.", "ms1.msv1.invalid.outlook.com", "\x80.co.jp", ".", "::ffff:1.2.3.4"} {
		f.Add(s, "mx.example.org")
	}
	c := catalogue(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		m := c.ByMX([]string{a, b})
		if m.ID == "" && (strings.TrimRight(a, ".") != "" || strings.TrimRight(b, ".") != "") {
			t.Errorf("%q, %q: somebody receives, and has no ID", a, b)
		}
		if m.Row != nil && !strings.HasSuffix("."+m.Host, "."+m.Suffix) {
			t.Errorf("%q is said to lie under %q", m.Host, m.Suffix)
		}
		if m.Row != nil && m.Row.Type == Gateway != m.Gateway {
			t.Errorf("%q: gateway %v", m.Host, m.Gateway)
		}
		if again := c.ByHost(m.Host); m.Host != "" && again.ID != m.ID {
			t.Errorf("%q is %q at first and %q then", m.Host, m.ID, again.ID)
		}
		c.ByDomain(a)
	})
}

func BenchmarkByMX(b *testing.B) {
	c := catalogue(b)
	for name, hosts := range map[string][]string{
		"known": {"alt1.gmail-smtp-in.l.google.com", "gmail-smtp-in.l.google.com"}, "unknown": {"mx3.mail.example.co.jp"}, "literal": {"[192.0.2.1]"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.ByMX(hosts)
			}
		})
	}
}

func TestAProviderIsCalledByTheNamesOfItsRows(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[ID]string{
		"google": "Gmail / Google Workspace", "icloud": "Apple iCloud Mail", "example.co.uk": "example.co.uk",
	} {
		if got := c.Name(id); got != want {
			t.Errorf("%s is called %q, want %q", id, got, want)
		}
	}
}
