package intake

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ukai/internal/mail"
	"ukai/internal/smtpserver"
)

// received returns the trace field for a message (RFC 5321, section 4.4), with CRLF. The recipient stands in it only when there
// is one, so that no copy tells of another (RFC 5321, section 7.2).
func received(s *smtpserver.Session, e *mail.Envelope, hostname string, now time.Time) []byte {
	b := make([]byte, 0, 300)
	b = fmt.Appendf(b, "Received: from %s (%s)\r\n\tby %s with %s id %s", helo(s.Helo), addressLiteral(s.Client.Addr()), hostname, s.Protocol(e.UTF8), e.ID)
	if s.TLS != nil {
		b = fmt.Appendf(b, "\r\n\t(using %s with cipher %s)", strings.ReplaceAll(tls.VersionName(s.TLS.Version), " ", ""), tls.CipherSuiteName(s.TLS.CipherSuite))
	}
	if len(e.Recipients) == 1 {
		b = fmt.Appendf(b, "\r\n\tfor <%s>", e.Recipients[0].Addr)
	}
	return fmt.Appendf(b, ";\r\n\t%s\r\n", now.Format(time.RFC1123Z))
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

// addressLiteral writes an address as RFC 5321, section 4.1.3 wants it.
func addressLiteral(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}
