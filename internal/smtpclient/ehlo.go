package smtpclient

import (
	"context"
	"strconv"
	"strings"

	"ukai/internal/mail"
)

// hello introduces us with EHLO, and with HELO to a server that does not know EHLO (RFC 5321, section 3.2). Where TLS or AUTH
// is needed there is no use in HELO. If both are refused, the refusal of EHLO is returned: it has the better reason.
func (c *Conn) hello(ctx context.Context) (refusal *mail.Reply, err error) {
	name := c.opts.Helo
	if name == "" {
		name = "localhost"
	}
	raw, err := c.command(ctx, []byte("EHLO "+name+"\r\n"), c.times.Ehlo)
	if err != nil {
		return nil, err
	}
	reply := raw.reply()
	c.ext = Extensions{}
	if raw.positive() {
		c.ext = parseExtensions(reply.Lines)
		return nil, nil
	}
	if raw.code < 500 || c.needsEsmtp() {
		return &reply, nil
	}
	if raw, err = c.command(ctx, []byte("HELO "+name+"\r\n"), c.times.Ehlo); err != nil || !raw.positive() {
		return &reply, nil //nolint:nilerr // the refusal of EHLO says more than the end of the connection after it
	}
	return nil, nil
}

func (c *Conn) needsEsmtp() bool {
	return c.opts.Username != "" || c.opts.TLS == Required || c.opts.TLS == Verified
}

// parseExtensions reads the lines of an EHLO reply; the first is the server's name. Keywords are in any case (RFC 5321,
// section 2.4). What cannot be read counts as not offered.
func parseExtensions(lines []string) Extensions {
	var e Extensions
	for _, l := range lines[min(1, len(lines)):] {
		fields := strings.Fields(strings.ToUpper(l))
		if len(fields) == 0 {
			continue
		}
		e.offer(fields[0], fields[1:])
	}
	return e
}

func (e *Extensions) offer(keyword string, params []string) {
	switch keyword {
	case "PIPELINING":
		e.Pipelining = true
	case "8BITMIME":
		e.EightBit = true
	case "SMTPUTF8":
		e.UTF8 = true
	case "DSN":
		e.DSN = true
	case "CHUNKING":
		e.Chunking = true
	case "STARTTLS":
		e.StartTLS = true
	case "REQUIRETLS":
		e.RequireTLS = true
	case "SIZE":
		e.Size = true
		if len(params) > 0 {
			if n, err := strconv.ParseInt(params[0], 10, 64); err == nil && n > 0 {
				e.MaxSize = n
			}
		}
	case "AUTH":
		e.Auth = append(e.Auth, params...)
	case "LIMITS":
		for _, p := range params {
			e.limit(p)
		}
	default: // "AUTH=LOGIN PLAIN", as servers wrote before there was a standard
		if first, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			e.Auth = append(append(e.Auth, first), params...)
		}
	}
}

// limit reads one of the LIMITS; RFC 9422, section 3 wants unknown and malformed ones ignored.
func (e *Extensions) limit(param string) {
	name, value, _ := strings.Cut(param, "=")
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 {
		return
	}
	switch name {
	case "MAILMAX":
		e.MailMax = n
	case "RCPTMAX":
		e.RcptMax = n
	case "RCPTDOMAINMAX":
		e.RcptDomainMax = n
	}
}
