package classify

import (
	"fmt"
	"strings"
	"testing"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// told is one refusal with everything that has to be understood of it, in whatever clothes it comes.
type told struct {
	name     string
	who      string // the provider, where the clothes do not hide it
	phase    outcome.Phase
	lines    []string // as the server sends them, with code and status
	class    string
	blame    Blame
	scope    Scope
	ip, url  string
	list     string
	code     string
	noDetour bool
}

const (
	addr4 = "192.0.2.1"
	addr6 = "2001:db8:85a3::8a2e:370:7334"
)

// broken breaks a text into lines of at most width octets, as Gmail does, with code and status before each.
func broken(code, status, text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+w, " ")
	}
	lines = append(lines, line)
	for i := range lines {
		dash := "-"
		if i == len(lines)-1 {
			dash = " "
		}
		lines[i] = code + dash + status + " " + lines[i]
	}
	return lines
}

const gmailIP = "[%s      18] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address. To best protect our users from spam, the message has been blocked. Please visit https://support.google.com/mail/answer/188131 for more information. x18si123456pfr.12 - gsmtp"
const gmailOfDomain = "[%s      18] Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain. To best protect our users from spam, the message has been blocked. Please visit https://support.google.com/mail/answer/188131 for more information. x18si123456pfr.12 - gsmtp"

// stories are the refusals of 2019, and their kin.
func stories() []told {
	var all []told
	for _, ip := range []string{addr4, addr6} {
		for width := 24; width <= 200; width++ { // every place where a line can break
			all = append(all, told{
				name: fmt.Sprintf("Gmail, the address %s, lines of %d", ip, width), who: "google", phase: outcome.EndOfData,
				lines: broken("550", "5.7.1", fmt.Sprintf(gmailIP, ip), width), class: "ip_reputation", blame: BlameIP, scope: ScopeIP,
				ip: ip, url: "https://support.google.com/mail/answer/188131",
			}, told{
				name: fmt.Sprintf("Gmail, the domain from %s, lines of %d", ip, width), who: "google", phase: outcome.EndOfData,
				lines: broken("550", "5.7.1", fmt.Sprintf(gmailOfDomain, ip), width), class: "domain_reputation", blame: BlameDomain, scope: ScopeSender,
				ip: ip, url: "https://support.google.com/mail/answer/188131", noDetour: true,
			})
		}
	}
	return append(all, []told{
		{
			name: "Apple names Spamhaus PBL", who: "icloud", phase: outcome.RcptTo,
			lines: []string{"550 5.7.1 Mail from IP 192.0.2.1 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=192.0.2.1"},
			class: "dnsbl_listed", blame: BlameRange, scope: ScopeRange, ip: addr4, url: "http://www.spamhaus.org/query/bl?ip=192.0.2.1", list: "spamhaus-pbl",
		},
		{
			name: "Outlook.com S3140", who: "microsoft-consumer", phase: outcome.MailFrom,
			lines: []string{"550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors. [VE1EUR02FT012.eop-EUR02.prod.protection.outlook.com]"},
			class: "ip_reputation", blame: BlameRange, scope: ScopeRange, ip: addr4, url: "http://mail.live.com/mail/troubleshooting.aspx#errors", code: "S3140",
		},
		{
			name: "Outlook.com S3150", who: "microsoft-consumer", phase: outcome.MailFrom,
			lines: []string{"550 5.7.1 Unfortunately, messages from [2001:db8:85a3::8a2e:370:7334] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors. [AM5EUR03FT006.eop-EUR03.prod.protection.outlook.com]"},
			class: "ip_reputation", blame: BlameRange, scope: ScopeRange, ip: addr6, url: "http://mail.live.com/mail/troubleshooting.aspx#errors", code: "S3150",
		},
		{
			name: "Microsoft 365, banned 5.7.606", who: "microsoft-365", phase: outcome.RcptTo,
			lines: []string{"550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions. For more information please go to http://go.microsoft.com/fwlink/?LinkID=526655 AS(1430) [x.prod.protection.outlook.com]"},
			class: "ip_reputation", blame: BlameIP, scope: ScopeIP, ip: addr4, url: "https://sender.office.com/",
		},
		{
			name: "Microsoft 365, banned 5.7.649", who: "microsoft-365", phase: outcome.RcptTo,
			lines: []string{"550 5.7.649 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ [x.prod.protection.outlook.com]"},
			class: "ip_reputation", blame: BlameIP, scope: ScopeIP, ip: addr4, url: "https://sender.office.com/",
		},
		{
			name: "Yahoo TSS04", who: "yahoo", phase: outcome.MailFrom,
			lines: []string{"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"},
			class: "ip_reputation", blame: BlameIP, scope: ScopeIP, ip: addr4, url: "https://postmaster.yahooinc.com/error-codes", code: "TSS04",
		},
		{
			name: "Yahoo BL21", who: "yahoo", phase: outcome.MailFrom,
			lines: []string{"553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html"},
			class: "dnsbl_listed", blame: BlameIP, scope: ScopeIP, ip: addr4, url: "http://postmaster.yahoo.com/550-bl23.html", list: "spamhaus", code: "BL21",
		},
		{
			name: "Proofpoint in the greeting", who: "proofpoint", phase: outcome.Greeting,
			lines: []string{"554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1"},
			class: "dnsbl_listed", blame: BlameIP, scope: ScopeIP, ip: addr4, url: "https://ipcheck.proofpoint.com/?ip=192.0.2.1", list: "proofpoint-pdr",
		},
		{
			name: "Proofpoint in the greeting, for now", who: "proofpoint", phase: outcome.Greeting,
			lines: []string{"421 4.7.1 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1"},
			class: "dnsbl_listed", blame: BlameIP, scope: ScopeIP, ip: addr4, url: "https://ipcheck.proofpoint.com/?ip=192.0.2.1", list: "proofpoint-pdr",
		},
	}...)
}

