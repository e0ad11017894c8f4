package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/api"
	"ukai/internal/classify"
	"ukai/internal/dispatch"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

const ownRule = `
[[rule]]
name = "partner"
class = "CLASS"
any = ["nicht hier"]
example = "550 nicht hier"
source = "our partner's admin"
`

func TestRulesOfTheDirectoryAreTakenWhileItRuns(t *testing.T) {
	c := settings(t)
	c.Classify.Dir = t.TempDir()
	file := filepath.Join(c.Classify.Dir, "own.toml")
	put := func(class string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(ownRule, "CLASS", class)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("policy")
	log := &logs{}
	a, _ := running(t, c, Options{Log: log.logger()})
	judged := func() string {
		return a.rules.Classify(&outcome.Outcome{Phase: outcome.RcptTo, Reply: mail.Reply{Code: 550, Lines: []string{"nicht hier"}}}).Class
	}
	if got := judged(); got != "policy" {
		t.Fatal(got)
	}
	put("ip_reputation")
	eventually(t, "the rules are read again", func() bool { return judged() == "ip_reputation" })
	put("nonsense class")
	eventually(t, "the mistake is told", func() bool { return strings.Contains(log.String(), "nonsense class") })
	if got := judged(); got != "ip_reputation" {
		t.Errorf("broken rules took effect: %s", got)
	}

	put("nonsense again")
	next := *c
	if err := a.Reload(t.Context(), &next); err == nil || !strings.Contains(err.Error(), "nonsense again") {
		t.Errorf("a reload with broken rules: %v", err)
	}
	next.Classify.Dir = ""
	if err := a.Reload(t.Context(), &next); err != nil {
		t.Fatal(err)
	}
	if got := judged(); got == "ip_reputation" {
		t.Error("the directory is no longer in the settings, and still in use")
	}
}

func TestBrokenRulesAreToldAtTheStart(t *testing.T) {
	c := settings(t)
	c.Classify.Dir = filepath.Join(t.TempDir(), "absent")
	if a, err := New(t.Context(), c, Options{Log: (&logs{}).logger()}); err == nil {
		a.Close()
		t.Error("started without the rules that were asked for")
	}
}

func TestAReplyThatNoRuleKnowsIsKeptForAPerson(t *testing.T) {
	c := settings(t)
	a, _ := running(t, c, Options{Log: (&logs{}).logger()})
	o := &outcome.Outcome{Provider: "example.org", Phase: outcome.RcptTo, Reply: mail.Reply{Code: 550, Lines: []string{"blorp for ann@example.org"}}}
	a.judged(dispatch.Judged{Outcome: o, Verdict: &classify.Verdict{Class: classify.Unclassified}, Recipients: 1})
	client := api.NewClient(c.Data)
	eventually(t, "it is on the list", func() bool {
		l, err := client.Unclassified(t.Context(), "", 10)
		return err == nil && len(l.Entries) == 1 && strings.Contains(l.Entries[0].Text, "blorp") && !strings.Contains(l.Entries[0].Text, "ann")
	})
}
