package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// The house that refuses: its own address is known to Google, the relay's is not.
const (
	ownIP   = "127.0.0.10"
	relayIP = "127.0.0.20"
)

func prefix(ip string) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(ip), 32)}
}

// googleWorld plays Google for gmail.com and twenty customers' domains, and one other receiver.
func googleWorld(t *testing.T, rules ...peersim.Rule) *peersim.World {
	t.Helper()
	customers := []string{}
	for i := range 20 {
		customers = append(customers, fmt.Sprintf("customer%02d.example", i))
	}
	w, err := peersim.Start(peersim.Options{Providers: []peersim.Provider{
		{Name: "google", TLS: true, Rules: rules, Groups: []peersim.Group{
			{Domains: []string{"gmail.com"}, MX: []string{"gmail-smtp-in.l.google.com"}},
			{Domains: customers, MX: []string{"aspmx.l.google.com", "alt1.aspmx.l.google.com"}},
		}},
		{Name: "other", Groups: []peersim.Group{{Domains: []string{"other.example"}}}},
		{Name: "home", Groups: []peersim.Group{{Domains: []string{"sender.example"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// relayUkai starts the clean relay: a second ukai in "another network", reached with a password over TLS only.
func relayUkai(t *testing.T, w *peersim.World) (port int, password string) {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	cert, key := certificate(t, dir)
	p := ukai(t, dir, fmt.Sprintf(`
		hostname = "relay.example"
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[[listener]]
		name = "submission"
		address = "127.0.0.1:%d"
		tls = "starttls"
		cert = %q
		key = %q
		auth = "required"
		[[egress]]
		name = "direct"
		source = [%q]
		port = %d
	`, w.DNS(), port, cert, key, relayIP, w.Port()), port)
	out := p.ask("account", "add", "front", "--domain", "*", "--generate", "--json")
	_, rest, ok := strings.Cut(out, `"password": "`)
	password, _, _ = strings.Cut(rest, `"`)
	if !ok || len(password) < 20 {
		t.Fatalf("no password in %s", out)
	}
	return port, password
}

// frontUkai starts the ukai under test, with the relay as its detour.
func frontUkai(t *testing.T, w *peersim.World, more string) (p *process, port int) {
	t.Helper()
	relay, password := relayUkai(t, w)
	dir, port := t.TempDir(), freePort(t)
	return ukai(t, dir, fmt.Sprintf(`
		hostname = "mail.sender.example"
		%s
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[limits]
		connections_per_minute = 100000
		[[listener]]
		name = "in"
		address = "127.0.0.1:%d"
		relay = ["127.0.0.0/8"]
		[[egress]]
		name = "direct"
		source = [%q]
		port = %d
		[[egress]]
		name = "relay"
		kind = "smarthost"
		host = "127.0.0.1"
		port = %d
		username = "front"
		password = %q
		tls = "required"
	`, more, w.DNS(), port, ownIP, w.Port(), relay, password), port), port
}

// googleDomains are gmail.com and its customers, as Generate wants them.
func googleDomains() []string {
	all := []string{"gmail.com", "other.example"}
	for i := range 20 {
		all = append(all, fmt.Sprintf("customer%02d.example", i))
	}
	return all
}

// post sends count messages to addr and expects all of them to be accepted.
func post(t *testing.T, addr string, count int) *peersim.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	res, err := peersim.Generate(ctx, peersim.Traffic{To: addr, Senders: []string{"sender.example"}, Rcpts: googleDomains(), Count: count, Concurrency: 8})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Accepted) != count || res.Refused > 0 {
		t.Fatalf("%d of %d accepted, %d refused; last: %s", len(res.Accepted), count, res.Refused, res.Last)
	}
	return res
}

// exactlyOnce checks that each message that was accepted arrived once, with the content it was sent with.
func exactlyOnce(t *testing.T, w *peersim.World, sent []peersim.Sent) {
	t.Helper()
	until(t, 90*time.Second, fmt.Sprintf("%d messages delivered", len(sent)), func() bool { return w.Sum().Delivered >= len(sent) })
	for _, s := range sent {
		r, ok := w.Record(s.ID, s.Rcpt)
		switch {
		case !ok || r.Delivered == 0:
			t.Errorf("%s to %s is lost", s.ID, s.Rcpt)
		case r.Delivered > 1:
			t.Errorf("%s to %s arrived %d times", s.ID, s.Rcpt, r.Delivered)
		case r.Digest != s.Digest:
			t.Errorf("%s to %s was changed on the way", s.ID, s.Rcpt)
		}
	}
	if sum := w.Sum(); sum.Bounces > 0 || sum.Duplicates > 0 || sum.Complaints > 0 {
		t.Errorf("%+v, complaints: %q", sum, w.Complaints())
	}
}

func TestPostfixInFrontSendsByUkaiAroundGooglesRefusalEachMessageOnce(t *testing.T) {
	w := googleWorld(t, peersim.Rule{Name: "low reputation", Match: peersim.Match{Phase: peersim.EndOfData, Sources: prefix(ownIP)}, Reply: "google-ip"})
	front, port := frontUkai(t, w, "")
	mta := freePort(t)
	postfix(t, mta, fmt.Sprintf("myhostname = web.sender.example\nmydestination =\nrelayhost = [127.0.0.1]:%d\nsmtp_dns_support_level = disabled", port))
	res := post(t, fmt.Sprintf("127.0.0.1:%d", mta), 500)
	exactlyOnce(t, w, res.Accepted)

	refused, direct, detoured := 0, 0, 0
	for _, s := range res.Accepted {
		r, _ := w.Record(s.ID, s.Rcpt)
		refused += r.Refused
		switch {
		case r.Source.String() == ownIP:
			direct++
		case r.Source.String() == relayIP:
			detoured++
		}
	}
	t.Logf("%d refusals, %d by the relay, %d direct", refused, detoured, direct)
	if refused == 0 || detoured < 400 || direct == 0 {
		t.Errorf("Google did not refuse, or the others were detoured too")
	}
	if paths := front.ask("path", "list", "--lang", "en"); !strings.Contains(paths, "google") || !strings.Contains(paths, "blocked") {
		t.Errorf("the path is not shown as blocked:\n%s", paths)
	}
}
