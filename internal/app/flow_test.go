package app

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/account"
	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/systemd"
)

// peer is a session by hand.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func connect(t *testing.T, a net.Addr) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	p := &peer{t, conn, bufio.NewReader(conn)}
	p.want("220 ")
	return p
}

// want reads a reply and checks how its last line begins.
func (p *peer) want(begin string) string {
	p.t.Helper()
	var all string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("%v, want %q", err, begin)
		}
		all += line
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if last := all[strings.LastIndex(strings.TrimSpace("\n"+all), "\n")+1:]; !strings.HasPrefix(last, begin) && !strings.Contains(all, begin) {
		p.t.Fatalf("%q, want %q", all, begin)
	}
	return all
}

func (p *peer) say(line, want string) string {
	p.t.Helper()
	fmt.Fprintf(p.conn, "%s\r\n", line)
	return p.want(want)
}

func TestWhatWasAcknowledgedIsThereAfterTheDrain(t *testing.T) {
	c := settings(t)
	log := &logs{}
	a, stop := running(t, c, Options{Log: log.logger()})
	idle := connect(t, a.Addr("in"))
	idle.say("EHLO idle.example", "250 ")
	busy := connect(t, a.Addr("in"))
	busy.say("EHLO busy.example", "250 ")
	busy.say("MAIL FROM:<taro@example.jp>", "250 ")
	busy.say("RCPT TO:<hanako@example.net>", "250 ")
	busy.say("DATA", "354 ")
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	idle.want("421 ") // told at once
	fmt.Fprint(busy.conn, "Subject: Last\r\n\r\nlast\r\n.\r\n")
	id := strings.TrimSpace(busy.want("250 "))
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "msg=drained") {
		t.Errorf("no word of the drain in the log:\n%s", log)
	}
	if _, err := net.DialTimeout("tcp", busy.conn.RemoteAddr().String(), time.Second); err == nil {
		t.Error("the listener is still open")
	}
	running(t, c, Options{})
	list, err := api.NewClient(c.Data).Queue(t.Context(), &api.Selection{})
	if err != nil || len(list) != 1 || !strings.Contains(id, list[0].ID) || list[0].From != "taro@example.jp" {
		t.Fatalf("%+v, %v; acknowledged: %s", list, err, id)
	}
	var b strings.Builder
	if err := api.NewClient(c.Data).Content(t.Context(), list[0].ID, &b); err != nil || !strings.HasPrefix(b.String(), "Received: from busy.example") || !strings.Contains(b.String(), "\r\nlast\r\n") {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestTheSubmissionListenerAppearsWithTheFirstAccount(t *testing.T) {
	c := settings(t)
	free := func() []net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return []net.Listener{l}
	}
	c.Listeners = config.Default().Listeners
	sockets := systemd.Listeners{c.Listeners[0].Name: free(), submissionListener.Name: free()} // in place of the fixed ports
	a, stop := running(t, c, Options{Inherited: sockets})
	if a.Addr(c.Listeners[0].Name) == nil || a.Addr(submissionListener.Name) != nil {
		t.Fatal("it listens for accounts, and there are none")
	}
	if err := a.accounts.Add(t.Context(), account.Account{Name: "shop", Domains: []string{"example.jp"}}, "secret words"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "submission listener", func() bool { return a.Addr(submissionListener.Name) != nil })
	s, err := smtp.Dial(a.Addr(submissionListener.Name).String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Mail("taro@example.jp"); err == nil {
		t.Error("a stranger is let in")
	}
	if err := s.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil { //nolint:gosec // the certificate is of its own making
		t.Fatal(err)
	}
	if err := s.Auth(smtp.PlainAuth("", "shop", "secret words", "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if err := s.Mail("taro@example.com"); err == nil {
		if err = s.Rcpt("hanako@example.net"); err == nil {
			t.Error("the account may use a domain that is not its own")
		}
		_ = s.Reset()
	}
	if err := s.Mail("taro@example.jp"); err != nil {
		t.Error(err)
	}
	if err := s.Rcpt("hanako@example.net"); err != nil {
		t.Error(err)
	}
	if err := s.Quit(); err != nil { // else the drain waits for the message
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	b, _ := running(t, c, Options{Inherited: systemd.Listeners{c.Listeners[0].Name: free(), submissionListener.Name: free()}})
	if b.Addr(submissionListener.Name) == nil {
		t.Error("with an account there from the start, it does not listen for it")
	}
}

func TestListenersOfTheSettingsAreNotJoinedByAnother(t *testing.T) {
	c := settings(t)
	a, stop := running(t, c, Options{})
	if err := a.accounts.Add(t.Context(), account.Account{Name: "shop", Domains: []string{"example.jp"}}, "secret words"); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b, _ := running(t, c, Options{})
	if b.Addr(submissionListener.Name) != nil {
		t.Error("the settings say where accounts log in, and another listener is opened")
	}
}

func TestAReloadTakesOverWhatItCanAndKeepsSessions(t *testing.T) {
	c := settings(t)
	log := &logs{}
	a, _ := running(t, c, Options{Log: log.logger()})
	client := api.NewClient(c.Data)
	p := connect(t, a.Addr("in"))
	p.say("EHLO a.example", "SIZE 50000000")

	next := *c
	next.Mode = config.Observe
	next.Limits.MessageSize = 1_000_000
	next.Egresses = append([]config.Egress{{Name: "spare", Kind: config.Direct, Port: 25}}, c.Egresses...)
	next.Pools = []config.Pool{{Name: "default", Egresses: []string{"spare"}}}
	next.HTTP.Listen = "127.0.0.1:9"
	next.Listeners = append([]config.Listener{{Name: "more", Address: "127.0.0.1:0", TLS: config.NoTLS, Relay: []netip.Prefix{}}}, c.Listeners...)
	if err := a.Reload(t.Context(), &next); err != nil {
		t.Fatal(err)
	}
	p.say("NOOP", "250 ")
	connect(t, a.Addr("in")).say("EHLO b.example", "SIZE 1000000")
	if s, err := client.Status(t.Context()); err != nil || s.Mode != "observe" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := client.Block(t.Context(), "spare", "google", api.BlockRequest{}); err != nil {
		t.Errorf("the egress is not known: %v", err)
	}
	for _, want := range []string{"configuration reloaded", "change at a restart only", "a new listener is opened at a restart only"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}

	bad := next
	bad.Mode = config.Act
	bad.DKIM = []config.DKIM{{Domain: "example.jp", Selector: "s", Key: "/none.pem"}}
	if err := a.Reload(t.Context(), &bad); err == nil {
		t.Error("a key that is not there is taken over")
	}
	if s, err := client.Status(t.Context()); err != nil || s.Mode != "observe" {
		t.Errorf("after a reload that failed: %+v, %v", s, err)
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	mine := certFiles{cert: filepath.Join(dir, "a", "cert.pem"), key: filepath.Join(dir, "a", "key.pem")}
	make1 := func() {
		c := newCertificates("")
		c.dir = filepath.Dir(mine.cert)
		_ = os.Remove(mine.cert)
		if err := c.selfSigned(mine); err != nil {
			t.Fatal(err)
		}
	}
	make1()
	c := newCertificates(dir)
	get, err := c.source(&config.Listener{Cert: mine.cert, Key: mine.key})
	if err != nil {
		t.Fatal(err)
	}
	first := string(get().Certificates[0].Certificate[0])
	own, err := c.source(&config.Listener{}) // of its own making
	if err != nil {
		t.Fatal(err)
	}
	before := string(own().Certificates[0].Certificate[0])
	if st, err := os.Stat(filepath.Join(dir, "tls", "key.pem")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the key is open to others: %v, %v", st, err)
	}
	make1()
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	second := string(get().Certificates[0].Certificate[0])
	if second == first {
		t.Error("the new certificate is not taken over")
	}
	if string(own().Certificates[0].Certificate[0]) != before {
		t.Error("the certificate of its own making is made anew")
	}
	write(t, mine.cert, "broken")
	if err := c.reload(); err == nil || string(get().Certificates[0].Certificate[0]) != second {
		t.Errorf("a broken file is taken over: %v", err)
	}
	again, err := newCertificates(dir).source(&config.Listener{})
	if err != nil || string(again().Certificates[0].Certificate[0]) != before {
		t.Errorf("after a restart another certificate is made: %v", err)
	}
}

func TestAListenerWithAuthoritiesAsksForACertificate(t *testing.T) {
	dir := t.TempDir()
	c := newCertificates(dir)
	f := certFiles{cert: filepath.Join(dir, "tls", "cert.pem"), key: filepath.Join(dir, "tls", "key.pem")}
	if err := c.selfSigned(f); err != nil {
		t.Fatal(err)
	}
	get, err := c.source(&config.Listener{ClientCA: f.cert})
	if err != nil || get().ClientAuth != tls.VerifyClientCertIfGiven || get().ClientCAs == nil || get().MinVersion != tls.VersionTLS12 {
		t.Errorf("%v", err)
	}
}
