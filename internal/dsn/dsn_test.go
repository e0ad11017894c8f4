package dsn

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mail"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	jst  = time.FixedZone("JST", 9*3600)
	then = time.Date(2019, 4, 15, 9, 0, 0, 0, jst)
)

// google2019 is the refusal that this project exists for.
var google2019 = mail.Reply{Code: 550, Status: mail.Status{Class: 5, Subject: 7, Detail: 1}, Lines: []string{
	"5.7.1 [192.0.2.10      18] Our system has detected that this message is",
	"5.7.1 likely suspicious due to the very low reputation of the sending IP",
	"5.7.1 address. To best protect our users from spam, the message has been",
	"5.7.1 blocked. Please visit",
	"5.7.1  https://support.google.com/mail/answer/188131 for more information. p22nn000202cat.22 - gsmtp",
}}

const order = "Received: from a\r\nFrom: =?utf-8?B?5bGx55Sw?= <taro@example.jp>\r\nTo: hanako@gmail.com\r\nSubject: =?utf-8?B?5rOo5paH44GM56K66KqN?=\r\n =?utf-8?B?44GV44KM44G+44GX44Gf?=\r\nMessage-ID: <1@example.jp>\r\n\r\nThank you for your order.\r\n.\r\n"

func failure() *Report {
	return &Report{
		Envelope: &mail.Envelope{
			ID: 0x16a1e5a1c0000001, Accepted: then.Add(-time.Hour), From: "taro@example.jp", EnvID: "QQ314159", MessageID: "1@example.jp",
			Recipients: []mail.Recipient{{Addr: "hanako@gmail.com"}},
		},
		Host: "relay.example.net", MessageID: "dsn-1@relay.example.net", Lang: i18n.EN, Boundary: "golden-boundary",
		Original: strings.NewReader(order),
		Recipients: []Recipient{{
			Recipient: mail.Recipient{Addr: "hanako@gmail.com", ORcpt: "rfc822;Hanako@gmail.com"}, Action: Failed, Reply: google2019,
			Host: "gmail-smtp-in.l.google.com", LastAttempt: then.Add(-time.Minute),
			Reason: Words{EN: "Google refuses mail from this server's address, and no other way out was left.", JA: "Googleがこのサーバーのアドレスからのメールを拒否しており、ほかの経路もありませんでした。"},
		}},
	}
}

func delay() *Report {
	r := failure()
	r.Lang = i18n.JA
	r.Recipients = []Recipient{{
		Recipient: mail.Recipient{Addr: "info@example.com"}, Action: Delayed, Trouble: "connection refused",
		LastAttempt: then.Add(-time.Minute), RetryUntil: then.Add(96 * time.Hour),
		Reason: Words{EN: "The server of example.com does not answer.", JA: "example.com のサーバーが応答しません。"},
	}}
	return r
}

func unicodeReport() *Report {
	r := failure()
	r.Envelope.UTF8, r.Envelope.From, r.Envelope.Ret = true, "太郎@例え.jp", "FULL"
	r.Original = strings.NewReader("From: 太郎@例え.jp\r\nSubject: 注文\r\n\r\n本文\r\n")
	r.Recipients[0].Recipient = mail.Recipient{Addr: "花子@例え.jp", ORcpt: "utf-8;花子+x@例え.jp"}
	r.Recipients[0].Reply = mail.Reply{Code: 550, Lines: []string{"5.1.1 花子: 不明"}}
	r.Recipients[0].Host = "mx.例え.jp"
	return r
}

func mixed() *Report {
	r := failure()
	r.Envelope.Ret = "FULL"
	r.Recipients = append(r.Recipients,
		Recipient{Recipient: mail.Recipient{Addr: "ok@example.com"}, Action: Delivered, Reply: mail.Reply{Code: 250, Lines: []string{"2.0.0 ok"}}, Host: "mx.example.com"},
		Recipient{Recipient: mail.Recipient{Addr: "old@example.com"}, Action: Failed, Status: mail.Status{Class: 4, Subject: 4, Detail: 7}, Trouble: "no answer in 5 days"})
	return r
}

