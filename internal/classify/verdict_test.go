package classify

import (
	"net/netip"
	"strings"
	"testing"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

func rules(t testing.TB) *Rules {
	t.Helper()
	r, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// said makes the outcome of a reply as it comes over the wire: "550-5.7.1 text\n550 5.7.1 more".
func said(provider string, phase outcome.Phase, wire string) *outcome.Outcome {
	o := &outcome.Outcome{Provider: provider, Phase: phase, LocalIP: netip.MustParseAddr("192.0.2.99")}
	for _, l := range strings.Split(wire, "\n") {
		o.Reply.Code = int(l[0]-'0')*100 + int(l[1]-'0')*10 + int(l[2]-'0')
		o.Reply.Lines = append(o.Reply.Lines, l[4:])
		if st, _ := mail.ParseStatus(l[4:]); o.Reply.Status.Class == 0 {
			o.Reply.Status = st
		}
	}
	return o
}

const gmail4 = `550-5.7.1 [192.0.2.1      18] Our system has detected that this message is
550-5.7.1 likely suspicious due to the very low reputation of the sending IP
550-5.7.1 address. To best protect our users from spam, the message has been
550-5.7.1 blocked. Please visit
550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x1si1.1 - gsmtp`

const gmail6 = `550-5.7.1 [2001:db8:1:2::25      18] Our system has detected that this
550-5.7.1 message is likely suspicious due to the very low reputation of the
550-5.7.1 sending IP address. To best protect our users from spam, the message
550-5.7.1 has been blocked. Please visit
550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x1si1.1 - gsmtp`

const gmailDomain = `550-5.7.1 [192.0.2.1      19] Our system has detected that this message is
550-5.7.1 likely suspicious due to the very low reputation of the sending
550-5.7.1 domain. To best protect our users from spam, the message has been
550 5.7.1 blocked. x1si1.1 - gsmtp`

func TestWhatHappenedIn2019AndSince(t *testing.T) {
	for _, x := range []struct {
		name     string
		provider string
		phase    outcome.Phase
		wire     string
		want     Verdict
	}{
		{"Gmail, IPv4", "google", outcome.EndOfData, gmail4, Verdict{Class: "ip_reputation", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true,
			IP: netip.MustParseAddr("192.0.2.1"), URL: "https://support.google.com/mail/answer/188131", Rule: "google.low-reputation-ip"}},
		{"Gmail, IPv6, where the lines break elsewhere", "google", outcome.EndOfData, gmail6, Verdict{Class: "ip_reputation", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true,
			IP: netip.MustParseAddr("2001:db8:1:2::25"), URL: "https://support.google.com/mail/answer/188131", Rule: "google.low-reputation-ip"}},
		{"Gmail, the domain: one word differs, and a detour would only dirty the clean way", "google", outcome.EndOfData, gmailDomain, Verdict{Class: "domain_reputation", Blame: BlameDomain, Scope: ScopeSender, Action: Fail,
			IP: netip.MustParseAddr("192.0.2.1"), Rule: "google.low-reputation-domain"}},
		{"Gmail for the moment", "google", outcome.EndOfData, "421-4.7.0 [192.0.2.1      15] Our system has detected that this message is\n421-4.7.0 suspicious due to the very low reputation of the sending IP address. To\n421 4.7.0 protect our users from spam, mail has been temporarily rate limited. - gsmtp",
			Verdict{Class: "ip_reputation", Blame: BlameIP, Scope: ScopeIP, Action: Retry, Detour: true, Reputation: true, IP: netip.MustParseAddr("192.0.2.1"), Rule: "google.low-reputation-ip"}},
		{"Apple, by the PBL", "icloud", outcome.RcptTo, "550 5.7.1 Mail from IP 192.0.2.1 was rejected due to listing in Spamhaus PBL. For details please see http://www.spamhaus.org/query/bl?ip=192.0.2.1",
			Verdict{Class: "dnsbl_listed", Blame: BlameRange, Scope: ScopeRange, Action: Fail, Detour: true, Reputation: true, List: "spamhaus-pbl", IP: netip.MustParseAddr("192.0.2.1"), URL: "http://www.spamhaus.org/query/bl?ip=192.0.2.1", Rule: "blocklist.named-list"}},
		{"Outlook.com, S3140: the network", "microsoft-consumer", outcome.EndOfData, "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors. [x.prod.protection.outlook.com]",
			Verdict{Class: "ip_reputation", Blame: BlameRange, Scope: ScopeRange, Action: Fail, Detour: true, Reputation: true, Code: "S3140", IP: netip.MustParseAddr("192.0.2.1"), URL: "http://mail.live.com/mail/troubleshooting.aspx#errors", Rule: "microsoft.network-on-block-list"}},
		{"Microsoft 365 at the door", "microsoft-365", outcome.Greeting, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ (AS16012609)",
			Verdict{Class: "ip_reputation", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true, IP: netip.MustParseAddr("192.0.2.1"), URL: "https://sender.office.com/", Rule: "microsoft.banned-sending-ip"}},
		{"Microsoft, a limit that follows from the reputation", "microsoft-365", outcome.MailFrom, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)",
			Verdict{Class: "ip_reputation", Blame: BlameIP, Scope: ScopeIP, Action: Retry, Detour: true, Reputation: true, Code: "S775", IP: netip.MustParseAddr("192.0.2.1"), Rule: "microsoft.limited-for-reputation"}},
		{"Yahoo, TSS07 at MAIL", "yahoo", outcome.MailFrom, "553 5.7.1 [TSS07] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html",
			Verdict{Class: "dnsbl_listed", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true, List: "spamhaus", Code: "TSS07", IP: netip.MustParseAddr("192.0.2.1"), URL: "http://postmaster.yahoo.com/550-bl23.html", Rule: "yahoo.spamhaus"}},
		{"Yahoo, TSS04", "yahoo", outcome.MailFrom, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
			Verdict{Class: "ip_reputation", Blame: BlameIP, Scope: ScopeIP, Action: Retry, Detour: true, Reputation: true, Code: "TSS04", IP: netip.MustParseAddr("192.0.2.1"), URL: "https://postmaster.yahooinc.com/error-codes", Rule: "yahoo.deferred"}},
		{"Proofpoint in the greeting", "proofpoint", outcome.Greeting, "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1",
			Verdict{Class: "dnsbl_listed", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true, List: "proofpoint-pdr", IP: netip.MustParseAddr("192.0.2.1"), URL: "https://ipcheck.proofpoint.com/?ip=192.0.2.1", Rule: "gateways.proofpoint-pdr"}},
		{"our own address wins over another one", "example.org", outcome.RcptTo, "554 5.7.1 relay 198.51.100.1 says: 192.0.2.99 blocked using bl.example.net",
			Verdict{Class: "dnsbl_listed", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true, List: "bl.example.net", IP: netip.MustParseAddr("192.0.2.99"), Rule: "blocklist.blocked-using"}},
		{"a list whose answer was an error", "example.org", outcome.RcptTo, "554 5.7.1 Service unavailable; Client host [192.0.2.99] blocked using zen.spamhaus.org; Error: open resolver; https://check.spamhaus.org/returnc/pub/192.0.2.53/",
			Verdict{Class: "system_error", Blame: BlameNetwork, Scope: ScopeHost, Action: Fail, List: "spamhaus-zen", IP: netip.MustParseAddr("192.0.2.99"), URL: "https://check.spamhaus.org/returnc/pub/192.0.2.53/", Rule: "blocklist.list-does-not-answer"}},
		{"the domain is on a list", "microsoft-365", outcome.MailFrom, "550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus. (S8002)",
			Verdict{Class: "domain_reputation", Blame: BlameDomain, Scope: ScopeSender, Action: Fail, List: "spamhaus-dbl", Rule: "domain.domain-in-ip-list"}},
		{"one customer's list says nothing about the others", "microsoft-365", outcome.RcptTo, "550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by example.org using Customer Block list (AS16012607)",
			Verdict{Class: "recipient_restricted", Blame: BlameRecipient, Scope: ScopeRecipient, Action: Fail, Detour: true, Code: "16012607", IP: netip.MustParseAddr("192.0.2.1"), Rule: "microsoft.customer-block-list"}},
		{"a PTR fault is the egress's own", "google", outcome.EndOfData, "550-5.7.25 [192.0.2.1] The IP address sending this message does not have a\n550-5.7.25 PTR record setup, or the corresponding forward DNS entry does not\n550 5.7.25 point to the sending IP. - gsmtp",
			Verdict{Class: "ptr_missing", Blame: BlameIP, Scope: ScopeIP, Action: Fail, Detour: true, Reputation: true, IP: netip.MustParseAddr("192.0.2.1"), Rule: "google.no-ptr"}},
		{"greylisting keeps the way", "example.org", outcome.RcptTo, "450 4.2.0 <user@example.org>: Recipient address rejected: Greylisted", Verdict{Class: "greylisted", Blame: BlameRate, Scope: ScopeMessage, Action: Retry, Rule: "greylist.greylisted"}},
		{"a plain rate limit keeps the way", "example.org", outcome.RcptTo, "421 4.7.0 Too many messages, slow down", Verdict{Class: "rate_limited", Blame: BlameRate, Scope: ScopeIP, Action: Retry, Rule: "rate.throttled"}},
		{"spam is the message's", "google", outcome.EndOfData, "550-5.7.1 [192.0.2.1      12] Our system has detected that this message is\n550-5.7.1 likely unsolicited mail. To reduce the amount of spam sent to Gmail,\n550 5.7.1 this message has been blocked. - gsmtp",
			Verdict{Class: "spam_content", Blame: BlameContent, Scope: ScopeMessage, Action: Fail, IP: netip.MustParseAddr("192.0.2.1"), Rule: "google.content"}},
		{"user unknown", "example.org", outcome.RcptTo, "550 5.1.1 <spam@virus.example>: Recipient address rejected: User unknown", Verdict{Class: "user_unknown", Blame: BlameRecipient, Scope: ScopeRecipient, Action: Fail, Rule: "mailbox.unknown"}},
		{"outgoing spam of an account at a smarthost", "smarthost.example", outcome.EndOfData, "550 5.7.1 Refused: your account was found to be sending outgoing spam", Verdict{Class: "spam_content", Blame: BlameContent, Scope: ScopeMessage, Action: Fail, Rule: "senders.outgoing"}},
		{"nothing known", "example.org", outcome.EndOfData, "554 5.9.9 something new", Verdict{Class: "unclassified", Blame: BlamePolicy, Scope: ScopeMessage, Action: Fail}},
		{"nothing known, for now", "example.org", outcome.EndOfData, "451 something new", Verdict{Class: "unclassified", Blame: BlamePolicy, Scope: ScopeMessage, Action: Retry}},
		{"delivered", "google", outcome.EndOfData, "250 2.0.0 OK", Verdict{Class: "delivered", Blame: BlameNone, Scope: ScopeRecipient, Action: Deliver}},
		{"a yes where the attempt ended all the same", "google", outcome.RcptTo, "250 2.1.5 OK", Verdict{Class: "protocol_error", Blame: BlameConfiguration, Scope: ScopeMessage, Action: Retry}},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got := rules(t).Classify(said(x.provider, x.phase, x.wire)); got != x.want {
				t.Errorf("%s\n got %+v\nwant %+v", x.wire, got, x.want)
			}
		})
	}
}

