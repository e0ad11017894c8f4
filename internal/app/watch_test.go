package app

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/health"
)

// addLines appends lines to a file.
func addLines(t *testing.T, file string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, l := range lines {
		if _, err := fmt.Fprintln(f, l); err != nil {
			t.Fatal(err)
		}
	}
}

// googleRefuses are the lines that Postfix writes of a message that Gmail refuses for the address.
func googleRefuses(host string, n int, at time.Time) []string {
	stamp, id := at.Local().Format(time.Stamp), fmt.Sprintf("4Xk%04dz", n)
	return []string{
		fmt.Sprintf("%s %s postfix/cleanup[12]: %s: message-id=<m%d@example.jp>", stamp, host, id, n),
		fmt.Sprintf("%s %s postfix/qmgr[11]: %s: from=<taro@example.jp>, size=612, nrcpt=1 (queue active)", stamp, host, id),
		fmt.Sprintf("%s %s postfix/smtp[13]: %s: to=<u%d@gmail.com>, relay=gmail-smtp-in.l.google.com[203.0.113.26]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=5.7.1, status=bounced (host gmail-smtp-in.l.google.com[203.0.113.26] said: 550-5.7.1 [192.0.2.10      18] Our system has detected that this message is 550-5.7.1 likely suspicious due to the very low reputation of the sending IP 550-5.7.1 address. To best protect our users from spam, the message has been 550-5.7.1 blocked. Please visit 550 5.7.1 https://support.google.com/mail/answer/188131 for more information. x - gsmtp (in reply to end of DATA command))", stamp, host, id, n),
		fmt.Sprintf("%s %s postfix/qmgr[11]: %s: removed", stamp, host, id),
	}
}

func TestWhatALogTellsBlocksThePathOfItsServer(t *testing.T) {
	c := settings(t)
	file := filepath.Join(filepath.Dir(c.Data), "mail.log")
	old := time.Now().Add(-3 * time.Hour)
	for n := range 10 { // old news
		addLines(t, file, googleRefuses("mx1", n, old)...)
	}
	c.Watch.Logs = []config.WatchLog{{Name: "web1", Paths: []string{file}, From: config.FromStart}}
	a, stop := running(t, c, Options{})
	client := api.NewClient(c.Data)
	source := func() api.Source {
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Sources) != 1 {
			return api.Source{}
		}
		return s.Sources[0]
	}
	eventually(t, "word of the log in the status", func() bool { return source().Late == 10 })
	if p := a.health.Path("mx1", "google"); p.State != health.Healthy {
		t.Fatalf("old lines made the path %v", p.State)
	}
	for n := range 4 {
		addLines(t, file, googleRefuses("mx1", 100+n, time.Now())...)
	}
	eventually(t, "block of the path", func() bool { return a.health.Path("mx1", "google").State == health.Blocked })
	story, err := client.Path(t.Context(), "mx1", "google")
	if err != nil || story.Path.State != health.Blocked || len(story.Path.Evidence) == 0 || story.Path.Evidence[0].Verdict.Class != "ip_reputation" {
		t.Fatalf("%+v, %v", story, err)
	}
	if p := a.health.Path("direct", "google"); p.State != health.Healthy {
		t.Errorf("our own path is %v", p.State)
	}
	if s := source(); s.Name != "web1" || s.Kind != "log" || s.Read != 56 || s.Refused != 14 || s.Trouble != nil || s.Contact.IsZero() {
		t.Errorf("%+v", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b, _ := running(t, c, Options{})
	eventually(t, "source after a restart", func() bool { s := source(); return s.Name == "web1" && !s.Contact.IsZero() })
	addLines(t, file, googleRefuses("mx1", 200, time.Now())...)
	eventually(t, "line after a restart", func() bool { return source().Read >= 4 })
	if s := source(); s.Read != 4 || s.Late != 0 {
		t.Errorf("it was read again: %+v", s)
	}
	c2 := *c
	c2.Watch.Logs = []config.WatchLog{{Name: "web2", Paths: []string{file + ".none"}}}
	if err := b.Reload(t.Context(), &c2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "other source after a reload", func() bool { s := source(); return s.Name == "web2" && s.Trouble != nil })
	if w := source().Trouble; w.EN == w.JA || w.EN == "" {
		t.Errorf("%+v", w)
	}
}

func TestALogOfAServerOnOurAddressCountsForOurEgress(t *testing.T) {
	c := settings(t)
	file := filepath.Join(filepath.Dir(c.Data), "mail.log")
	addLines(t, file, "")
	c.Watch.Logs = []config.WatchLog{{Name: "web1", Paths: []string{file}, Egress: "direct", From: config.FromEnd}}
	a, _ := running(t, c, Options{})
	eventually(t, "source", func() bool { s := a.watch.Status(); return len(s) == 1 && !s[0].Contact.IsZero() })
	for n := range 4 {
		addLines(t, file, googleRefuses("mx1", n, time.Now())...)
	}
	eventually(t, "block of the path", func() bool { return a.health.Path("direct", "google").State == health.Blocked })
}
