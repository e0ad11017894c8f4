package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mtaconf"
	planner "ukai/internal/mtaconf/postfix"
	"ukai/internal/peersim"
	"ukai/internal/soften"
)

// postfixWish is what an operator asks for, with the tables that the rules give.
func postfixWish(t *testing.T, mode mtaconf.Mode, peer mtaconf.Peer) mtaconf.Wish {
	t.Helper()
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	return mtaconf.Wish{Mode: mode, Server: "web1", Peer: peer, Reply: soften.Reply(rules), Status: soften.Status(rules)}
}

// debianPostfix starts a Postfix whose services live in the chroot that Debian gives them, and connects it.
func debianPostfix(t *testing.T, w mtaconf.Wish) (*mta, *mtaconf.Plan) {
	t.Helper()
	m := startMTA(t, "postfix")
	for _, f := range []string{"etc/resolv.conf", "etc/services"} { // what Debian's start script copies
		if b, err := os.ReadFile(filepath.Join(m.root, f)); err == nil {
			m.write("/var/spool/postfix/"+f, string(b))
		}
	}
	master, err := os.ReadFile(filepath.Join(m.root, "etc/postfix/master.cf"))
	if err != nil {
		t.Fatal(err)
	}
	jail := strings.NewReplacer("unix - - n - - trivial-rewrite", "unix - - y - - trivial-rewrite", "unix - - n - - smtp", "unix - - y - - smtp")
	m.write("/etc/postfix/master.cf", jail.Replace(string(master)))
	m.write("/var/lib/dpkg/info/postfix.list", "") // a package of Debian, with tables of the type hash
	w.Program, w.Door = m.bring(), freePort(t)
	all, err := planner.New().Find(m.system())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	plan, err := planner.New().Plan(m.system(), all[0], w)
	if err != nil {
		t.Fatal(err)
	}
	m.connect(plan)
	waitFor(t, plan.Alive, "220")
	return m, plan
}

// attempts returns, for each message and recipient, the ends of its attempts as the log has them: "sent", "deferred", "bounced".
func attempts(t *testing.T, path string) map[message][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ids, all := make(map[string]string), make(map[message][]string) // queue ID: the mark of the message
	for l := range strings.Lines(string(b)) {
		if s := activeLine.FindStringSubmatch(l); s != nil {
			ids[s[1]] = s[2]
		} else if s := statusLine.FindStringSubmatch(l); s != nil && ids[s[1]] != "" {
			k := message{ids[s[1]], s[2]}
			all[k] = append(all[k], s[3])
		}
	}
	return all
}

var (
	activeLine = regexp.MustCompile(`: ([0-9A-F]+): from=<[^+>]*\+([^@>]*)@`)
	statusLine = regexp.MustCompile(`: ([0-9A-F]+): to=<([^>]*)>, .* status=([a-z]+)`)
)

// inOneAttempt checks in Postfix's own log that each of these messages was sent in the first attempt.
func inOneAttempt(t *testing.T, m *mta, sent []peersim.Sent) {
	t.Helper()
	until(t, 20*time.Second, "the log tells of all messages", func() bool {
		log := attempts(t, m.log)
		for _, s := range sent {
			if len(log[message{s.ID, s.Rcpt}]) == 0 {
				return false
			}
		}
		return true
	})
	log, more := attempts(t, m.log), 0
	for _, s := range sent {
		if got := log[message{s.ID, s.Rcpt}]; len(got) != 1 || got[0] != "sent" {
			if more++; more < 4 {
				t.Errorf("%s to %s: %v, want one delivery", s.ID, s.Rcpt, got)
			}
		}
	}
	if more > 0 {
		t.Errorf("%d of %d messages took more than one attempt", more, len(sent))
	}
}

// bounced checks that spam and mail for nobody came back: from the server in one attempt, or, of mail that it does not deliver
// itself, from the detour.
func bounced(t *testing.T, m *mta, w *peersim.World, detoured func(domain string) bool) (n int) {
	t.Helper()
	spam := m.submitMarked([]string{"a@gmail.com", "b@customer03.example", "c@p1d2.example"}, 15, spamMark)
	none := m.submitMarked([]string{nobody + "1@gmail.com", nobody + "2@customer07.example", nobody + "3@p3d0.example"}, 15, "hello")
	all := append(spam.Accepted, none.Accepted...)
	until(t, 30*time.Second, "30 messages bounce", func() bool { return w.Sum().Bounces >= len(all) })
	until(t, 20*time.Second, "the log tells of the bounces", func() bool {
		log := attempts(t, m.log)
		return !slices.ContainsFunc(all, func(s peersim.Sent) bool { return len(log[message{s.ID, s.Rcpt}]) == 0 })
	})
	log := attempts(t, m.log)
	for _, s := range all {
		want := "bounced"
		if detoured(domainOf(s.Rcpt)) {
			want = "sent"
		}
		if got := log[message{s.ID, s.Rcpt}]; len(got) != 1 || got[0] != want {
			t.Errorf("%s to %s: %v, want it %s in one attempt", s.ID, s.Rcpt, got, want)
		}
	}
	return len(all)
}