// The same refusals as they stand in a Postfix log, a qmail log and a delivery report: whoever joined the lines, and however.
func TestTheSameRefusalInEveryForm(t *testing.T) {
	for _, wire := range []string{gmail4, gmail6, gmailDomain} {
		want := rules(t).Classify(said("", outcome.EndOfData, wire))
		joined := strings.ReplaceAll(wire, "\n", " ")
		for form, text := range map[string]string{
			"joined":          joined,
			"wire":            strings.ReplaceAll(wire, "\n", "\r\n"),
			"Postfix log":     "host aspmx.l.google.com[203.0.113.9] said: " + joined + " (in reply to end of DATA command)",
			"Postfix status":  "5.7.1 host aspmx.l.google.com[203.0.113.9] said: " + joined,
			"qmail log":       "203.0.113.9_failed_after_I_sent_the_message./Remote_host_said:_" + strings.ReplaceAll(joined, " ", "_"),
			"qmail report":    "203.0.113.9 failed after I sent the message. Remote host said: " + joined,
			"Exim":            "SMTP error from remote mail server after end of data: host aspmx.l.google.com [203.0.113.9]: " + strings.ReplaceAll(wire, "\n", `\n`),
			"Diagnostic-Code": "smtp; " + joined,
			"without codes":   strings.NewReplacer("550-5.7.1 ", "", "550 5.7.1 ", "").Replace(joined),
		} {
			got := rules(t).Text("", strings.ReplaceAll(text, "_", " "))
			if got.Class != want.Class || got.Blame != want.Blame || got.Scope != want.Scope || got.Detour != want.Detour || got.IP != want.IP || got.URL != want.URL || got.Action != want.Action {
				t.Errorf("%s: %s\n got %+v\nwant %+v", form, text, got, want)
			}
		}
	}
}