func TestGolden(t *testing.T) {
	for name, r := range map[string]*Report{"failure": failure(), "delay": delay(), "unicode": unicodeReport(), "mixed": mixed()} {
		t.Run(name, func(t *testing.T) {
			m, err := Build(then, r)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".eml")
			if *update {
				if err := os.WriteFile(file, m.Content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.Content, want) {
				t.Errorf("differs from %s (run the test with -update after looking at it):\n%s", file, m.Content)
			}
		})
	}
}

// parsed is a notification as a mail program sees it.
type parsed struct {
	header netmail.Header
	parts  []textproto.MIMEHeader
	bodies []string // decoded
	groups []textproto.MIMEHeader
}

// parse fails the test for anything that no notification may be.
func parse(t *testing.T, m *Message) *parsed {
	t.Helper()
	checkLines(t, m)
	msg, err := netmail.ReadMessage(bytes.NewReader(m.Content))
	if err != nil {
		t.Fatalf("%v\n%q", err, m.Content)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("%s %v %v", kind, params, err)
	}
	p := &parsed{header: msg.Header}
	mr := multipart.NewReader(msg.Body, params["boundary"])
	for {
		part, err := mr.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%q", err, m.Content)
		}
		var body io.Reader = part
		switch part.Header.Get("Content-Transfer-Encoding") {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, part)
		case "quoted-printable":
			body = quotedprintable.NewReader(part)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatalf("%v\n%q", err, m.Content)
		}
		p.parts, p.bodies = append(p.parts, part.Header), append(p.bodies, string(b))
	}
	if len(p.parts) < 2 {
		t.Fatalf("%d parts", len(p.parts))
	}
	p.groups = parseGroups(t, p.bodies[1])
	return p
}

func checkLines(t *testing.T, m *Message) {
	t.Helper()
	if !bytes.HasSuffix(m.Content, []byte("\r\n")) {
		t.Fatal("the last line has no end")
	}
	for line := range bytes.SplitSeq(m.Content, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("a bad line of %d octets: %q", len(line), line)
		}
	}
	if m.EightBit != !ascii(string(m.Content)) {
		t.Fatal("EightBit is wrong")
	}
}

// parseGroups reads the fields of the second part.
func parseGroups(t *testing.T, body string) []textproto.MIMEHeader {
	t.Helper()
	var groups []textproto.MIMEHeader
	for g := range strings.SplitSeq(strings.TrimRight(body, "\r\n"), "\r\n\r\n") {
		h, err := netmail.ReadMessage(strings.NewReader(g + "\r\n\r\n"))
		if err != nil {
			t.Fatalf("%v in %q", err, g)
		}
		groups = append(groups, textproto.MIMEHeader(h.Header))
	}
	return groups
}

func build(t *testing.T, r *Report) *parsed {
	t.Helper()
	m, err := Build(then, r)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, m)
}