// steeringMix are whom the messages of a run go to: fifty domains.
func steeringMix() []string {
	var all []string
	google, others := steeringGoogle(), steeringOthers()
	for i := range others {
		all = append(all, others[i])
		if i < len(google) {
			all = append(all, google[i])
		}
	}
	return all
}

// A provider begins to refuse in the middle of a thousand messages. Each that it refuses goes out over ukai in the same attempt;
// nothing bounces but what deserves it.
func TestPostfixWithTheSafetyNetLosesNothingWhenGoogleBeginsToRefuse(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	m, plan := debianPostfix(t, postfixWish(t, mtaconf.SafetyNet, d.peer()))
	before := m.submit(steeringMix(), 300, "before")
	arriveOnce(t, w, before.Accepted, 30*time.Second)
	if _, detoured := ways(w, before.Accepted); detoured > 0 {
		t.Errorf("%d messages took the detour before anybody refused", detoured)
	}
	refuseServer(t, w)
	after := m.submit(steeringMix(), 700, "after")
	arriveOnce(t, w, after.Accepted, 60*time.Second)
	google, others := split(after.Accepted)
	refused := 0
	for _, s := range google {
		r, _ := w.Record(s.ID, s.Rcpt)
		if refused += r.Refused; r.Refused != 1 || r.Source != detourIP {
			t.Errorf("%s to %s: %+v, want it refused once and sent by the detour", s.ID, s.Rcpt, r)
		}
	}
	if direct, _ := ways(w, others); direct != len(others) || len(google) == 0 {
		t.Errorf("%d of %d messages to others went directly, %d to Google", direct, len(others), len(google))
	}
	inOneAttempt(t, m, after.Accepted)
	n := bounced(t, m, w, func(string) bool { return false })
	arriveOnceBut(t, w, append(before.Accepted, after.Accepted...), n, time.Second)
	sendmailT(t, m, w, n)
	refusalsSeen(t, m, refused)
	t.Logf("%d refusals; plan for %s", refused, plan.Instance.Version)
}

// sendmailT submits as PHP does: the program sendmail with -t.
func sendmailT(t *testing.T, m *mta, w *peersim.World, bounces int) {
	t.Helper()
	var sent []peersim.Sent
	for i := range 10 {
		s := peersim.Sent{ID: fmt.Sprintf("php-%d", i), Rcpt: fmt.Sprintf("user%d@customer%02d.example", i, i)}
		m.program(fmt.Sprintf("From: shop@sender.example\nTo: %s\nSubject: order\nX-Rehearsal-ID: %s\n\nthank you\n", s.Rcpt, s.ID),
			"/usr/sbin/sendmail", "-t", "-i", "-f", "shop+"+s.ID+"@sender.example")
		sent = append(sent, s)
	}
	arriveOnceBut(t, w, sent, bounces, 30*time.Second)
	if direct, detoured := ways(w, sent); detoured != len(sent) {
		t.Errorf("of %d messages by sendmail -t %d took the detour, %d went directly", len(sent), detoured, direct)
	}
}

// refusalsSeen checks that whoever reads the server's log sees each refusal for what it is, though the messages were sent.
func refusalsSeen(t *testing.T, m *mta, refused int) {
	t.Helper()
	s := newSurvey(t)
	if st := readLog(t, m.log, s.Add); st.Unknown > 0 {
		t.Errorf("%d of %d lines are not understood", st.Unknown, st.Lines)
	}
	for _, p := range s.Result().Providers {
		seen := int64(0)
		for _, c := range p.Causes {
			if c.Class == "ip_reputation" && c.Detour {
				seen += c.Messages
			}
		}
		if p.ID == "google" && seen < int64(refused) || p.ID != "google" && seen > 0 {
			t.Errorf("%s: the log shows %d refusals for the reputation of the address, the ledger %d at Google", p.ID, seen, refused)
		}
	}
}