func TestARefusalIsRecognisedInEveryPhase(t *testing.T) {
	r := rules(t)
	for p := outcome.Greeting; p <= outcome.EndOfData; p++ {
		o := said("example.org", p, "554 5.7.1 Service unavailable; Client host [192.0.2.99] blocked using zen.spamhaus.org")
		if v := r.Classify(o); v.Class != "dnsbl_listed" || !v.Detour || !v.Reputation || v.List != "spamhaus-zen" {
			t.Errorf("%s: %+v", p, v)
		}
	}
	// Before any command the server knows nothing but our address, so the barest no is about it; later it is not.
	if v := r.Classify(said("example.org", outcome.Greeting, "554 mx.example.org Access denied")); v.Class != "ip_reputation" || !v.Detour {
		t.Errorf("in the greeting: %+v", v)
	}
	if v := r.Classify(said("example.org", outcome.RcptTo, "554 Access denied")); v.Detour || v.Reputation {
		t.Errorf("at RCPT: %+v", v)
	}
	if v := r.Text("", "host mx.example.org[203.0.113.9] refused to talk to me: 554 Access denied"); v.Class != "ip_reputation" {
		t.Errorf("in a log: %+v", v)
	}
}

func TestAnOutcomeWithoutAReplyNeverCountsAgainstThePath(t *testing.T) {
	for _, x := range []struct {
		name      string
		phase     outcome.Phase
		err       string
		temporary bool
		class     string
		action    Action
	}{
		{"refused", outcome.Connect, "dial tcp 203.0.113.9:25: connect: connection refused", true, "network_error", Retry},
		{"no answer", outcome.Greeting, "read tcp: i/o timeout", true, "network_error", Retry},
		{"lost", outcome.EndOfData, "EOF", true, "network_error", Retry},
		{"words nobody knows", outcome.Connect, "xyzzy", true, "network_error", Retry},
		{"a name server in trouble", outcome.Lookup, "mx example.org: server failure", true, "network_error", Retry},
		{"no such domain", outcome.Lookup, "mx example.org: no such domain", false, "domain_unknown", Fail},
		{"a lookup that is final, in words nobody knows", outcome.Lookup, "xyzzy", false, "domain_unknown", Fail},
		{"null MX", outcome.Lookup, "example.org accepts no mail (null MX)", false, "domain_not_accepting", Fail},
		{"a certificate", outcome.StartTLS, "tls: failed to verify certificate: x509: certificate signed by unknown authority", true, "tls_failure", Retry},
		{"TLS in words nobody knows", outcome.StartTLS, "xyzzy", true, "tls_failure", Retry},
		{"a loop", outcome.Lookup, "mail for example.org loops back to myself", false, "routing_loop", Fail},
		{"not an error of the lookup: it may pass", outcome.Connect, "no route to host", false, "network_error", Retry},
		{"a host name chosen by a stranger", outcome.Connect, "dial tcp: user.unknown.blocked-using.zen.spamhaus.org: xyzzy", true, "network_error", Retry},
	} {
		t.Run(x.name, func(t *testing.T) {
			v := rules(t).Classify(&outcome.Outcome{Phase: x.phase, Err: x.err, ErrTemporary: x.temporary, Provider: "google"})
			if v.Class != x.class || v.Action != x.action || v.Detour || v.Reputation {
				t.Errorf("%s: %+v", x.err, v)
			}
		})
	}
}
