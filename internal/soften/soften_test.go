package soften

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// refusal is a permanent refusal as a server words it, in its lines.
type refusal struct {
	from  string // the rule whose example it is, or the class that a reader gave it
	lines []string
	said  mail.Reply
}

// refusals returns the permanent refusals among the rules' examples and among the replies that package classify is tested with.
func refusals(t testing.TB, rules *classify.Rules) []refusal {
	t.Helper()
	var out []refusal
	add := func(from, text string) {
		if r, ok := newRefusal(from, text); ok {
			out = append(out, r)
		}
	}
	for _, d := range rules.All() {
		add(d.Name, d.Rule.Example)
	}
	b, err := os.ReadFile("../classify/testdata/language.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		if class, text, ok := strings.Cut(l, " | "); ok && l[0] != '#' {
			add(class, text)
		}
	}
	if len(out) < 700 {
		t.Fatalf("only %d refusals", len(out))
	}
	return out
}

var permanent = regexp.MustCompile(`^5[0-9][0-9][- ]`)

// newRefusal takes a reply apart whose lines are joined by blanks.
func newRefusal(from, text string) (refusal, bool) {
	if !permanent.MatchString(text) {
		return refusal{}, false
	}
	r := refusal{from: from}
	code, rest := text[:3], text
	for rest[3] == '-' {
		i := strings.Index(rest[1:], " "+code+"-")
		if last := strings.Index(rest[1:], " "+code+" "); i < 0 || last >= 0 && last < i {
			i = last
		}
		if i < 0 {
			rest = code + " " + rest[4:] // only its first line is known
			break
		}
		r.lines = append(r.lines, rest[:i+1])
		rest = rest[i+2:]
	}
	r.lines = append(r.lines, rest)
	r.said.Code = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	word, _, _ := strings.Cut(rest[4:], " ")
	if st, _ := mail.ParseStatus(word); st.Class == 5 {
		r.said.Status = st
	}
	for _, l := range r.lines {
		r.said.Lines = append(r.said.Lines, l[4:])
	}
	return r, true
}

// last is the line whose code Postfix goes by.
func (r refusal) last() string { return r.lines[len(r.lines)-1] }

// key is what smtp(8) makes of a refusal in a phase.
func (r refusal) key(p outcome.Phase) string {
	st := "5.0.0"
	if r.said.Status.Class != 0 {
		st = r.said.Status.String()
	}
	command := map[outcome.Phase]string{outcome.MailFrom: "MAIL FROM", outcome.RcptTo: "RCPT TO", outcome.EndOfData: "end of DATA"}[p]
	if command == "" {
		return st + " host mx.example.org[203.0.113.9] refused to talk to me: " + strings.Join(r.lines, " ")
	}
	return st + " host mx.example.org[203.0.113.9] said: " + strings.Join(r.lines, " ") + " (in reply to " + command + " command)"
}

// wanted tells whether package classify sees a reason to try another way.
func wanted(v *classify.Verdict) bool {
	return v.Detour && v.Reputation && (v.Blame == classify.BlameIP || v.Blame == classify.BlameRange)
}

// untold are the refusals whose last line does not tell the reason, by what their last line is.
var untold = []string{
	"554 Connecting IP: 192.0.2.1",
	"554 For explanation visit https://www.ionos.com/help/email/error-messages",
}

// TestSoftensWhatBlamesTheAddressAndNothingElse holds both tables against package classify. Patterns are slow in Go: not
// every refusal is tried in every phase here; package e2e does so on a real Postfix.
func TestSoftensWhatBlamesTheAddressAndNothingElse(t *testing.T) {
	rules := load(t)
	inReply, inStatus := newEvaluator(t, Reply(rules)), newEvaluator(t, Status(rules))
	var wg sync.WaitGroup
	for part := range slices.Chunk(refusals(t, rules), 100) {
		wg.Go(func() {
			for i, r := range part {
				if i%3 == 0 {
					tryStatus(t, rules, inStatus, r, outcome.EndOfData)
				}
				if i%12 == 0 {
					tryStatus(t, rules, inStatus, r, outcome.MailFrom)
					tryStatus(t, rules, inStatus, r, outcome.RcptTo)
				}
				tryReply(t, rules, inReply, r)
			}
		})
	}
	wg.Wait()
}