func TestAFailureTellsPeopleAndPrograms(t *testing.T) {
	p := build(t, failure())
	for name, want := range map[string]string{
		"To": "<taro@example.jp>", "Auto-Submitted": "auto-replied", "In-Reply-To": "<1@example.jp>", "References": "<1@example.jp>",
		"Message-Id": "<dsn-1@relay.example.net>", "Mime-Version": "1.0", "Date": "Mon, 15 Apr 2019 09:00:00 +0900",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(p.header.Get("Subject"))
	if err != nil || subject != "Your message was not delivered / メールを配信できませんでした" {
		t.Errorf("subject %q %v", subject, err)
	}
	for _, want := range []string{"hanako@gmail.com", "no other way out was left", "ほかの経路もありませんでした", "注文が確認されました", "gmail-smtp-in.l.google.com answered: 550 5.7.1 [192.0.2.10"} {
		if !strings.Contains(p.bodies[0], want) {
			t.Errorf("the words lack %q:\n%s", want, p.bodies[0])
		}
	}
	if strings.Index(p.bodies[0], "could not be delivered") > strings.Index(p.bodies[0], "配信できません") {
		t.Error("English was to come first")
	}
	if len(p.groups) != 2 {
		t.Fatalf("%d groups", len(p.groups))
	}
	for name, want := range map[string]string{"Reporting-Mta": "dns; relay.example.net", "Original-Envelope-Id": "QQ314159", "Arrival-Date": "Mon, 15 Apr 2019 08:00:00 +0900"} {
		if got := p.groups[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"Original-Recipient": "rfc822; Hanako@gmail.com", "Final-Recipient": "rfc822; hanako@gmail.com", "Action": "failed", "Status": "5.7.1",
		"Remote-Mta": "dns; gmail-smtp-in.l.google.com", "Last-Attempt-Date": "Mon, 15 Apr 2019 08:59:00 +0900",
	} {
		if got := p.groups[1].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := p.groups[1].Get("Diagnostic-Code"); !strings.HasPrefix(got, "smtp; 550-5.7.1 [192.0.2.10 ") || !strings.Contains(got, "550 5.7.1  https://") {
		t.Errorf("Diagnostic-Code: %q", got)
	}
	if got := p.parts[2].Get("Content-Type"); got != "text/rfc822-headers" || strings.Contains(p.bodies[2], "Thank you") || !strings.Contains(p.bodies[2], "Message-ID: <1@example.jp>") {
		t.Errorf("third part %s:\n%s", got, p.bodies[2])
	}
}

func TestADelaySaysUntilWhen(t *testing.T) {
	p := build(t, delay())
	g := p.groups[1]
	if g.Get("Action") != "delayed" || g.Get("Status") != "4.0.0" || g.Get("Will-Retry-Until") != "Fri, 19 Apr 2019 09:00:00 +0900" || g.Get("Diagnostic-Code") != "x-ukai; connection refused" {
		t.Errorf("%v", g)
	}
	if strings.Index(p.bodies[0], "遅れています") > strings.Index(p.bodies[0], "not yet been delivered") {
		t.Error("Japanese was to come first")
	}
}

func TestUnicodeAddressesTakeTheFormsOfRFC6533(t *testing.T) {
	m, err := Build(then, unicodeReport())
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, m)
	if !m.UTF8 || !m.EightBit {
		t.Errorf("UTF8 %v, EightBit %v", m.UTF8, m.EightBit)
	}
	if p.parts[1].Get("Content-Type") != "message/global-delivery-status" || p.parts[2].Get("Content-Type") != "message/global" {
		t.Errorf("%v %v", p.parts[1], p.parts[2])
	}
	g := p.groups[1]
	if g.Get("Final-Recipient") != "utf-8; 花子@例え.jp" || g.Get("Original-Recipient") != `utf-8; 花子\x{2B}x@例え.jp` || g.Get("Remote-Mta") != "dns; mx.xn--r8jz45g.jp" {
		t.Errorf("%v", g)
	}
	r := unicodeReport() // a recipient beyond ASCII of a message that was sent without SMTPUTF8: seven bits must do
	r.Envelope.UTF8, r.Envelope.From, r.Original = false, "taro@example.jp", nil
	if m, err = Build(then, r); err != nil || m.EightBit || m.UTF8 {
		t.Fatalf("%v\n%s", err, m.Content)
	}
	p = parse(t, m)
	if got := p.groups[1].Get("Final-Recipient"); got != `utf-8; \x{82B1}\x{5B50}@\x{4F8B}\x{3048}.jp` || p.parts[1].Get("Content-Type") != "message/delivery-status" {
		t.Errorf("%s", got)
	}
	if len(p.parts) != 2 {
		t.Errorf("%d parts without an original", len(p.parts))
	}
}

func TestHowMuchOfTheOriginalGoesBack(t *testing.T) {
	long := "Subject: x\r\n\r\n" + strings.Repeat("0123456789\r\n", 100)
	for _, c := range []struct {
		name, content, ret string
		action             Action
		max                int64
		kind, want         string
	}{
		{"the header by default", "Subject: x\r\n\r\nbody\r\n", "", Failed, 0, "text/rfc822-headers", "Subject: x\r\n"},
		{"all of it if wanted", "Subject: x\r\n\r\nbody\r\n", "FULL", Failed, 0, "message/rfc822", "Subject: x\r\n\r\nbody\r\n"},
		{"the header of a delayed message whatever was wanted", "Subject: x\r\n\r\nbody\r\n", "FULL", Delayed, 0, "text/rfc822-headers", "Subject: x\r\n"},
		{"the header of a message above the limit", long, "FULL", Failed, 100, "text/rfc822-headers", "Subject: x\r\n"},
		{"whole lines of a header above the limit", strings.Repeat("X: 0123456789\r\n", 100), "", Failed, 40, "text/rfc822-headers", "X: 0123456789\r\nX: 0123456789\r\n"},
		{"the header of a message with lines too long to send", "Subject: x\r\n\r\n" + strings.Repeat("x", 2000) + "\r\n", "FULL", Failed, 0, "text/rfc822-headers", "Subject: x\r\n"},
		{"the header of a message with a NUL", "Subject: x\r\n\r\n\x00\r\n", "FULL", Failed, 0, "text/rfc822-headers", "Subject: x\r\n"},
		{"a body of eight bits", "Subject: x\r\n\r\n\xe3\x81\x82\r\n", "FULL", Failed, 0, "message/rfc822", "Subject: x\r\n\r\n\xe3\x81\x82\r\n"},
		{"a header of eight bits, encoded", "Subject: \xe3\x81\x82\r\n\r\nbody\r\n", "", Failed, 0, "text/rfc822-headers", "Subject: \xe3\x81\x82\r\n"},
		{"a header line too long, encoded", "Subject: " + strings.Repeat("x", 3000) + "\r\n\r\n", "", Failed, 0, "text/rfc822-headers", "Subject: " + strings.Repeat("x", 3000) + "\r\n"},
		{"a message without a header", "\r\nbody\r\n", "", Failed, 0, "text/rfc822-headers", ""},
		{"a message that ends without a line end", "Subject: x\r\n\r\nbody", "FULL", Failed, 0, "message/rfc822", "Subject: x\r\n\r\nbody"},
		{"an empty message", "", "FULL", Failed, 0, "message/rfc822", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := failure()
			r.Original, r.Envelope.Ret, r.MaxOriginal, r.Recipients[0].Action = strings.NewReader(c.content), c.ret, c.max, c.action
			p := build(t, r)
			if len(p.parts) != 3 || p.parts[2].Get("Content-Type") != c.kind || p.bodies[2] != c.want {
				t.Errorf("%v\n%q", p.parts[2:], p.bodies[2:])
			}
		})
	}
}

func TestAnUnreadableOriginalIsAnError(t *testing.T) {
	r := failure()
	r.Original = iotest.ErrReader(io.ErrUnexpectedEOF)
	if _, err := Build(then, r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestTheBoundaryIsRandom(t *testing.T) {
	a, b := failure(), failure()
	a.Boundary, b.Boundary = "", ""
	x, _ := Build(then, a)
	y, _ := Build(then, b)
	if bytes.Equal(x.Content, y.Content) {
		t.Error("two notifications have the same boundary")
	}
	parse(t, x)
}

func TestTheStatusFitsTheAction(t *testing.T) {
	st := func(s string) mail.Status { v, _ := mail.ParseStatus(s); return v }
	for _, c := range []struct {
		action      Action
		own, remote string
		want        string
	}{
		{Failed, "", "5.1.1", "5.1.1"}, {Failed, "4.4.7", "5.1.1", "4.4.7"}, {Failed, "", "", "5.0.0"}, {Failed, "2.0.0", "", "5.0.0"},
		{Delayed, "", "4.2.0", "4.2.0"}, {Delayed, "", "5.7.1", "4.0.0"}, {Delayed, "", "", "4.0.0"},
		{Delivered, "", "2.1.5", "2.1.5"}, {Relayed, "", "", "2.0.0"}, {Expanded, "", "5.0.0", "2.0.0"},
	} {
		r := Recipient{Action: c.action, Status: st(c.own), Reply: mail.Reply{Status: st(c.remote)}}
		if got := r.code().String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestStrangersCannotBreakOut(t *testing.T) {
	evil := "x>\r\nBcc: all@example.net\r\n\r\n--golden-boundary\r\nContent-Type: text/html\r\n\r\n<script>"
	r := failure()
	r.Envelope.From, r.Envelope.EnvID, r.Envelope.MessageID, r.MessageID, r.Host = evil+"@example.org>, <b@c.org", evil, evil, evil, evil
	r.Recipients[0] = Recipient{
		Recipient: mail.Recipient{Addr: evil + "@\xff\xfe", ORcpt: "rfc822;" + evil}, Action: Failed, Host: evil, Reason: Words{EN: evil, JA: evil},
		Reply: mail.Reply{Code: 550, Lines: []string{evil, strings.Repeat("y", 5000), "\x00\x1b[31m\u202e"}},
	}
	p := build(t, r)
	if len(p.parts) != 3 || len(p.groups) != 2 || p.header.Get("Bcc") != "" || p.groups[0].Get("Bcc") != "" || p.groups[1].Get("Bcc") != "" {
		t.Errorf("%v\n%v\n%v", p.header, p.parts, p.groups)
	}
	if list, err := netmail.ParseAddressList(p.header.Get("To")); err != nil || len(list) != 1 {
		t.Errorf("To: %q %v %v", p.header.Get("To"), list, err)
	}
}

func FuzzBuild(f *testing.F) {
	f.Add("taro@example.jp", "a\r\nb@c", "rfc822;x", "550 \r\n.\r\n", "Subject: =?utf-8?q?x?=\r\n\r\n--golden-boundary--\r\n", true, true)
	f.Add("\"a b\"@[192.0.2.1]", "\xff@\u2028", ";;", strings.Repeat(" ", 2000), "\r\n", false, false)
	f.Add("a@b@c", strings.Repeat("あ", 900), "utf-8;\u00e9", strings.Repeat("あ", 900), "A\nB", true, false)
	f.Fuzz(func(t *testing.T, from, addr, orcpt, reply, content string, full, utf8 bool) {
		r := failure()
		r.Boundary = ""
		r.Envelope.From, r.Envelope.UTF8, r.Envelope.EnvID, r.Envelope.MessageID = from, utf8, orcpt, addr
		if full {
			r.Envelope.Ret = "FULL"
		}
		r.Original = strings.NewReader(content)
		r.Recipients[0].Recipient = mail.Recipient{Addr: addr, ORcpt: orcpt}
		r.Recipients[0].Reply.Lines = []string{reply, from}
		r.Recipients[0].Host, r.Host, r.MessageID = from, addr, reply
		r.Recipients[0].Reason = Words{EN: reply, JA: content}
		p := build(t, r)
		if len(p.parts) != 3 || len(p.groups) != 2 {
			t.Fatalf("%d parts, %d groups", len(p.parts), len(p.groups))
		}
		for _, name := range []string{"From", "To", "Subject", "Date", "Auto-Submitted", "Content-Type"} {
			if len(p.header[name]) != 1 {
				t.Fatalf("%d fields %s", len(p.header[name]), name)
			}
		}
		if got := len(p.header); got > 10 {
			t.Fatalf("%d header fields: %v", got, p.header)
		}
	})
}
