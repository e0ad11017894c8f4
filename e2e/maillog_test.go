package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/maillog"
	"ukai/internal/peersim"
	"ukai/internal/provider"
	"ukai/internal/survey"
)

// logWorld has a receiver for every fate of a message.
func logWorld(t *testing.T) *peersim.World {
	t.Helper()
	return world(t,
		peersim.Provider{Name: "google", Groups: []peersim.Group{
			{Domains: []string{"gmail.com"}, MX: []string{"gmail-smtp-in.l.google.com"}}, {Domains: []string{"customer.example"}, MX: []string{"aspmx.l.google.com"}},
		}, Rules: []peersim.Rule{
			{Name: "nobody", Match: peersim.Match{Phase: peersim.RcptTo, To: []string{"nobody@customer.example"}}, Reply: "google-user"},
			{Name: "low reputation", Match: peersim.Match{Phase: peersim.EndOfData, To: []string{"gmail.com"}}, Reply: "google-ip"},
		}},
		peersim.Provider{Name: "open", Groups: []peersim.Group{{Domains: []string{"open.example"}}}},
		peersim.Provider{Name: "grey", Groups: []peersim.Group{{Domains: []string{"grey.example"}}}, Rules: []peersim.Rule{
			{Name: "come again", Match: peersim.Match{Phase: peersim.RcptTo}, Action: peersim.Greylist, Delay: 2 * time.Second},
		}},
		peersim.Provider{Name: "home", Groups: []peersim.Group{{Domains: []string{"sender.example"}}}},
	)
}

// message is a message for one recipient, by the mark in its reverse-path.
type message struct{ id, to string }

// abroad makes the addresses of the world public ones, as they are in real logs: what goes to 127.0.0.0/8 has not left the
// machine, and is read so.
func abroad(log string) string {
	return strings.NewReplacer(worldNet+".0.", "192.0.2.", worldNet+".1.", "198.51.100.").Replace(log)
}

