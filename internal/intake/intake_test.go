package intake

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/account"
	"ukai/internal/dkim"
	"ukai/internal/guard"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/smtpserver"
	"ukai/internal/store"
)

// rig is an Intake with a real queue, journal and book of accounts.
type rig struct {
	*Intake
	queue    *queue.Embedded
	db       *store.DB
	accounts *account.Book
}

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, s := range all {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// failing is a Store whose Create fails.
type failing struct {
	queue.Store
	create error
}

func (f *failing) Create(*mail.Envelope) (queue.Draft, error) { return nil, f.create }

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	q, err := queue.Open(filepath.Join(dir, "queue"), queue.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(dir, "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close(); db.Close() })
	j, err := journal.Open(t.Context(), db, journal.Options{}, log)
	if err != nil {
		t.Fatal(err)
	}
	book, err := account.Open(t.Context(), db, account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := New(Parts{Store: q, Journal: j, Accounts: book, Guard: guard.New(guard.Options{}), Log: log}, Options{Hostname: "ukai.example"})
	own, err := guard.NewRelay(prefixes("10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	in.Configure(map[string]Policy{
		"relay": {Relay: own}, "both": {Relay: own, Accounts: true}, "submission": {Relay: own, Accounts: true, AccountsOnly: true, Submission: true},
	}, nil)
	return &rig{in, q, db, book}
}

func session(listener, client, account string) *smtpserver.Session {
	return &smtpserver.Session{Listener: listener, Client: netip.MustParseAddrPort(client), Helo: "web.example", ESMTP: true, Account: account}
}

func TestWhoMaySend(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"shop", "bad"} {
		if err := r.accounts.Add(t.Context(), account.Account{Name: name, Domains: []string{"shop.example"}}, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.accounts.Suspend(t.Context(), "bad", "stolen"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, listener, client, account, from string
		want                                  int
	}{
		{"a client of an own network", "relay", "10.1.2.3:1", "", "a@any.example", 0},
		{"the same over an IPv4-mapped address", "relay", "[::ffff:10.1.2.3]:1", "", "a@any.example", 0},
		{"a stranger", "relay", "192.0.2.1:1", "", "a@any.example", 550},
		{"a stranger where accounts may log in", "both", "192.0.2.1:1", "", "a@any.example", 530},
		{"an own network where accounts may log in", "both", "10.1.2.3:1", "", "a@any.example", 0},
		{"an own network where accounts must log in", "submission", "10.1.2.3:1", "", "a@any.example", 530},
		{"an account with its domain", "submission", "192.0.2.1:1", "shop", "a@shop.example", 0},
		{"an account with a bounce", "submission", "192.0.2.1:1", "shop", "", 0},
		{"an account with another domain", "submission", "192.0.2.1:1", "shop", "a@bank.example", 550},
		{"a suspended account", "submission", "192.0.2.1:1", "bad", "a@shop.example", 550},
		{"an account deleted since it logged in", "submission", "192.0.2.1:1", "gone", "a@shop.example", 530},
		{"an account on a listener without accounts", "relay", "192.0.2.1:1", "shop", "a@shop.example", 550},
		{"a listener that nobody configured", "other", "10.1.2.3:1", "", "a@any.example", 550},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := &mail.Envelope{From: c.from}
			got := 0
			if reply := r.Mail(t.Context(), session(c.listener, c.client, c.account), env); reply != nil {
				got = reply.Code
			}
			if got != c.want {
				t.Errorf("MAIL: %d, want %d", got, c.want)
			}
			got = 0
			if reply := r.Rcpt(t.Context(), session(c.listener, c.client, c.account), env, mail.Recipient{Addr: "x@y.example"}); reply != nil {
				got = reply.Code
			}
			if c.want != 550 && got != c.want { // after a 550 to MAIL there is no RCPT
				t.Errorf("RCPT: %d, want %d", got, c.want)
			}
		})
	}
}

// take hands one message over and returns the reply, the envelope and what the queue keeps.
func (r *rig) take(t *testing.T, s *smtpserver.Session, content string) (mail.Reply, *mail.Envelope, string) {
	t.Helper()
	env := &mail.Envelope{From: "a@shop.example", Recipients: []mail.Recipient{{Addr: "x@y.example"}}}
	c, reply := r.Begin(t.Context(), s, env)
	if reply != nil {
		return *reply, env, ""
	}
	for len(content) > 0 { // in small pieces, as a network brings it
		n := min(17, len(content))
		if _, err := io.WriteString(c, content[:n]); err != nil {
			t.Fatal(err)
		}
		content = content[n:]
	}
	done := c.Commit(t.Context())
	if done.Code != 250 {
		return done, env, ""
	}
	rc, err := r.queue.Open(env.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	kept, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return done, env, string(kept)
}

const message = "From: Shop <a@shop.example>\r\nDate: Mon, 15 Apr 2019 09:12:00 +0900\r\nMessage-ID: <1@shop.example>\r\nList-Unsubscribe: <https://shop.example/u>\r\nSubject: caf\xc3\xa9\r\n\r\nhello\r\n"

func TestAMessageGetsItsTraceFieldAndIsOtherwiseUnchanged(t *testing.T) {
	r := newRig(t)
	s := session("relay", "10.1.2.3:4", "")
	reply, env, kept := r.take(t, s, message)
	if reply.Code != 250 || !strings.Contains(reply.Text(), env.ID.String()) {
		t.Errorf("reply: %v", reply)
	}
	head, body, _ := strings.Cut(kept, "From: Shop")
	if !strings.HasPrefix(head, "Received: from web.example ([10.1.2.3])\r\n\tby ukai.example with ESMTP id "+env.ID.String()+"\r\n\tfor <x@y.example>;\r\n\t") {
		t.Errorf("trace field: %q", head)
	}
	if "From: Shop"+body != message {
		t.Errorf("content changed: %q", body)
	}
	if env.MessageID != "1@shop.example" || env.FromHdr != "shop.example" || env.Class != mail.Bulk || env.Size != int64(len(kept)) {
		t.Errorf("envelope: %+v", env)
	}
}

func TestTheTraceFieldNamesTLSAndIPv6AndKeepsRecipientsApart(t *testing.T) {
	s := session("relay", "[2001:db8::1]:4", "shop")
	s.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	s.Helo = "evil)\tname"
	env := &mail.Envelope{Recipients: []mail.Recipient{{Addr: "a@b.example"}, {Addr: "c@d.example"}}}
	got := string(received(s, env, "ukai.example", mail.ID(0).Time()))
	for _, want := range []string{"from evil??name ([IPv6:2001:db8::1])", "with ESMTPSA id", "(using TLS1.3 with cipher TLS_AES_128_GCM_SHA256)"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(got, "for <") {
		t.Errorf("it tells of a recipient: %q", got)
	}
	if s.Helo = ""; !strings.HasPrefix(string(received(s, env, "u", mail.ID(0).Time())), "Received: from unknown (") {
		t.Error("an empty HELO leaves a hole")
	}
}

func TestASubmissionGetsWhatItLacksAndHasItSigned(t *testing.T) {
	r := newRig(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := dkim.NewSigner([]dkim.Key{{Domain: "shop.example", Selector: "s", Private: key}})
	if err != nil {
		t.Fatal(err)
	}
	r.Configure(map[string]Policy{"submission": {Accounts: true, Submission: true}}, signer)
	for name, content := range map[string]string{
		"with a body": "From: a@shop.example\r\nSubject: s\r\n\r\nhello\r\n", "without a blank line": "From: a@shop.example\r\nSubject: s\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			reply, env, kept := r.take(t, session("submission", "192.0.2.1:1", "shop"), content)
			if reply.Code != 250 {
				t.Fatal(reply)
			}
			for _, want := range []string{"Date: ", "Message-ID: <" + env.ID.String() + "@ukai.example>\r\n", "DKIM-Signature: "} {
				if strings.Count(kept, want) != 1 {
					t.Errorf("%d times %q in %q", strings.Count(kept, want), want, kept)
				}
			}
			signature, _, _ := strings.Cut(kept, "b=")
			if lower := strings.ToLower(signature); !strings.Contains(lower, "date") || !strings.Contains(lower, "message-id") {
				t.Errorf("what was added is not signed: %q", signature)
			}
			if len(env.DKIM) != 1 || env.MessageID == "" {
				t.Errorf("envelope: %+v", env)
			}
		})
	}
}

func TestALoopIsRefused(t *testing.T) {
	r := newRig(t)
	reply, _, _ := r.take(t, session("relay", "10.1.2.3:4", ""), strings.Repeat("Received: by x; now\r\n", 50)+message)
	if reply.Code != 554 || reply.Status.String() != "5.4.6" {
		t.Errorf("%v", reply)
	}
	if n := r.queue.Stats().Messages; n != 0 {
		t.Errorf("%d messages kept", n)
	}
}

func TestAQueueThatCannotTakeItSaysSoInSMTPOnly(t *testing.T) {
	r := newRig(t)
	for err, want := range map[error]int{queue.ErrFull: 452, queue.ErrBroken: 451, queue.ErrClosed: 421, context.DeadlineExceeded: 451} {
		r.store = &failing{Store: r.queue, create: err}
		reply, _, _ := r.take(t, session("relay", "10.1.2.3:4", ""), message)
		if reply.Code != want || strings.Contains(reply.Text(), err.Error()) {
			t.Errorf("%v: %v, want %d", err, reply, want)
		}
	}
}

func TestAnAbortedMessageLeavesNothing(t *testing.T) {
	r := newRig(t)
	env := &mail.Envelope{From: "a@shop.example", Recipients: []mail.Recipient{{Addr: "x@y.example"}}}
	c, _ := r.Begin(t.Context(), session("relay", "10.1.2.3:4", ""), env)
	if _, err := io.WriteString(c, "From: half a mess"); err != nil {
		t.Fatal(err)
	}
	c.Abort()
	if n := r.queue.Stats().Messages; n != 0 {
		t.Errorf("%d messages kept", n)
	}
}
