package smtpclient

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/dns"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// check decides what can be decided without asking: the server said in its EHLO reply what it cannot take.
func (t *transaction) check() {
	c, env := t.c, t.m.Envelope
	switch {
	case c.ext.MaxSize > 0 && env.Size > c.ext.MaxSize: // RFC 1870, section 6.1
		text := fmt.Sprintf("the message has %d octets, %s takes %d", env.Size, c.base.Host, c.ext.MaxSize)
		t.rest(c.refused(outcome.MailFrom, 552, mail.Status{Class: 5, Subject: 3, Detail: 4}, text, t.start))
	case env.RequireTLS && !(c.ext.RequireTLS && c.verified()): // RFC 8689, section 4.2.1
		text := "the message requires TLS on its whole way, and " + c.base.Host + " does not promise it"
		t.rest(c.refused(outcome.MailFrom, 550, mail.Status{Class: 5, Subject: 7, Detail: 30}, text, t.start))
	case !sendable(env.From):
		t.rest(c.refused(outcome.MailFrom, 553, mail.Status{Class: 5, Subject: 1, Detail: 7}, "the sender's address is malformed", t.start))
	case !c.canName(env.From):
		t.rest(c.refused(outcome.MailFrom, 553, mail.Status{Class: 5, Subject: 6, Detail: 7}, c.base.Host+" knows no SMTPUTF8, which the sender's address needs", t.start))
	}
	t.checkRecipients()
}

func (t *transaction) checkRecipients() {
	n := 0
	var domains []string
	for i, r := range t.m.Recipients {
		if !t.open(i) {
			continue
		}
		addr := t.m.Envelope.Recipients[r].Addr
		code, st, text := t.checkRecipient(addr, n, &domains)
		if code == 0 {
			n++
			continue
		}
		t.res.Outcomes[i] = t.c.refused(outcome.RcptTo, code, st, text, t.start)
	}
}

var statusTooMany = mail.Status{Class: 4, Subject: 5, Detail: 3}

// checkRecipient says why an address cannot be named in this transaction, after n others in some domains; code 0: it can.
func (t *transaction) checkRecipient(addr string, n int, domains *[]string) (code int, st mail.Status, text string) {
	c := t.c
	switch {
	case addr == "" || !sendable(addr):
		return 553, mail.Status{Class: 5, Subject: 1, Detail: 3}, "the recipient's address is malformed"
	case !c.canName(addr): // RFC 6531, section 3.5
		return 553, mail.Status{Class: 5, Subject: 6, Detail: 7}, c.base.Host + " knows no SMTPUTF8, which the address needs"
	case c.ext.RcptMax > 0 && n == c.ext.RcptMax:
		return 452, statusTooMany, fmt.Sprintf("%s takes %d recipients at a time", c.base.Host, c.ext.RcptMax)
	case c.ext.RcptDomainMax == 0:
		return 0, st, ""
	}
	if d := mail.Domain(addr); !slices.Contains(*domains, d) {
		if len(*domains) == c.ext.RcptDomainMax {
			return 452, statusTooMany, fmt.Sprintf("%s takes %d recipient domains at a time", c.base.Host, c.ext.RcptDomainMax)
		}
		*domains = append(*domains, d)
	}
	return 0, st, ""
}

// sendable tells whether an address can stand in a command line. What came in over SMTP always can; this is the last gate, and
// an address with a line end in it would be a command of its own.
func sendable(addr string) bool {
	quoted := strings.HasPrefix(addr, `"`)
	for i := 0; i < len(addr); i++ {
		c := addr[i]
		if c < ' ' || c == 0x7f || !quoted && (c == ' ' || c == '<' || c == '>') {
			return false
		}
	}
	return true
}