// check compares a verdict with what has to be understood.
func (s *told) check(t *testing.T, clothes string, v Verdict) {
	t.Helper()
	ip := ""
	if v.IP.IsValid() {
		ip = v.IP.String()
	}
	action := Retry
	if s.lines[0][0] == '5' {
		action = Fail
	}
	if v.Class != s.class || v.Blame != s.blame || v.Scope != s.scope || ip != s.ip || v.URL != s.url || v.List != s.list || v.Code != s.code ||
		v.Detour == s.noDetour || v.Reputation == s.noDetour || v.Action != action {
		t.Errorf("%s, %s: %+v", s.name, clothes, v)
	}
}

// reply is the refusal as smtpclient reads it.
func (s *told) reply() mail.Reply {
	var r mail.Reply
	for _, line := range s.lines {
		r.Code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
		r.Lines = append(r.Lines, line[4:])
	}
	r.Status, _ = mail.ParseStatus(strings.Fields(r.Lines[0])[0])
	return r
}

var commandOf = map[outcome.Phase]string{
	outcome.MailFrom: "MAIL FROM", outcome.RcptTo: "RCPT TO", outcome.EndOfData: "end of DATA",
}

func TestTheStoryOf2019IsUnderstoodInAllClothes(t *testing.T) {
	r := rules(t)
	for _, s := range stories() {
		one := strings.Join(s.lines, " ")
		s.check(t, "as a reply", r.Classify(&outcome.Outcome{Provider: s.who, Phase: s.phase, Reply: s.reply()}))
		s.check(t, "as a reply of a provider unknown", r.Classify(&outcome.Outcome{Phase: s.phase, Reply: s.reply()}))
		s.check(t, "pasted in lines", r.Text("", strings.Join(s.lines, "\r\n")))
		s.check(t, "pasted in one line", r.Text("", one))

		postfix := fmt.Sprintf("host mx.example.org[198.51.100.25] said: %s (in reply to %s command)", one, commandOf[s.phase])
		if s.phase == outcome.Greeting {
			postfix = fmt.Sprintf("host mx.example.org[198.51.100.25] refused to talk to me: %s", one)
		}
		s.check(t, "Postfix", r.Text("", postfix))
		line := "Apr 15 09:12:01 mx1 postfix/smtp[1234]: 4BF1A2C3D4: to=<user@example.org>, relay=mx.example.org[198.51.100.25]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=" +
			s.lines[0][:1] + ".7.1, status=bounced (" + postfix + ")"
		s.check(t, "a line of Postfix", r.Text("", line))

		qmail := "Connected to 198.51.100.25 but sender was rejected. Remote host said: " + one
		if s.phase == outcome.RcptTo || s.phase == outcome.EndOfData {
			qmail = "198.51.100.25 failed after I sent the message. Remote host said: " + one
		}
		s.check(t, "qmail", r.Text("", qmail))
		s.check(t, "a line of qmail", r.Text("", "1555287121.123456 delivery 42: failure: "+strings.ReplaceAll(strings.Replace(qmail, ". Remote", "./Remote", 1), " ", "_")+"/"))
		s.check(t, "a report of qmail", r.Text("", "<user@example.org>:\n"+strings.ReplaceAll(qmail, one, strings.Join(s.lines, "\n"))))

		s.check(t, "RFC 3464", r.Text("", "smtp; "+one))
		s.check(t, "RFC 3464, folded", r.Text("", "smtp; "+strings.Join(s.lines, "\r\n    ")))
	}
}
