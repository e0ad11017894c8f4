package classify

import (
	"slices"
	"testing"
)

func TestMeansIsTheVerdictWithoutAText(t *testing.T) {
	r := rules(t)
	for name, want := range map[string]Verdict{
		"google.unsolicited-from-netblock": {Class: "ip_reputation", Blame: BlameRange, Scope: ScopeRange, Detour: true, Reputation: true, Rule: "google.unsolicited-from-netblock"},
		"google.content":                   {Class: "spam_content", Blame: BlameContent, Scope: ScopeMessage, Rule: "google.content"},
		"google.none":                      {},
	} {
		if got := r.Means(name); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMarksAndListsAreThoseOfTheFiles(t *testing.T) {
	r := rules(t)
	if !slices.Contains(r.Marks("google"), "gsmtp") || r.Marks("nobody") != nil {
		t.Errorf("marks: %q %q", r.Marks("google"), r.Marks("nobody"))
	}
	ip, domain, both := r.Listed("ip"), r.Listed("domain"), r.Listed("any")
	if !slices.Contains(ip, "spamhaus pbl") || slices.Contains(ip, "spamhaus dbl") || !slices.Contains(domain, "spamhaus dbl") {
		t.Error("lists of addresses and of domains are mixed")
	}
	if len(both) != len(ip)+len(domain) || r.Listed("") != nil {
		t.Errorf("%d of %d and %d", len(both), len(ip), len(domain))
	}
}

func TestRivalsAreTheRulesThatWouldTakeAnExample(t *testing.T) {
	r := rules(t)
	if got := r.Rivals("google.unsolicited-from-ip"); !slices.Contains(got, "google.unusual-rate") {
		t.Errorf("rivals: %q", got)
	}
	if got := r.Rivals("google.none"); got != nil {
		t.Errorf("of a rule that is not there: %q", got)
	}
}
