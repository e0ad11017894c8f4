package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// generator writes a log as a busy Postfix makes it: several messages at once, their lines mixed. Of a hundred messages about
// three are refused, six deferred for a while, and for each two that are let in one client is turned away.
type generator struct {
	w       *bufio.Writer
	rng     *rand.Rand
	now     time.Time
	lines   int64
	octets  int64
	pid     int
	waiting []func() // what is still to be written, of all messages
	line    []byte
}

// hosts are the servers that mail goes to, with the share of the largest.
var hosts = []struct{ domain, host, ip, ok string }{
	{"gmail.com", "gmail-smtp-in.l.google.com", "142.251.170.27", "250 2.0.0 OK  %d d2e1a72fcca58-724f81f5a9csi123456b3a.%d - gsmtp"},
	{"gmail.com", "alt1.gmail-smtp-in.l.google.com", "2607:f8b0:400e:c04::1b", "250 2.0.0 OK  %d 41be03b00d2f7-7fbcbfd9a5dsi987654a12.%d - gsmtp"},
	{"example.jp", "aspmx.l.google.com", "142.250.157.26", "250 2.0.0 OK  %d e9e14a558f8ab-3a7478f1d2esi456789173.%d - gsmtp"},
	{"yahoo.co.jp", "mx1.mail.yahoo.co.jp", "183.79.16.246", "250 ok dirdel %d/%d"},
	{"outlook.com", "outlook-com.olc.protection.outlook.com", "52.101.68.5", "250 2.6.0 <%d.%d@mail.example.org> [InternalId=123456, Hostname=DB5.eurprd.prod.outlook.com] Queued mail for delivery"},
	{"docomo.ne.jp", "mfsmax.docomo.ne.jp", "203.138.203.200", "250 2.0.0 Ok: queued as %dA%d"},
	{"example.net", "mx.example.net", "192.0.2.25", "250 2.0.0 Ok: queued as 4XyzAb%dz%d"},
}

const refused = "550-5.7.1 [198.51.100.7      18] Our system has detected that this message is 550-5.7.1 likely suspicious due to the very low reputation of the sending IP 550-5.7.1 address. To best protect our users from spam, the message has been 550-5.7.1 blocked. Please visit 550 5.7.1 https://support.google.com/mail/answer/188131 for more information. x1si123456pgc.42 - gsmtp"

// generate writes about that many lines and returns how many octets they are.
func generate(path string, lines int64) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	g := &generator{w: bufio.NewWriterSize(f, 1<<20), rng: rand.New(rand.NewPCG(1, 2)), now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), pid: 2000}
	for g.lines < lines {
		for len(g.waiting) < 200 {
			if g.rng.IntN(3) == 0 {
				g.turnAway()
			}
			g.message()
		}
		i := g.rng.IntN(16) // the older ones come first, about
		next := g.waiting[i]
		g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
		next()
	}
	if err := g.w.Flush(); err != nil {
		return 0, err
	}
	return g.octets, f.Close()
}

// put writes one line.
func (g *generator) put(program, format string, args ...any) {
	if g.rng.IntN(20) == 0 { // twenty lines a second
		g.now = g.now.Add(time.Second)
	}
	g.line = g.now.AppendFormat(g.line[:0], "Jan _2 15:04:05")
	g.line = fmt.Appendf(g.line, " mail postfix/%s[%d]: ", program, g.pid+g.rng.IntN(40))
	g.line = fmt.Appendf(g.line, format, args...)
	g.line = append(g.line, '\n')
	g.lines++
	g.octets += int64(len(g.line))
	g.w.Write(g.line)
}

// turnAway writes a client that is on a blocklist.
func (g *generator) turnAway() {
	ip := fmt.Sprintf("203.0.113.%d", g.rng.IntN(256))
	g.put("smtpd", "connect from unknown[%s]", ip)
	g.put("smtpd", "NOQUEUE: reject: RCPT from unknown[%s]: 554 5.7.1 Service unavailable; Client host [%s] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/%s; from=<offer%d@example.com> to=<user%d@example.org> proto=ESMTP helo=<host%d.example.com>",
		ip, ip, ip, g.rng.IntN(1000), g.rng.IntN(500), g.rng.IntN(256))
	g.put("smtpd", "disconnect from unknown[%s] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4", ip)
}

const letters = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"

func (g *generator) id() string {
	id := []byte("4XyzAb0000z1Qw2")
	for i := 3; i < 10; i++ {
		id[i] = letters[g.rng.IntN(len(letters))]
	}
	return string(id)
}

// message plans the lines of one message.
func (g *generator) message() {
	id, h := g.id(), hosts[min(g.rng.IntN(len(hosts)), g.rng.IntN(len(hosts)))]
	n, from := g.rng.IntN(1e6), fmt.Sprintf("shop%d@example.org", g.rng.IntN(40))
	relay := fmt.Sprintf("%s[%s]:25", h.host, h.ip)
	to := fmt.Sprintf("customer%d@%s", g.rng.IntN(20000), h.domain)
	last := func() { g.put("qmgr", "%s: removed", id) }
	sent := func() {
		ok := fmt.Sprintf(h.ok, n, n%97)
		g.put("smtp", "%s: to=<%s>, relay=%s, delay=1.%d, delays=0.05/0.01/0.6/0.%d, dsn=2.0.0, status=sent (%s)", id, to, relay, n%10, n%97, ok)
		g.later(last)
	}
	try := sent
	switch g.rng.IntN(33) {
	case 0:
		try = func() {
			g.put("smtp", "%s: to=<%s>, relay=%s, delay=1.9, delays=0.05/0/1.1/0.71, dsn=5.7.1, status=bounced (host %s[%s] said: %s (in reply to end of DATA command))", id, to, relay, h.host, h.ip, refused)
			g.put("bounce", "%s: sender non-delivery notification: %s", id, g.id())
			g.later(last)
		}
	case 1, 2:
		try = func() {
			g.put("smtp", "%s: to=<%s>, relay=%s, delay=2.1, delays=0.05/0.02/1.3/0.7, dsn=4.2.0, status=deferred (host %s[%s] said: 450 4.2.0 <%s>: Recipient address rejected: Greylisted (in reply to RCPT TO command))", id, to, relay, h.host, h.ip, to)
			g.later(func() {
				g.put("qmgr", "%s: from=<%s>, size=%d, nrcpt=1 (queue active)", id, from, 2000+n)
				g.later(sent)
			})
		}
	}
	g.put("smtpd", "connect from app%d.example.org[192.0.2.%d]", n%9, n%9)
	g.put("smtpd", "%s: client=app%d.example.org[192.0.2.%d], sasl_method=PLAIN, sasl_username=shop", id, n%9, n%9)
	g.later(func() {
		g.put("cleanup", "%s: message-id=<%d.%d@app.example.org>", id, g.now.Unix(), n)
		g.put("qmgr", "%s: from=<%s>, size=%d, nrcpt=1 (queue active)", id, from, 2000+n)
		g.put("smtpd", "disconnect from app%d.example.org[192.0.2.%d] ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8", n%9, n%9)
		g.later(func() {
			g.put("smtp", "Trusted TLS connection established to %s: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (P-256) server-digest SHA256", relay)
			try()
		})
	})
}

func (g *generator) later(f func()) { g.waiting = append(g.waiting, f) }
