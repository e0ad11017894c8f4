package explain

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ukai/internal/classify"
	"ukai/internal/i18n"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestStepsAreThoseOfTheListAndOfTheProvider(t *testing.T) {
	x := load(t)
	for name, c := range map[string]struct {
		text  string
		says  []string // in the steps or parts
		never []string
	}{
		"the PBL accuses nobody": {
			"550 5.7.1 Mail from IP 192.0.2.1 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=192.0.2.1 (support.apple.com)",
			[]string{"The PBL is not the SBL", "https://check.spamhaus.org/", "http://www.spamhaus.org/query/bl?ip=192.0.2.1", "icloudadmin@apple.com", "Look 192.0.2.1 up at Spamhaus PBL", "It accuses nobody"},
			[]string{"neighbour"},
		},
		"UCEPROTECT gets no money": {
			"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using dnsbl-3.uceprotect.net",
			[]string{"Do not pay", "network that 192.0.2.1 lies in", "neighbour"}, nil,
		},
		"a block of Gmail outlives the listing": {gmail, []string{"outlives", "192.0.2.18", "https://support.google.com/mail/answer/188131", "another way"}, []string{"blocklist's page"}},
		"the name of a domain is not cured by a detour": {
			"550-5.7.1 Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain. 550 5.7.1 x - gsmtp",
			[]string{"Do not try another IP address", "no detour on purpose"}, []string{"sends the refused message itself out by another way"},
		},
		"reverse DNS is set where the address comes from": {
			"550-5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup. x - gsmtp", []string{"dig +short -x 192.0.2.1", "hosting provider"}, nil,
		},
		"greylisting needs patience only": {"450 4.2.0 <x@example.net>: Recipient address rejected: Greylisted", []string{"over the same way", "Nothing. The mail arrives"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := x.Say(i18n.EN, &x.Any([]byte(c.text))[0])
			all := strings.Join(append([]string{w.Head, w.What, w.Fault, w.Ukai}, w.You...), "\n")
			for _, s := range c.says {
				if !strings.Contains(all, s) {
					t.Errorf("%q is missing in:\n%s", s, all)
				}
			}
			for _, s := range c.never {
				if strings.Contains(all, s) {
					t.Errorf("%q stands in:\n%s", s, all)
				}
			}
		})
	}
}

func TestAuthenticationIsExplainedWithTheDomainAndTheAddress(t *testing.T) {
	x := load(t)
	f := Finding{Kind: Report, Sender: "a@example.com", Verdict: classify.Verdict{Class: "auth_failure", Blame: classify.BlameAuthentication, Action: classify.Fail, IP: ip("2001:db8::1")}}
	for l, want := range map[i18n.Lang][]string{
		i18n.EN: {"dig +short TXT example.com", "ip6:2001:db8::1", "_dmarc.example.com"},
		i18n.JA: {"dig +short TXT example.com", "ip6:2001:db8::1", "_dmarc.example.com"},
	} {
		steps := strings.Join(x.Say(l, &f).You, "\n")
		for _, s := range want {
			if !strings.Contains(steps, s) {
				t.Errorf("%s: %q is missing in:\n%s", l, s, steps)
			}
		}
	}
}

func TestLinksAreTakenFromTheSteps(t *testing.T) {
	for text, want := range map[string][]string{
		"see https://example.org/a?b=c, or (https://example.net/).":        {"https://example.org/a?b=c", "https://example.net/"},
		"登録します(https://example.org/x/)。mailto:a@example.org まで":            {"https://example.org/x/", "mailto:a@example.org"},
		"https://example.org/ ; https://example.org/ twice, http:// never": {"https://example.org/"},
	} {
		if got := links([]string{text}); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Every list that has steps is one that the rules can name, and its text is made of a name, a page and steps in both languages.
func TestEveryListsTextIsWhole(t *testing.T) {
	all, err := i18n.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for key, text := range all {
		if !strings.HasPrefix(key, "explain.list.") {
			continue
		}
		n++
		for l, s := range map[i18n.Lang]string{i18n.EN: text.EN, i18n.JA: text.JA} {
			lines := strings.Split(s, "\n")
			if len(lines) < 3 || lines[0] == "" || lines[1] != "-" && firstLink(lines[1]) != lines[1] || slices.Contains(lines[2:], "") {
				t.Errorf("%s, %s: %q", key, l, s)
			}
		}
		if strings.Count(text.EN, "\n") != strings.Count(text.JA, "\n") {
			t.Errorf("%s: the languages differ in their steps", key)
		}
	}
	if n < 30 {
		t.Errorf("only %d lists", n)
	}
}
