package intake

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"time"

	"ukai/internal/mail"
	"ukai/internal/smtpserver"
)

// received returns the trace field for a message (RFC 5321, section 4.4), with CRLF. The recipient stands in it only when there
// is one, so that no copy tells of another (RFC 5321, section 7.2).
func received(s *smtpserver.Session, e *mail.Envelope, hostname string, now time.Time) []byte {
	b := make([]byte, 0, 384)
	b = append(b, "Received: from "...)
	b = append(b, helo(s.Helo)...)
	b = append(b, " ("...)
	b = appendLiteral(b, s.Client.Addr())
	b = append(b, ")\r\n\tby "...)
	b = append(b, hostname...)
	b = append(b, " with "...)
	b = append(b, s.Protocol(e.UTF8)...)
	b = append(b, " id "...)
	b = append(b, e.ID.String()...)
	if s.TLS != nil {
		b = append(b, "\r\n\t(using "...)
		b = append(b, strings.ReplaceAll(tls.VersionName(s.TLS.Version), " ", "")...)
		b = append(b, " with cipher "...)
		b = append(b, tls.CipherSuiteName(s.TLS.CipherSuite)...)
		b = append(b, ')')
	}
	if len(e.Recipients) == 1 {
		b = append(b, "\r\n\tfor <"...)
		b = append(b, e.Recipients[0].Addr...)
		b = append(b, '>')
	}
	b = append(b, ";\r\n\t"...)
	b = now.AppendFormat(b, time.RFC1123Z)
	return append(b, "\r\n"...)
}

// helo keeps what the client calls itself from breaking the field; the server has checked its syntax already.
func helo(name string) string {
	if name == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '(' || r == ')' || r == ';' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}

// appendLiteral writes an address as RFC 5321, section 4.1.3 wants it.
func appendLiteral(b []byte, ip netip.Addr) []byte {
	ip = ip.Unmap().WithZone("")
	b = append(b, '[')
	if ip.Is6() {
		b = append(b, "IPv6:"...)
	}
	return append(ip.AppendTo(b), ']')
}
