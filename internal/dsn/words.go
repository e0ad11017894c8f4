package dsn

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"

	"ukai/internal/i18n"
)

// words writes the part for people, in both languages. It is encoded as a whole: no line of it can be taken for a boundary.
func (r *Report) words(orig *original) (headers string, body []byte) {
	var b strings.Builder
	first, second := r.langs()
	r.tell(&b, first, orig)
	b.WriteString("\r\n" + strings.Repeat("-", 60) + "\r\n\r\n")
	r.tell(&b, second, orig)
	return "Content-Type: text/plain; charset=utf-8\r\nContent-Language: " + string(first) + ", " + string(second) +
		"\r\nContent-Transfer-Encoding: base64\r\n", encode(b.String())
}

// groups are the headings under which recipients are listed, worst news first.
var groups = []struct {
	heading string
	actions []Action
}{
	{"dsn.text.failed", []Action{Failed}},
	{"dsn.text.delayed", []Action{Delayed}},
	{"dsn.text.delivered", []Action{Delivered, Relayed, Expanded}},
}

func (r *Report) tell(b *strings.Builder, l i18n.Lang, orig *original) {
	line := func(s string) { b.WriteString(s + "\r\n") }
	line(i18n.Text(l, "dsn.text.who", "host", hostName(r.Host)))
	line("")
	for _, g := range groups {
		some := false
		for i := range r.Recipients {
			rcpt := &r.Recipients[i]
			if !has(g.actions, rcpt.Action) {
				continue
			}
			if !some {
				line(i18n.Text(l, g.heading))
				line("")
			}
			some = true
			rcpt.tell(b, l)
			line("")
		}
	}
	if orig.subject != "" {
		line(i18n.Text(l, "dsn.text.subject", "subject", orig.subject))
	}
	if !r.Envelope.Accepted.IsZero() {
		line(i18n.Text(l, "dsn.text.accepted", "time", stamp(r.Envelope.Accepted)))
	}
	line(i18n.Text(l, "dsn.text.id", "id", r.Envelope.ID.String()))
}

// tell says what became of one recipient.
func (r *Recipient) tell(b *strings.Builder, l i18n.Lang) {
	line := func(s string) { b.WriteString("    " + s + "\r\n") }
	b.WriteString("  <" + printable(r.Addr, true) + ">\r\n")
	if reason := printable(r.Reason.in(l), true); reason != "" {
		line(reason)
	}
	if r.Reply.Code != 0 {
		host := i18n.Text(l, "dsn.text.remote")
		if r.Host != "" {
			host = hostName(r.Host)
		}
		line(i18n.Text(l, "dsn.text.reply", "host", host, "reply", clip(printable(r.Reply.String(), true), maxDiagnostic)))
	} else if r.Trouble != "" {
		line(i18n.Text(l, "dsn.text.trouble", "trouble", clip(printable(r.Trouble, true), maxDiagnostic)))
	}
	if r.Action == Delayed && !r.RetryUntil.IsZero() {
		line(i18n.Text(l, "dsn.text.until", "time", stamp(r.RetryUntil)))
	}
}

func has(actions []Action, a Action) bool {
	for _, x := range actions {
		if x == a {
			return true
		}
	}
	return false
}

// stamp is a time that means the same to a reader in another zone.
func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05 -0700") }

// encode is base64 in lines of 76 (RFC 2045, section 6.8).
func encode(s string) []byte {
	text := base64.StdEncoding.EncodeToString([]byte(s))
	b := bytes.Buffer{}
	for text != "" {
		n := min(len(text), wantedLine)
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.Bytes()
}