// canName tells whether an address can be named to the server: it is ASCII, or the server offers SMTPUTF8, or only its domain
// is not ASCII, which has a name in ASCII too.
func (c *Conn) canName(addr string) bool {
	if isASCII(addr) || c.ext.UTF8 {
		return true
	}
	_, err := dns.ASCII(mail.Domain(addr))
	return err == nil && isASCII(mail.Local(addr))
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// appendPath appends <address>.
func (c *Conn) appendPath(b []byte, addr string) []byte {
	b = append(b, '<')
	if !c.ext.UTF8 && !isASCII(addr) {
		b = append(b, mail.Local(addr)...)
		b = append(b, '@')
		addr, _ = dns.ASCII(mail.Domain(addr)) // canName saw that it succeeds
	}
	b = append(b, addr...)
	return append(b, '>')
}

func (t *transaction) appendMail(b []byte) []byte {
	ext, env := &t.c.ext, t.m.Envelope
	b = append(b, "MAIL FROM:"...)
	b = t.c.appendPath(b, env.From)
	if ext.Size && env.Size > 0 {
		b = append(b, " SIZE="...)
		b = strconv.AppendInt(b, env.Size, 10)
	}
	// RFC 6152, section 3 would have us convert 8-bit content for a server without 8BITMIME, or give it back. Conversion would
	// break signatures, and hardly a server is left that does not take 8 bits: it gets them unannounced, as from other relays.
	if ext.EightBit && (env.EightBit || env.UTF8) {
		b = append(b, " BODY=8BITMIME"...)
	}
	if ext.UTF8 && (env.UTF8 || t.hasUTF8Address()) {
		b = append(b, " SMTPUTF8"...)
	}
	if env.RequireTLS {
		b = append(b, " REQUIRETLS"...)
	}
	if ext.DSN && env.Ret != "" {
		b = append(b, " RET="...)
		b = append(b, env.Ret...)
	}
	if ext.DSN && env.EnvID != "" {
		b = append(b, " ENVID="...)
		b = appendXtext(b, env.EnvID, false)
	}
	return append(b, '\r', '\n')
}

func (t *transaction) hasUTF8Address() bool {
	if !isASCII(t.m.Envelope.From) {
		return true
	}
	return slices.ContainsFunc(t.m.Recipients, func(r int) bool { return !isASCII(t.m.Envelope.Recipients[r].Addr) })
}

func (t *transaction) appendRcpt(b []byte, i int) []byte {
	r := &t.m.Envelope.Recipients[t.m.Recipients[i]]
	b = append(b, "RCPT TO:"...)
	b = t.c.appendPath(b, r.Addr)
	if t.c.ext.DSN {
		b = appendNotify(b, r.Notify)
		if kind, orig, ok := strings.Cut(r.ORcpt, ";"); ok && sendable(kind) {
			b = append(b, " ORCPT="...)
			b = append(b, kind...)
			b = append(b, ';')
			b = appendXtext(b, orig, strings.EqualFold(kind, "utf-8"))
		}
	}
	return append(b, '\r', '\n')
}

// appendNotify appends NOTIFY= (RFC 3461, section 4.1).
func appendNotify(b []byte, n mail.Notify) []byte {
	if n == 0 {
		return b
	}
	b = append(b, " NOTIFY="...)
	if n&mail.NotifyNever != 0 {
		return append(b, "NEVER"...)
	}
	first := len(b)
	for bit, word := range [...]string{"SUCCESS", "FAILURE", "DELAY"} {
		if n&(1<<bit) == 0 {
			continue
		}
		if len(b) > first {
			b = append(b, ',')
		}
		b = append(b, word...)
	}
	return b
}

// appendXtext appends s in xtext (RFC 3461, section 4). For an original recipient of type utf-8 the escapes of RFC 6533,
// section 3 take the place of xtext's: \x{65E5}.
func appendXtext(b []byte, s string, utf8 bool) []byte {
	const hex = "0123456789ABCDEF"
	for _, r := range s {
		special := r <= ' ' || r == 0x7f || r == '+' || r == '='
		switch {
		case r >= 0x80 || special && utf8:
			b = append(b, `\x{`...)
			b = append(b, strings.ToUpper(strconv.FormatInt(int64(r), 16))...)
			b = append(b, '}')
		case special:
			b = append(b, '+', hex[r>>4], hex[r&15])
		default:
			b = append(b, byte(r))
		}
	}
	return b
}