func tryStatus(t *testing.T, rules *classify.Rules, e *evaluator, r refusal, p outcome.Phase) {
	v := rules.Classify(&outcome.Outcome{Phase: p, Reply: r.said})
	key := r.key(p)
	want := key
	if wanted(&v) {
		want = "4" + key[1:]
	}
	if got, found := e.lookup(key); found && got != want || !found && want != key {
		t.Errorf("%s, judged by %s:\n%s\nbecomes\n%s", r.from, v.Rule, key, got)
	}
}

func tryReply(t *testing.T, rules *classify.Rules, e *evaluator, r refusal) {
	v := rules.Classify(&outcome.Outcome{Phase: outcome.EndOfData, Reply: r.said})
	want := r.last()
	if wanted(&v) && !slices.Contains(untold, want) {
		want = "4" + want[1:]
		if strings.HasPrefix(want[4:], "5.") {
			want = want[:4] + "4" + want[5:]
		}
	}
	if got, found := e.lookup(r.last()); found && got != want || !found && want != r.last() {
		t.Errorf("%s, judged by %s:\n%s\nbecomes\n%s", r.from, v.Rule, r.last(), got)
	}
}

func load(t testing.TB) *classify.Rules {
	t.Helper()
	r, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRepliesLineByLine(t *testing.T) {
	rules := load(t)
	e := newEvaluator(t, Reply(rules))
	for name, c := range map[string]struct{ line, want string }{
		"Gmail, 2019: the last of five lines":             {"550 5.7.1  https://support.google.com/mail/answer/188131 for more information. k9si12 - gsmtp", "450 4.7.1  https://support.google.com/mail/answer/188131 for more information. k9si12 - gsmtp"},
		"a line before the last stays: its code is void":  {"550-5.7.1 likely suspicious due to the very low reputation of the sending IP", ""},
		"Apple, 2019, in one line":                        {"550 5.7.1 Mail from IP 153.122.1.2 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=153.122.1.2", "450 4.7.1 Mail from IP 153.122.1.2 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=153.122.1.2"},
		"a code without a status":                         {"554 Your ip address is blocked", "454 Your ip address is blocked"},
		"the domain in one line, with the address's page": {"550 5.7.1 [192.0.2.1] Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain. Please visit https://support.google.com/mail/answer/188131 for more information. x - gsmtp", "550 5.7.1 [192.0.2.1] Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain. Please visit https://support.google.com/mail/answer/188131 for more information. x - gsmtp"},
		"a last line that tells nothing":                  {"550 5.7.1 more information. k9si12 - gsmtp", ""},
		"a recipient who is not there":                    {"550 5.1.1 <a@example.org>: Recipient address rejected: User unknown", ""},
		"what is temporary anyhow":                        {"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", ""},
		"a greeting":                                      {"220 mx.example.org ESMTP", ""},
		"a feature":                                       {"250-SIZE 35882577", ""},
		"a bare code":                                     {"550", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := e.lookup(c.line); got != c.want {
				t.Errorf("%s\nbecomes %q", c.line, got)
			}
		})
	}
}

func TestStatusesOfOtherOriginStay(t *testing.T) {
	e := newEvaluator(t, Status(load(t)))
	for name, key := range map[string]string{
		"delivered":                      "2.0.0 250 2.0.0 OK: your ip address is blocked",
		"no such domain":                 "5.4.4 Host or domain name not found. Name service error for name=blocked-ip.example type=MX: Host not found",
		"a host that is called so":       "5.1.1 host blocked.your-ip.example[203.0.113.9] said: 550 5.1.1 no such user (in reply to RCPT TO command)",
		"a deferral":                     "4.7.1 host mx.example.org[203.0.113.9] said: 450 4.7.1 your ip address is blocked (in reply to RCPT TO command)",
		"our own login at a smarthost":   "5.7.8 SASL authentication failed; server relay.example[203.0.113.9] said: 535 5.7.8 your ip address is blocked",
		"a refusal of a command of ours": "5.5.0 host mx.example.org[203.0.113.9] said: 550 5.5.0 mail (in reply to MAIL FROM command)",
	} {
		t.Run(name, func(t *testing.T) {
			if got, found := e.lookup(key); found && got != key {
				t.Errorf("becomes %s", got)
			}
		})
	}
}

