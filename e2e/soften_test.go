package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/peersim"
	"ukai/internal/soften"
)

// postfixTables returns a root with Postfix in it and the tables at /etc/postfix/{reply,status}. Nothing is started.
func postfixTables(t *testing.T, rules *classify.Rules) *mta {
	t.Helper()
	dir := t.TempDir()
	m := &mta{t: t, name: "postfix", root: filepath.Join(dir, "root")}
	m.unpack()
	m.write("/etc/postfix/main.cf", "compatibility_level = 3.6\nmyhostname = "+mtaHost+"\n")
	for name, text := range map[string][]byte{"reply": soften.Reply(rules), "status": soften.Status(rules)} {
		path := filepath.Join(m.root, "etc/postfix", name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// postmap looks keys up in a table and returns the results by key.
func (m *mta) postmap(table string, keys []string) map[string]string {
	m.t.Helper()
	cmd := m.command([]string{"/usr/sbin/postmap", "-q", "-", "regexp:/etc/postfix/" + table})
	cmd.Stdin = strings.NewReader(strings.Join(keys, "\n") + "\n")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && len(out) == 0 || errs.Len() > 0 {
		m.t.Fatalf("postmap: %v\n%s", err, errs.String())
	}
	found := make(map[string]string)
	for _, l := range strings.Split(string(out), "\n") {
		key, result, _ := strings.Cut(l, "\t")
		found[key] = result
	}
	return found
}

// permanentRefusals returns the permanent refusals that package classify is tested with, their lines joined by blanks.
func permanentRefusals(t *testing.T, rules *classify.Rules) []string {
	t.Helper()
	b, err := os.ReadFile("../internal/classify/testdata/language.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range strings.Split(string(b), "\n") {
		if _, text, ok := strings.Cut(l, " | "); ok && l[0] != '#' {
			all = append(all, text)
		}
	}
	for _, d := range rules.All() {
		all = append(all, d.Rule.Example)
	}
	var out []string
	for _, text := range all {
		if len(text) > 4 && text[0] == '5' && strings.Trim(text[:3], "0123456789") == "" && (text[3] == ' ' || text[3] == '-') {
			out = append(out, text)
		}
	}
	return out
}

// asReply takes a refusal apart as an SMTP client does, and returns its last line, too.
func asReply(text string) (r mail.Reply, last string) {
	last = text[:3] + " " + text[4:]
	if i := strings.LastIndex(text, " "+text[:3]+" "); text[3] == '-' && i > 0 {
		last = text[i+1:]
	}
	r.Code = int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
	word, _, _ := strings.Cut(last[4:], " ")
	if st, _ := mail.ParseStatus(word); st.Class == 5 {
		r.Status = st
	}
	r.Lines = []string{text[4:]}
	return r, last
}

// TestPostfixReadsTheTablesAsMeant holds the tables, as Postfix itself reads them, against package classify.
func TestPostfixReadsTheTablesAsMeant(t *testing.T) {
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	m := postfixTables(t, rules)
	soft := func(p outcome.Phase, r mail.Reply) bool {
		v := rules.Classify(&outcome.Outcome{Phase: p, Reply: r})
		return v.Detour && v.Reputation && (v.Blame == classify.BlameIP || v.Blame == classify.BlameRange)
	}
	statuses, lines := make(map[string]bool), make(map[string]bool)
	commands := map[outcome.Phase]string{outcome.MailFrom: "MAIL FROM", outcome.RcptTo: "RCPT TO", outcome.EndOfData: "end of DATA"}
	for _, text := range permanentRefusals(t, rules) {
		r, last := asReply(text)
		st := "5.0.0"
		if r.Status.Class == 5 {
			st = r.Status.String()
		}
		for p, command := range commands {
			statuses[fmt.Sprintf("%s host mx.example.org[203.0.113.9] said: %s (in reply to %s command)", st, text, command)] = soft(p, r)
		}
		lines[last] = lines[last] || soft(outcome.EndOfData, r)
	}
	if n := wrongly(t, m, "status", statuses); n > 0 {
		t.Errorf("%d refusals for the address would bounce", n)
	}
	if n := wrongly(t, m, "reply", lines); n > 2 { // two replies have their reason in a line before the last
		t.Errorf("%d last lines of refusals for the address are not softened", n)
	}
}

// wrongly looks keys up, complains of every one that is softened against its wish, and counts those that should be and are not.
func wrongly(t *testing.T, m *mta, table string, want map[string]bool) (missing int) {
	t.Helper()
	keys := make([]string, 0, len(want))
	wished := 0
	for k, soft := range want {
		keys = append(keys, k)
		if soft {
			wished++
		}
	}
	found := m.postmap(table, keys)
	for k, soft := range want {
		switch got := found[k]; {
		case soft && got == "" || soft && got == k:
			missing++
			t.Logf("%s does not soften %s", table, k)
		case soft && got[0] != '4', !soft && got != "" && got != k:
			t.Errorf("%s makes of %s\n%s", table, k, got)
		}
	}
	t.Logf("%s: %d keys, %d to be softened, %d of them missed", table, len(want), wished, missing)
	return missing
}

// TestPostfixTakesRefusalsForTheAddressForTemporary shows on a running Postfix what becomes of a refusal: by the line, by the
// status, and in the greeting.
func TestPostfixTakesRefusalsForTheAddressForTemporary(t *testing.T) {
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	refusals := map[string]struct {
		match  peersim.Match
		text   string
		status string
	}{
		"lines.example":   {peersim.Match{Phase: peersim.EndOfData}, "550-5.7.1 [127.0.0.1      18] Our system has detected that this message is\n550-5.7.1 likely suspicious due to the very low reputation of the sending IP\n550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x - gsmtp", "deferred"},
		"second.example":  {peersim.Match{Phase: peersim.EndOfData}, "550-5.7.1 likely suspicious due to the very low reputation of the sending IP\n550 5.7.1 address. x - gsmtp", "deferred"},
		"rcpt.example":    {peersim.Match{Phase: peersim.RcptTo}, "550 5.7.1 Mail from IP 127.0.0.1 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=127.0.0.1", "deferred"},
		"greets.example":  {peersim.Match{Phase: peersim.Greeting}, "554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=127.0.0.1", "deferred"},
		"content.example": {peersim.Match{Phase: peersim.EndOfData}, "550-5.7.1 [127.0.0.1      12] Our system has detected that this message is\n550 5.7.1 likely unsolicited mail. x - gsmtp", "bounced"},
		"nobody.example":  {peersim.Match{Phase: peersim.RcptTo}, "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550 5.1.1 double-checking the recipient's email address. x - gsmtp", "bounced"},
	}
	var providers []peersim.Provider
	var rcpts []string
	for domain, r := range refusals {
		providers = append(providers, peersim.Provider{Name: domain, Groups: []peersim.Group{{Domains: []string{domain}}},
			Rules: []peersim.Rule{{Name: "no", Match: r.match, Reply: r.text}}})
		rcpts = append(rcpts, "a@"+domain)
	}
	world(t, append(providers, peersim.Provider{Name: "home", Groups: []peersim.Group{{Domains: []string{"sender.example"}}}})...)
	m := startMTA(t, "postfix")
	for name, text := range map[string][]byte{"reply": soften.Reply(rules), "status": soften.Status(rules)} {
		if err := os.WriteFile(filepath.Join(m.root, "etc/postfix", name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// No smtp(8) runs yet: the first one reads the settings as they are then.
	m.write("/etc/postfix/main.cf", mtaSetups["postfix"].files["/etc/postfix/main.cf"]+
		"smtp_reply_filter = regexp:/etc/postfix/reply\nsmtp_delivery_status_filter = regexp:/etc/postfix/status\n")
	m.submit(rcpts, len(rcpts), "soft")
	for domain, r := range refusals {
		want := "to=<a@" + domain + ">"
		if l := m.lineWith(want, "status="); !strings.Contains(l, "status="+r.status) {
			t.Errorf("want %s: %s", r.status, l)
		}
	}
}

// lineWith waits for a line of the log that has all these words in it.
func (m *mta) lineWith(words ...string) string {
	m.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	lines:
		for _, l := range strings.Split(m.lines(), "\n") {
			for _, w := range words {
				if !strings.Contains(l, w) {
					continue lines
				}
			}
			return l
		}
	}
	m.t.Errorf("no line with %q in the log", words)
	return ""
}