// readLog has the reader of logs read what a server wrote.
func readLog(t *testing.T, path string, emit func(*maillog.Event)) maillog.Stats {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(path, []byte(abroad(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := maillog.Open([]string{path}, maillog.Options{Now: time.Now(), Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	st, err := set.Read(t.Context(), func(e *maillog.Event) error {
		emit(e)
		return nil
	})
	if err != nil || len(st.Skipped) > 0 {
		t.Fatalf("%v, skipped %v", err, st.Skipped)
	}
	return st
}

// fates returns what became of each message that a rehearsal sent, the last word of the log.
func fates(t *testing.T, path string) map[message]maillog.Event {
	t.Helper()
	all := make(map[message]maillog.Event)
	readLog(t, path, func(e *maillog.Event) {
		local, _, _ := strings.Cut(e.From, "@")
		_, id, ok := strings.Cut(local, "+")
		if ok && e.Kind != maillog.Accepted && e.Kind != maillog.Rejected {
			all[message{id, e.To}] = *e
		}
	})
	return all
}

// newSurvey makes a survey with the knowledge that comes with the program.
func newSurvey(t *testing.T) *survey.Survey {
	t.Helper()
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	return survey.New(rules, catalogue, survey.Options{})
}

// Each server of Debian sends to providers that take, refuse, put off and are not there. Its own log, read by us, must tell of
// each message what the ledger of the providers says.
func TestTheLogOfEachServerTellsOfEachMessageWhatReallyBecameOfIt(t *testing.T) {
	for _, name := range []string{"postfix", "exim", "sendmail", "opensmtpd"} {
		t.Run(name, func(t *testing.T) {
			w := logWorld(t)
			m := startMTA(t, name)
			rcpts := []string{"a@open.example", "a@gmail.com", "nobody@customer.example", "b@customer.example", "a@grey.example", "a@down.example"}
			sent := m.submit(rcpts, 30, name)
			settled := func() bool { // everything has a fate, and what was put off has arrived where the server tries again soon
				f := fates(t, m.log)
				for _, s := range sent.Accepted {
					e := f[message{s.ID, s.Rcpt}]
					if e.Kind == 0 || s.Rcpt == "a@grey.example" && e.Kind == maillog.Deferred && name != "opensmtpd" {
						return false
					}
				}
				return true
			}
			until(t, 90*time.Second, "the log tells of all messages", settled)
			log := fates(t, m.log)
			for _, s := range sent.Accepted {
				r, _ := w.Record(s.ID, s.Rcpt)
				e := log[message{s.ID, s.Rcpt}]
				if want := fate(&r); e.Kind != want {
					t.Errorf("%s to %s: the log says %v (%q), the ledger %v: %+v", s.ID, s.Rcpt, e.Kind, e.Text, want, r)
				}
			}
			checkSurvey(t, m.log, len(rcpts), len(sent.Accepted), name)
		})
	}
}

// fate is what the ledger says of a message.
func fate(r *peersim.Record) maillog.Kind {
	switch {
	case r.Delivered > 0:
		return maillog.Delivered
	case r.RefusedBy == "google":
		return maillog.Bounced
	}
	return maillog.Deferred // put off, or nobody was there
}

// checkSurvey looks at the causes that are found in the log.
func checkSurvey(t *testing.T, path string, kinds, sent int, name string) {
	t.Helper()
	s := newSurvey(t)
	st := readLog(t, path, s.Add)
	if st.Unknown > 0 {
		t.Errorf("%d of %d lines are not understood", st.Unknown, st.Lines)
	}
	got := make(map[string]int64)
	for _, p := range s.Result().Providers {
		for _, c := range p.Causes {
			got[p.ID+" "+c.Class] += c.Messages
			if c.Class == "ip_reputation" && (c.Final != c.Messages || !c.Detour) {
				t.Errorf("%+v", c)
			}
		}
	}
	each := int64(sent / kinds)
	for _, want := range []string{"google ip_reputation", "google user_unknown", "grey.example greylisted", "down.example network_error"} {
		if got[want] != each {
			t.Errorf("%s: %d messages, want %d; all: %v", want, got[want], each, got)
		}
	}
}

// A partner that is on a blocklist which the server asks is kept out, and the log tells by which list.
func TestTheLogOfEachServerTellsWhomItsBlocklistLocksOut(t *testing.T) {
	for _, name := range []string{"postfix", "exim", "sendmail"} { // OpenSMTPD has no blocklists of its own
		t.Run(name, func(t *testing.T) {
			w := logWorld(t)
			partner := netip.MustParseAddr("127.0.0.66")
			w.List("bl.example", partner, netip.Addr{}, "listed for a test")
			m := startMTA(t, name)
			m.submit([]string{"a@open.example"}, 3, name)
			until(t, 20*time.Second, "delivered", func() bool { return w.Sum().Delivered == 3 })
			refusedFrom(t, m, partner, "boss@open.example", "info@sender.example")
			s := newSurvey(t)
			until(t, 10*time.Second, "the log tells of the rejection", func() bool {
				s = newSurvey(t)
				readLog(t, m.log, s.Add)
				in := s.Result().Inbound
				return len(in.Lists) > 0 && s.Result().Totals.Delivered == 3
			})
			in := s.Result().Inbound
			want := survey.Partner{Domain: "open.example", Written: 3}
			if name == "sendmail" { // it refuses at the greeting, before it knows a sender
				want = survey.Partner{Domain: partner.String()}
			}
			l := in.Lists[0]
			if p := l.Partners[0]; l.Zone != "bl.example" || len(l.Partners) != 1 || p.Domain != want.Domain || p.Addr != partner || p.Written != want.Written {
				t.Errorf("%+v", in)
			}
		})
	}
}

// busy is how many lines the busy minutes before and after the change have.
const busy = 400

// redate spreads the lines of a log, in their order, evenly over a time. The lines stay as the server wrote them but for their
// time stamps ("Nov 22 22:41:33").
func redate(lines []string, from, to time.Time) string {
	var b strings.Builder
	step := to.Sub(from) / time.Duration(max(len(lines), 1))
	for i, l := range lines {
		b.WriteString(from.Add(time.Duration(i)*step).Format(time.Stamp) + l[len(time.Stamp):] + "\n")
	}
	return b.String()
}

// 2019 as a real Postfix logs it. Three days in a test need a trick: the server plays what came before the change and what came
// after it, and its lines are then spread over three days, the first part until 09:12 of the second day; the minutes before and
// after the change are busy ones. But for its time, a line is as Postfix wrote it.
func TestLogsNamesTheMinuteTheProviderAndTheCauseInTheLogOfARealPostfix(t *testing.T) {
	domains := []string{"gmail.com", "other.example"}
	var customers []string
	for i := range 10 {
		customers = append(customers, fmt.Sprintf("customer%02d.example", i))
	}
	domains = append(domains, customers...)
	w := world(t,
		peersim.Provider{Name: "google", Groups: []peersim.Group{
			{Domains: []string{"gmail.com"}, MX: []string{"gmail-smtp-in.l.google.com"}}, {Domains: customers, MX: []string{"aspmx.l.google.com", "alt1.aspmx.l.google.com"}},
		}},
		peersim.Provider{Name: "other", Groups: []peersim.Group{{Domains: []string{"other.example"}}}},
		peersim.Provider{Name: "home", Groups: []peersim.Group{{Domains: []string{"sender.example"}}}},
	)
	m := startMTA(t, "postfix")
	part := func(prefix string, count int) []string {
		t.Helper()
		before := len(strings.Split(strings.TrimSpace(m.lines()), "\n"))
		sent := m.submit(domains, count, prefix)
		until(t, 60*time.Second, "the log tells of all messages", func() bool {
			f := fates(t, m.log)
			for _, s := range sent.Accepted {
				if f[message{s.ID, s.Rcpt}].Kind == 0 {
					return false
				}
			}
			return true
		})
		return strings.Split(strings.TrimSpace(m.lines()), "\n")[before:]
	}
	good := part("before", 600)
	refuse := peersim.Rule{Name: "low reputation", Match: peersim.Match{Phase: peersim.EndOfData, Chance: 0.98}, Reply: "google-ip"}
	if err := w.SetRules("google", []peersim.Rule{refuse}); err != nil {
		t.Fatal(err)
	}
	bad := part("after", 600)

	day, change := time.Date(2019, 4, 14, 0, 0, 0, 0, time.UTC), time.Date(2019, 4, 15, 9, 12, 0, 0, time.UTC)
	dir := t.TempDir()
	text := redate(good[:len(good)-busy], day, change.Add(-time.Minute)) + redate(good[len(good)-busy:], change.Add(-time.Minute), change) +
		redate(bad[:busy], change, change.Add(time.Minute)) + redate(bad[busy:], change.Add(time.Minute), day.AddDate(0, 0, 3))
	path := write(t, dir, "mail.log", abroad(text))
	if err := os.Chtimes(path, day.AddDate(0, 0, 3), day.AddDate(0, 0, 3)); err != nil {
		t.Fatal(err)
	}
	near := fifth(t, path, change)
	checkLogsCommand(t, path, change, near)
}

// fifth returns when the fifth message for Google after the change was decided.
func fifth(t *testing.T, path string, change time.Time) time.Time {
	t.Helper()
	n := 0
	var at time.Time
	readLog(t, path, func(e *maillog.Event) {
		if n < 5 && strings.HasSuffix(e.Relay, "google.com") && !e.At.Before(change) {
			at = e.At
			n++
		}
	})
	return at
}
