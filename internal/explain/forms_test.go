package explain

import (
	"strings"
	"testing"

	"ukai/internal/classify"
)

// incident is a refusal by reputation as it was seen in 2019 or is documented by its provider, with its lines as they come.
type incident struct {
	lines         []string
	host, to      string
	class         string
	blame         classify.Blame
	scope         classify.Scope
	detour        bool
	ip, url, list string
	command       string
}

var incidents = map[string]incident{
	"Gmail, IPv4": {lines: strings.Split(strings.TrimSpace(gmail), "\n"), host: "gmail-smtp-in.l.google.com", to: "x@gmail.com", class: "ip_reputation", blame: classify.BlameIP,
		scope: classify.ScopeIP, detour: true, ip: "192.0.2.18", url: "https://support.google.com/mail/answer/188131", command: "end of DATA command"},
	"Gmail for a customer's domain, IPv6": {lines: []string{"550-5.7.1 [2001:db8:1:2:3:4:5:6      18] Our system has detected that", "550-5.7.1 this message is likely suspicious due to the very low reputation of the sending",
		"550-5.7.1 IP address. To best protect our users from spam, the message has been", "550-5.7.1 blocked. Please visit", "550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x - gsmtp"},
		host: "aspmx.l.google.com", to: "x@example.com", class: "ip_reputation", blame: classify.BlameIP, scope: classify.ScopeIP, detour: true, ip: "2001:db8:1:2:3:4:5:6",
		url: "https://support.google.com/mail/answer/188131", command: "end of DATA command"},
	"Gmail about the domain": {lines: []string{"550-5.7.1 [192.0.2.18      18] Our system has detected that this message is", "550-5.7.1 likely suspicious due to the very low reputation of the sending",
		"550-5.7.1 domain. To best protect our users from spam, the message has been", "550-5.7.1 blocked. Please visit", "550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x - gsmtp"},
		host: "gmail-smtp-in.l.google.com", to: "x@gmail.com", class: "domain_reputation", blame: classify.BlameDomain, scope: classify.ScopeSender, ip: "192.0.2.18",
		url: "https://support.google.com/mail/answer/188131", command: "end of DATA command"},
	"Apple by the PBL": {lines: []string{"550 5.7.1 Mail from IP 192.0.2.18 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=192.0.2.18"},
		host: "mx01.mail.icloud.com", to: "x@icloud.com", class: "dnsbl_listed", blame: classify.BlameRange, scope: classify.ScopeRange, detour: true, ip: "192.0.2.18",
		url: "http://www.spamhaus.org/query/bl?ip=192.0.2.18", list: "spamhaus-pbl", command: "RCPT TO command"},
	"Outlook.com by its network": {lines: []string{"550 5.7.1 Unfortunately, messages from [192.0.2.18] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors."},
		host: "outlook-com.olc.protection.outlook.com", to: "x@outlook.com", class: "ip_reputation", blame: classify.BlameRange, scope: classify.ScopeRange, detour: true, ip: "192.0.2.18",
		url: "http://mail.live.com/mail/troubleshooting.aspx#errors", command: "MAIL FROM command"},
	"Microsoft 365": {lines: []string{"550 5.7.606 Access denied, banned sending IP [192.0.2.18]. To request removal from this list please visit https://sender.office.com/ and follow the directions. For more information please go to http://go.microsoft.com/fwlink/?LinkID=526655 (AS16012609)"},
		host: "example-com.mail.protection.outlook.com", to: "x@example.com", class: "ip_reputation", blame: classify.BlameIP, scope: classify.ScopeIP, detour: true, ip: "192.0.2.18",
		url: "https://sender.office.com/", command: "RCPT TO command"},
	"Yahoo puts off": {lines: []string{"421 4.7.0 [TSS04] Messages from 192.0.2.18 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"},
		host: "mta7.am0.yahoodns.net", to: "x@yahoo.com", class: "ip_reputation", blame: classify.BlameIP, scope: classify.ScopeIP, detour: true, ip: "192.0.2.18",
		url: "https://postmaster.yahooinc.com/error-codes", command: "MAIL FROM command"},
	"Proofpoint in the greeting": {lines: []string{"554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.18"},
		host: "mx0a-00000001.pphosted.com", to: "x@example.com", class: "dnsbl_listed", blame: classify.BlameIP, scope: classify.ScopeIP, detour: true, ip: "192.0.2.18",
		url: "https://ipcheck.proofpoint.com/?ip=192.0.2.18", list: "proofpoint-pdr"},
}

// forms are the ways in which a refusal comes to an admin's eyes.
var forms = map[string]func(*incident) string{
	"reply":  func(x *incident) string { return strings.Join(x.lines, "\r\n") + "\r\n" },
	"joined": func(x *incident) string { return strings.Join(x.lines, " ") },
	"postfix": func(x *incident) string {
		said := "said: " + strings.Join(x.lines, " ") + " (in reply to " + x.command + ")"
		if x.command == "" {
			said = "refused to talk to me: " + strings.Join(x.lines, " ")
		}
		return "Apr 15 09:12:33 mx postfix/smtp[123]: 4XyZ12abcd: to=<" + x.to + ">, relay=" + x.host + "[203.0.113.7]:25, delay=1, delays=0/0/0/1, dsn=5.7.1, status=bounced (host " + x.host + "[203.0.113.7] " + said + ")"
	},
	"exim": func(x *incident) string {
		return "2019-04-15 09:12:33 1hFxyz-0001Ab-Cd ** " + x.to + " R=dnslookup T=remote_smtp H=" + x.host + " [203.0.113.7]: SMTP error from remote mail server after RCPT TO:<" + x.to + ">: " + strings.Join(x.lines, `\n`)
	},
	"qmail": func(x *incident) string {
		said := strings.ReplaceAll(strings.Join(x.lines, "/"), " ", "_")
		return "@400000005cb3f0a21d3f5c2c starting delivery 3: msg 1234 to remote " + x.to + "\n@400000005cb3f0a31d3f5c2c delivery 3: failure: 203.0.113.7_does_not_like_recipient./Remote_host_said:_" + said + "/Giving_up_on_203.0.113.7./"
	},
	"report": func(x *incident) string {
		return "From: MAILER-DAEMON@mx.example.org\r\nTo: a@example.org\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n" +
			"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n<" + x.to + ">: host " + x.host + "[203.0.113.7] said: " +
			strings.Join(x.lines, "\r\n    ") + "\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; " + x.to +
			"\r\nAction: failed\r\nStatus: 5.7.1\r\nRemote-MTA: dns; " + x.host + "\r\nDiagnostic-Code: smtp; " + strings.Join(x.lines, "\r\n    ") + "\r\n\r\n--b--\r\n"
	},
}

func TestTheGreatRefusalsAreJudgedAlikeInEveryForm(t *testing.T) {
	x := load(t)
	for name, c := range incidents {
		for form, write := range forms {
			t.Run(name+" as "+form, func(t *testing.T) {
				f := x.Any([]byte(write(&c)))[0]
				v := &f.Verdict
				if v.Class != c.class || v.Blame != c.blame || v.Scope != c.scope || v.Detour != c.detour {
					t.Errorf("%s, %s, %s, detour %t by %s; want %s, %s, %s, %t", v.Class, v.Blame, v.Scope, v.Detour, v.Rule, c.class, c.blame, c.scope, c.detour)
				}
				if addr(v.IP) != c.ip || v.URL != c.url || c.list != "" && v.List != c.list {
					t.Errorf("ip %q, url %q, list %q; want %q, %q, %q", addr(v.IP), v.URL, v.List, c.ip, c.url, c.list)
				}
			})
		}
	}
}