func TestRulesOfAnAdminAreInTheTables(t *testing.T) {
	dir := t.TempDir()
	text := `title = "Ours"
[[rule]]
name = "neighbour"
class = "ip_reputation"
any = ["we do not like your street * number", "{ip} lives|"]
codes = ["554"]
statuses = ["5.7.100-349"]
none = ["content"]
example = "554 5.7.120 we do not like your street or number"
source = "a test"
[[rule]]
name = "in-lines"
class = "ip_reputation"
any = ["street is banned"]
example = "550-your street is banned 550 read https://help.example/street?ip=192.0.2.1"
source = "a test"
[[rule]]
name = "not-ours"
class = "spam_content"
any = ["your ip address is a recipe"]
example = "550 your ip address is a recipe that is blocked"
source = "a test"
`
	if err := os.WriteFile(filepath.Join(dir, "own.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := classify.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := newEvaluator(t, Reply(rules))
	for line, want := range map[string]string{
		"554 5.7.120 we do not like your street or number":            "454 4.7.120 we do not like your street or number",
		"554 5.7.349 we do not like your street or number":            "454 4.7.349 we do not like your street or number",
		"554 5.7.350 we do not like your street or number":            "",
		"550 5.7.120 we do not like your street or number":            "",
		"554 5.7.120 we do not like your street, its number":          "454 4.7.120 we do not like your street, its number",
		"554 5.7.120 the content: we do not like your street, number": "",
		"554 5.7.120 [2001:db8::1] lives here":                        "454 4.7.120 [2001:db8::1] lives here",
		"554 5.7.120 192.0.2.7 livestock":                             "",
		"550 read https://help.example/street?ip=198.51.100.7":        "450 read https://help.example/street?ip=198.51.100.7",
		"550 your ip address is a recipe that is blocked":             "550 your ip address is a recipe that is blocked",
	} {
		if got, _ := e.lookup(line); got != want {
			t.Errorf("%s\nbecomes %q", line, got)
		}
	}
}

func TestTablesNameTheirRulesAndAreTheSameEachTime(t *testing.T) {
	rules := load(t)
	for _, table := range [][]byte{Reply(rules), Status(rules)} {
		for _, want := range []string{"ukai rules postfix --", "# google.low-reputation-ip\n", "rules, fingerprint "} {
			if !strings.Contains(string(table), want) {
				t.Errorf("no %q", want)
			}
		}
		for n, l := range strings.Split(string(table), "\n") {
			if strings.HasPrefix(l, " ") || strings.HasPrefix(l, "\t") {
				t.Errorf("line %d goes on with the one before", n+1)
			}
			if strings.HasPrefix(l, "#") {
				continue
			}
			if m := regexp.MustCompile(`\\[a-zA-Z0-9]|\(\?|\[\[:|[*+?]\?`).FindString(l); m != "" {
				t.Errorf("line %d has %q, which POSIX does not know", n+1, m)
			}
		}
	}
	if again := load(t); string(Reply(rules)) != string(Reply(again)) || string(Status(rules)) != string(Status(again)) {
		t.Error("the same rules, another table")
	}
}

// TestTablesLeaveOutWhatCannotMatter holds the size: each process that delivers keeps what regcomp(3) makes of it, some 200
// octets for each octet here.
func TestTablesLeaveOutWhatCannotMatter(t *testing.T) {
	rules := load(t)
	for name, table := range map[string][]byte{"reply": Reply(rules), "status": Status(rules)} {
		if len(table) > 80_000 {
			t.Errorf("%s has %d octets", name, len(table))
		}
		text := string(table)
		for rule, want := range map[string]bool{
			"google.low-reputation-ip":     true,
			"google.low-reputation-domain": true,  // one word apart
			"domain.domain-blocked":        true,  // about the domain
			"apple.volume":                 false, // nothing behind it fits its replies
		} {
			if got := strings.Contains(text, "# "+rule+"\n"); got != want {
				t.Errorf("%s: rule %s is there: %v", name, rule, got)
			}
		}
	}
}
