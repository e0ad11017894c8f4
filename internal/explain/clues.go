package explain

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"ukai/internal/mail"
)

// clues are what a text tells besides the words that are judged.
type clues struct {
	host      string
	recipient string
	sender    string
	code      int
	status    mail.Status
	inbound   bool // our own server refused
	taken     bool // the message went through
}

var (
	// A reply code stands at the beginning or behind what introduces a quotation (RFC 5321, section 4.2.1: a dash or a blank
	// follows); an enhanced status may follow (RFC 2034, section 4).
	replyCode = regexp.MustCompile(`(?:^|[\s:;,(>'"=])#?([2-5][0-5][0-9])(?:[- ]|$)\s*#?(?:([245])\.([0-9]{1,3})\.([0-9]{1,3}))?`)
	// Log lines name the status by itself.
	logStatus = regexp.MustCompile(`\b(?:dsn|stat)=([245])\.([0-9]{1,3})\.([0-9]{1,3})`)

	// Who refused, in the words of Postfix, Exim, Sendmail, qmail and OpenSMTPD.
	saidBy = regexp.MustCompile(`(?i)(?:\bhost |\brelay=|\bserver |\bwhile talking to |\bremote host |\bremote server |\bR=\S+ T=\S+ H=|\bconnected to |\bconnect to )\[?([0-9a-z](?:[0-9a-z._-]*[0-9a-z])?)[\].,:;\s(\[]`)
	// Whom our own server refused.
	cameFrom = regexp.MustCompile(`(?i)(?:\b(?:RCPT|MAIL|CONNECT|EHLO|HELO|DATA|VRFY|END-OF-MESSAGE|STARTTLS|AUTH|ETRN|BDAT) from |\bH=|\brelay=)\(?([0-9a-z](?:[0-9a-z._-]*[0-9a-z])?|unknown)?\)? ?\[`)

	toField    = regexp.MustCompile(`(?i)(?:\bto=<?|\brcpt to: ?<?|\barg1=<|(?:=>|\*\*|==) (?:[^\s<@]+ )?<?)([^\s<>,;]+@[^\s<>,;:]+)`)
	anyAddress = regexp.MustCompile(`<([^\s<>@]+@[^\s<>@]+)>`)
	fromField  = regexp.MustCompile(`(?i)(?:\bfrom=<?|\bmail from: ?<?|\bF=<?)([^\s<>,;]+@[^\s<>,;:]+)`)
	ownRefusal = regexp.MustCompile(`(?i)(?:\breject(?:_warning)?: (?:RCPT|MAIL|CONNECT|EHLO|HELO|DATA|VRFY|END-OF-MESSAGE|ETRN|AUTH|BDAT|STARTTLS|BODY|HEADER|header|body)\b|\bmilter-reject: |\bruleset=check_|\brejected (?:RCPT|MAIL|EHLO|HELO|after DATA|connection|VRFY)\b|\bNOQUEUE: )`)
	passed     = regexp.MustCompile(`(?i)(?:\bstatus=sent\b|\bstat=sent\b|\bresult="?ok"?\b|\bdelivery \d+: success:|^\S+ \S+ \S+ => )`)
)

// cluesOf looks for everything that a line of text tells without being understood.
func cluesOf(s string) clues {
	c := clues{inbound: ownRefusal.MatchString(s), taken: passed.MatchString(s)}
	c.code, c.status = codeOf(s)
	if c.inbound {
		if m := cameFrom.FindStringSubmatch(s); m != nil {
			c.host = hostName(m[1])
		}
	} else {
		c.host = refuser(s)
	}
	if m := toField.FindStringSubmatch(s); m != nil {
		c.recipient = m[1]
	}
	if m := fromField.FindStringSubmatch(s); m != nil {
		c.sender = m[1]
	}
	return c
}

// refuser returns the server that refused, as far as the text names it. A "client host" is ourselves.
func refuser(s string) string {
	for _, m := range saidBy.FindAllStringSubmatchIndex(s, 4) {
		before := strings.ToLower(s[max(0, m[0]-len("client ")):m[0]])
		if host := hostName(s[m[2]:m[3]]); host != "" && !strings.HasSuffix(before, "client ") && !strings.HasSuffix(before, "your ") {
			return host
		}
	}
	return ""
}

// codeOf returns the first reply code of a text, and the enhanced status that belongs to it or that a log line names.
func codeOf(s string) (code int, status mail.Status) {
	if m := replyCode.FindStringSubmatch(s); m != nil {
		code, _ = strconv.Atoi(m[1])
		status = statusOf(m[2:])
	}
	if status == (mail.Status{}) {
		if m := logStatus.FindStringSubmatch(s); m != nil {
			status = statusOf(m[1:])
		}
	}
	return code, status
}

// statusOf makes a status of its three numbers as texts.
func statusOf(parts []string) mail.Status {
	if parts[0] == "" {
		return mail.Status{}
	}
	class, _ := strconv.Atoi(parts[0])
	subject, _ := strconv.Atoi(parts[1])
	detail, _ := strconv.Atoi(parts[2])
	return mail.Status{Class: class, Subject: subject, Detail: detail}
}

// hostName returns a name in lower case if it is one of the public DNS or an address, "" for "unknown", "none", "local".
func hostName(s string) string {
	s = strings.ToLower(strings.Trim(s, "."))
	if _, err := netip.ParseAddr(s); err == nil {
		return s
	}
	if !strings.Contains(s, ".") {
		return ""
	}
	return s
}
