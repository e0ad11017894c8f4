package peersim

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// start runs a world for one test.
func start(t testing.TB, opts Options) *World {
	t.Helper()
	w, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// one is a world of one provider.
func one(t testing.TB, rules ...Rule) *World {
	t.Helper()
	return start(t, Options{Providers: []Provider{{Name: "p", Groups: []Group{{Domains: []string{"example.com"}}}, Rules: rules}}})
}

// talk says lines to a provider and returns what it answers, codes and texts.
type talker struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader
}

func call(t testing.TB, w *World, provider, source string) *talker {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second}
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	conn, err := d.Dial("tcp", w.Addr(provider).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &talker{t, conn, bufio.NewReader(conn)}
}

// hear returns the next reply with its line ends, "" when the connection is closed.
func (c *talker) hear() string {
	c.t.Helper()
	all := ""
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			return all
		}
		all += line
		if len(line) < 4 || line[3] != '-' {
			return all
		}
	}
}

// say sends text and returns the reply.
func (c *talker) say(text string) string {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(text)); err != nil {
		return ""
	}
	return c.hear()
}

// steps says lines and expects the beginnings of the replies, given behind each.
func (c *talker) steps(pairs ...string) {
	c.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := c.say(pairs[i] + "\r\n"); !strings.HasPrefix(got, pairs[i+1]) {
			c.t.Fatalf("%q: got %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}

const hello = "EHLO client.example"

func (c *talker) greeted() *talker {
	c.t.Helper()
	if got := c.hear(); !strings.HasPrefix(got, "220 ") {
		c.t.Fatalf("greeting %q", got)
	}
	c.steps(hello, "250-")
	return c
}

func TestAMessageIsTakenAndWrittenDown(t *testing.T) {
	var mu sync.Mutex
	var events []Event
	w := start(t, Options{
		Providers: []Provider{{Name: "p", Groups: []Group{{Domains: []string{"example.com"}, MX: []string{"mx1.example.com"}}}}},
		Keep:      20,
		Watch: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		},
	})
	c := call(t, w, "p", "127.0.0.9")
	if got := c.hear(); got != "220 mx1.example.com ESMTP peersim\r\n" {
		t.Fatalf("greeting %q", got)
	}
	c.steps(hello, "250-mx1.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 52428800\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n",
		"MAIL FROM:<r+id7@shop.example> SIZE=100 RET=HDRS", "250", "RCPT TO:<a@example.com> NOTIFY=NEVER", "250", "RCPT TO:<b@EXAMPLE.com>", "250",
		"DATA", "354", "Received: x\r\nMessage-ID: <m@x>\r\nSubject: x\r\n\r\nhello\r\n..dot\r\n.", "250", "QUIT", "221")
	want := Digest([]byte("Message-ID: <m@x>\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n"))
	for _, rcpt := range []string{"a@example.com", "b@EXAMPLE.com"} {
		r, ok := w.Record("id7", rcpt)
		if !ok || r.Delivered != 1 || r.Provider != "p" || r.Source != netip.MustParseAddr("127.0.0.9") || r.Digest != want || r.Refused != 0 || time.Since(r.First) > time.Minute {
			t.Errorf("%s: %v %+v", rcpt, ok, r)
		}
	}
	if s := w.Sum(); s != (Sum{Delivered: 2}) {
		t.Errorf("%+v %v", s, w.Complaints())
	}
	if tl := w.Tallies(); len(tl) != 2 || tl[0].Phase != Greeting || tl[0].N != 1 || tl[1].Phase != EndOfData || tl[1].N != 2 || tl[1].Rule != "" {
		t.Errorf("%+v", tl)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(events) != 2 || events[0].RcptArgs != "NOTIFY=NEVER" || events[1].MailArgs != "SIZE=100 RET=HDRS" || string(events[0].Content) != "Received: x\r\nMessage" || events[0].Code != 250 {
		t.Errorf("%+v", events)
	}
}

func TestTheIDOfAMessage(t *testing.T) {
	w := one(t)
	for _, c := range []struct{ from, header, rcpt, want string }{
		{"r+env@x.example", "X-Rehearsal-ID: hdr\r\nMessage-ID: <mid@x>\r\n", "a@example.com", "hdr"},
		{"r+env@x.example", "Message-ID: <mid@x>\r\n", "b@example.com", "env"},
		{"r@x.example", "Message-ID:\r\n <mid@x>\r\n", "c@example.com", "mid@x"},
		{"r@x.example", "Subject: x\r\n", "d@example.com", ""},
		{"", "Message-ID: <mid@x>\r\n", "r+bounced@example.com", "bounced"},
	} {
		call(t, w, "p", "").greeted().steps("MAIL FROM:<"+c.from+">", "250", "RCPT TO:<"+c.rcpt+">", "250", "DATA", "354", c.header+"\r\nx\r\n.", "250")
		if r, ok := w.Record(c.want, c.rcpt); !ok || r.Bounce != (c.from == "") {
			t.Errorf("%+v: %v %+v in %+v", c, ok, r, w.Records())
		}
	}
	if s := w.Sum(); s.Bounces != 1 || s.Delivered != 4 {
		t.Errorf("%+v", s)
	}
}

func TestDuplicatesAndChangesAreSeen(t *testing.T) {
	w := one(t)
	for _, body := range []string{"one", "one", "two"} {
		call(t, w, "p", "").greeted().steps("MAIL FROM:<r+1@x.example>", "250", "RCPT TO:<a@example.com>", "250", "DATA", "354", "X-Rehearsal-ID: 1\r\n\r\n"+body+"\r\n.", "250")
	}
	r, _ := w.Record("1", "a@example.com")
	if s := w.Sum(); r.Delivered != 3 || !r.Changed || s.Duplicates != 2 || s.Delivered != 1 {
		t.Errorf("%+v %+v", r, s)
	}
}

func TestTheDigestDoesNotMindWhatRelaysPutOnTop(t *testing.T) {
	m := "From: a@x\r\nReceived: of old\r\n\r\nbody\r\n"
	for _, top := range []string{"", "Received: by x\r\n\twith y\r\n", "Return-Path: <>\r\nDKIM-Signature: a\r\n b\r\nreceived: z\r\n"} {
		if Digest([]byte(top+m)) != Digest([]byte(m)) {
			t.Errorf("%q changes it", top)
		}
	}
	for _, other := range []string{"From: a@x\r\n\r\nbody\r\n", strings.Replace(m, "body", "Body", 1), m + "\r\n", "X: y\r\n" + m, ""} {
		if Digest([]byte(other)) == Digest([]byte(m)) {
			t.Errorf("%q has the same", other)
		}
	}
	var c content
	for n := 1; n < len(m); n++ {
		c.reset(0)
		c.write([]byte(m[:n]))
		c.write([]byte(m[n:]))
		if c.end(); c.digest != Digest([]byte(m)) {
			t.Errorf("cut at %d it is another", n)
		}
	}
}

func TestChunksAndPipelines(t *testing.T) {
	w := one(t)
	c := call(t, w, "p", "").greeted()
	if got := c.say("MAIL FROM:<r+1@x.example> BODY=8BITMIME\r\nRCPT TO:<a@example.com>\r\nBDAT 8\r\nA: b\r\n\r\nBDAT 4 LAST\r\n\xff\r\n."); !strings.HasPrefix(got, "250 2.1.0") {
		t.Fatal(got)
	}
	for _, want := range []string{"250 2.1.5", "250 2.0.0 8 octets", "250 2.0.0"} {
		if got := c.hear(); !strings.HasPrefix(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if r, ok := w.Record("1", "a@example.com"); !ok || r.Digest != Digest([]byte("A: b\r\n\r\n\xff\r\n.")) || w.Sum().Complaints != 0 {
		t.Errorf("%+v %v", r, w.Complaints())
	}
	if err := w.SetRules("p", []Rule{{Name: "no", Match: Match{Phase: Data}, Reply: "451 4.3.0 later"}}); err != nil {
		t.Fatal(err)
	}
	if got := c.say("MAIL FROM:<r+2@x.example>\r\nRCPT TO:<a@example.com>\r\nBDAT 9 LAST\r\nQUIT\r\nx\r\n"); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	c.hear()
	if got := c.hear(); !strings.HasPrefix(got, "451") {
		t.Fatalf("%q", got)
	}
	c.steps("MAIL FROM:<r+3@x.example>", "250", "DATA", "503", "RSET", "250", "QUIT", "221") // the chunk was read and dropped
}

func TestComplaintsAboutTheProtocol(t *testing.T) {
	mail := []string{"MAIL FROM:<r+1@x.example>", "250", "RCPT TO:<a@example.com>", "250"}
	for name, steps := range map[string][]string{
		"a bare LF in the content":        append(mail, "DATA", "354", "a\nb\r\n.", "250"),
		"a bare CR in the content":        append(mail, "DATA", "354", "a\rb\r\n.", "250"),
		"a line of 1002 octets":           append(mail, "DATA", "354", strings.Repeat("x", 1000)+"\r\n.", "250"),
		"8-bit content without":           append(mail, "DATA", "354", "\xff\xff\r\n\xff\r\n.", "250"),
		"an unknown command":              {"FOO", "500"},
		"MAIL out of order":               append(mail, "MAIL FROM:<a@x.example>", "503"),
		`MAIL with "FOO=1"`:               {"MAIL FROM:<a@x.example> FOO=1", "555"},
		`RCPT with "FOO=1"`:               {"MAIL FROM:<a@x.example>", "250", "RCPT TO:<a@example.com> FOO=1", "555"},
		"MAIL \"FROM a\"":                 {"MAIL FROM a", "501"},
		"RCPT TO beyond ASCII":            {"MAIL FROM:<a@x.example>", "250", "RCPT TO:<\u3042@example.com>", "250"},
		"a command that ends with a bare": {"NOOP\nNOOP", "250"},
	} {
		t.Run(name, func(t *testing.T) {
			w := one(t)
			call(t, w, "p", "").greeted().steps(steps...)
			if got := w.Complaints(); len(got) != 1 || !strings.Contains(got[0], name) {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestOnlyOwnDomainsAreTakenAndOnlyWhatWasOffered(t *testing.T) {
	w := start(t, Options{Providers: []Provider{
		{Name: "p", Groups: []Group{{Domains: []string{"example.com"}}}, Without: []string{"PIPELINING", "8BITMIME", "SIZE", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"}},
		{Name: "relay", Relay: true, MaxSize: 10},
	}})
	c := call(t, w, "p", "")
	c.hear()
	c.steps(hello, "250 mx.example.com\r\n", "MAIL FROM:<a@x.example> BODY=8BITMIME", "555", "MAIL FROM:<>", "250", "RCPT TO:<a@example.net>", "550 5.7.1", "RCPT TO:<postmaster>", "250", "HELO x", "250 mx.example.com\r\n", "DATA", "503")
	c = call(t, w, "relay", "").greeted()
	c.steps("MAIL FROM:<a@x.example> SIZE=11", "552", "MAIL FROM:<a@x.example>", "250", "RCPT TO:<\"a>b\\\"\"@example.net>", "250", "DATA", "354", "0123456789\r\n.", "552")
	if w.Sum().Delivered != 0 {
		t.Error("delivered")
	}
}

func TestTLSAndAuth(t *testing.T) {
	w := start(t, Options{Providers: []Provider{{Name: "relay", Relay: true, TLS: true, Login: &Login{"ukai", "secret"}}}})
	call(t, w, "relay", "").greeted().steps("MAIL FROM:<a@x.example>", "530", "AUTH PLAIN AHVrYWkAc2VjcmV0", "538", "AUTH", "538")
	for _, c := range []struct {
		login    *Login
		accepted int
	}{{&Login{"ukai", "secret"}, 3}, {&Login{"ukai", "wrong"}, 0}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r, err := Generate(ctx, Traffic{To: w.Addr("relay").String(), Senders: []string{"x.example"}, Rcpts: []string{"example.net"}, Count: 3, Login: c.login, Roots: w.Roots()})
		cancel()
		if err != nil || len(r.Accepted) != c.accepted || r.Refused != 3-c.accepted {
			t.Errorf("%v %+v", err, r)
		}
	}
	call(t, w, "relay", "").greeted().steps("STARTTLS now", "220")
}

func TestStartRefusesNonsense(t *testing.T) {
	for name, opts := range map[string]Options{
		"a provider without a name":     {Providers: []Provider{{}}},
		"two of the same name":          {Providers: []Provider{{Name: "a"}, {Name: "a"}}},
		"an address out in the world":   {Providers: []Provider{{Name: "a", Listen: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}},
		"a rule that makes no sense":    {Providers: []Provider{{Name: "a", Rules: []Rule{{Name: "x"}}}}},
		"a name server that can not be": {DNS: "192.0.2.1:0"},
	} {
		if w, err := Start(opts); err == nil {
			w.Close()
			t.Errorf("%s: started", name)
		}
	}
	w := one(t)
	if w2, err := Start(Options{Port: w.Port(), Providers: []Provider{{Name: "x"}}}); err == nil {
		w2.Close()
		t.Error("a port that is taken was opened")
	}
	if w.SetRules("nobody", nil) == nil || w.SetUp("nobody", true) == nil || w.Addr("nobody").IsValid() {
		t.Error("a provider that is not there was changed")
	}
}

func TestAProviderGoesOffTheNetAndComesBack(t *testing.T) {
	w := one(t)
	c := call(t, w, "p", "").greeted()
	if err := w.SetUp("p", false); err != nil {
		t.Fatal(err)
	}
	if got := c.say("NOOP\r\n"); got != "" {
		t.Errorf("still here: %q", got)
	}
	if conn, err := net.Dial("tcp", w.Addr("p").String()); err == nil {
		conn.Close()
		t.Error("a connection was taken")
	}
	for range 2 {
		if err := w.SetUp("p", true); err != nil {
			t.Fatal(err)
		}
	}
	call(t, w, "p", "").greeted()
}

func TestCloseEndsEverything(t *testing.T) {
	w, err := Start(Options{Providers: []Provider{{Name: "p", Groups: []Group{{Domains: []string{"example.com"}}},
		Rules: []Rule{{Name: "slow", Action: Tarpit, Delay: time.Hour}}}}})
	if err != nil {
		t.Fatal(err)
	}
	c := call(t, w, "p", "")
	w.Close()
	w.Close()
	if got := c.hear(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestManyProvidersShareOnePortOnAddressesOfTheirOwn(t *testing.T) {
	var opts Options
	for i := range 300 {
		opts.Providers = append(opts.Providers, Provider{Name: fmt.Sprintf("p%d", i), Groups: []Group{{Domains: []string{fmt.Sprintf("d%d.example", i)}}}})
	}
	w := start(t, opts)
	seen := make(map[netip.AddrPort]bool)
	for i := range 300 {
		a := w.Addr(fmt.Sprintf("p%d", i))
		if a.Port() != w.Port() || seen[a] {
			t.Errorf("%v", a)
		}
		seen[a] = true
	}
}

func TestADotBetweenBareLineFeedsDoesNotEndTheContent(t *testing.T) {
	w := one(t)
	call(t, w, "p", "").greeted().steps("MAIL FROM:<r+1@x.example>", "250", "RCPT TO:<a@example.com>", "250", "DATA", "354",
		"X: y\r\n\r\na\n.\nMAIL FROM:<evil@x.example>\n.\r\nb\r\n"+strings.Repeat("x", 2*lineBuffer-1)+"\r\n.", "250")
	r, _ := w.Record("1", "a@example.com")
	if want := Digest([]byte("X: y\r\n\r\na\n.\nMAIL FROM:<evil@x.example>\n.\r\nb\r\n" + strings.Repeat("x", 2*lineBuffer-1) + "\r\n")); r.Digest != want || len(w.Records()) != 1 {
		t.Errorf("%+v", w.Records())
	}
}
