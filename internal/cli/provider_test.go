package cli

import (
	"net/netip"
	"strings"
	"testing"

	"ukai/internal/dns"
	"ukai/internal/i18n"
	"ukai/internal/provider"
)

func TestWhoReceivesIsToldWhateverTheDNSSays(t *testing.T) {
	catalogue, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	here := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	r := &dns.Static{
		MXs: map[string][]dns.MX{
			"workspace.example.com": {{Host: "alt1.aspmx.l.google.com", Pref: 5}, {Host: "aspmx.l.google.com", Pref: 1}},
			"null.example.com":      {{}},
			"xn--wgv71a119e.jp":     {{Host: "mx.example.net", Pref: 10}},
			"behind.example.com":    {{Host: "mx0a-00000001.pphosted.com", Pref: 10}},
		},
		Hosts:  map[string][]netip.Addr{"own.example.com": here, "aspmx.l.google.com": here},
		Texts:  map[string][]string{"bare.example.com": {"v=spf1 -all"}},
		Errors: map[string]*dns.Error{"away.example.com": dns.TemporaryError("mx", "away.example.com", "timeout"), "gmail.com": dns.TemporaryError("mx", "gmail.com", "timeout")},
	}
	var out, errs strings.Builder
	q := &inquiry{env: at(&out, &errs, nil), catalogue: catalogue, resolver: r}
	for name, c := range map[string]struct{ asked, domain, state, provider string }{
		"a customer's domain at Google":          {"workspace.example.com", "workspace.example.com", byMX, "google"},
		"an address in capitals":                 {"Hanako@Workspace.Example.COM", "workspace.example.com", byMX, "google"},
		"an address in brackets":                 {" <hanako@workspace.example.com> ", "workspace.example.com", byMX, "google"},
		"a name with its root":                   {"workspace.example.com.", "workspace.example.com", byMX, "google"},
		"a Japanese name":                        {"日本語.jp", "xn--wgv71a119e.jp", byMX, "example.net"},
		"a gateway":                              {"behind.example.com", "behind.example.com", byMX, "proofpoint"},
		"a domain that receives by itself":       {"own.example.com", "own.example.com", byDomain, "example.com"},
		"a domain that takes no mail":            {"null.example.com", "null.example.com", nullMX, ""},
		"a domain without any server":            {"bare.example.com", "bare.example.com", noAddress, ""},
		"a domain that is not there":             {"missing.example.com", "missing.example.com", noDomain, ""},
		"a domain that cannot be found out":      {"away.example.com", "away.example.com", lookupFail, ""},
		"a domain that the catalogue knows":      {"gmail.com", "gmail.com", byCatalog, "google"},
		"an MX host":                             {"aspmx.l.google.com", "aspmx.l.google.com", byHost, "google"},
		"an MX host that does not answer":        {"gone.mail.protection.outlook.com", "gone.mail.protection.outlook.com", byHost, "microsoft-365"},
		"an address of the internet":             {"[192.0.2.1]", "[192.0.2.1]", byHost, "[192.0.2.1]"},
		"an address literal behind a local part": {"x@[IPv6:2001:db8::1]", "[2001:db8::1]", byHost, "[2001:db8::1]"},
		"nonsense":                               {"foo..bar", "", badName, ""},
		"nothing":                                {"", "", badName, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := q.find(t.Context(), c.asked)
			if got.Domain != c.domain || got.State != c.state || got.Provider != c.provider {
				t.Errorf("domain %q, state %q, provider %q; want %q, %q, %q", got.Domain, got.State, got.Provider, c.domain, c.state, c.provider)
			}
			out.Reset()
			for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
				q.lang = l
				q.showAll(&out, []*receiver{got}, false)
				q.showAll(&out, []*receiver{got, got}, true)
			}
			if hole.MatchString(out.String()) || strings.Contains(out.String(), "cli.provider") {
				t.Errorf("a hole in %s", out.String())
			}
		})
	}
}

func TestTheExitCodeSaysWhetherThereIsAnAnswer(t *testing.T) {
	catalogue, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := &dns.Static{
		MXs:    map[string][]dns.MX{"null.example.com": {{}}},
		Errors: map[string]*dns.Error{"away.example.com": dns.TemporaryError("mx", "away.example.com", "timeout")},
	}
	for asked, want := range map[string]int{
		"null.example.com": exitDone, "missing.example.com": exitFailed, "away.example.com": exitUnknown,
		"missing.example.com away.example.com null.example.com": exitUnknown,
	} {
		var out, errs strings.Builder
		e := at(&out, &errs, nil)
		q := &inquiry{env: e, catalogue: catalogue, resolver: r}
		err := q.run(t.Context(), strings.Fields(asked), false)
		if code := e.report(newRoot(e), err); code != want || errs.Len() > 0 {
			t.Errorf("%s: %d, want %d; %s", asked, code, want, errs.String())
		}
	}
}
