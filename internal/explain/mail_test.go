package explain

import (
	"os"
	"path/filepath"
	"testing"

	"ukai/internal/classify"
	"ukai/internal/dsn"
	"ukai/internal/mail"
)

// TestEachFormOfReportIsJudged judges the mails by which package dsn proves that it reads all forms.
func TestEachFormOfReportIsJudged(t *testing.T) {
	x := load(t)
	for name, want := range map[string]string{
		"postfix": "ip_reputation", "postfix-text": "user_unknown", "two-recipients": "mailbox_full", "delay": "network_error", "success": "delivered",
		"qmail": "dnsbl_listed", "exim": "sender_rejected", "exim-delay": "greylisted", "sendmail": "dnsbl_listed", "sendmail-old": "user_unknown",
		"exchange-5": "user_unknown", "exchange-2003": "user_unknown", "office365": "dnsbl_listed", "office365-ja": "user_unknown",
		"google": "dnsbl_listed", "google-new": "user_unknown", "yahoo": "spam_content", "aol": "recipient_restricted",
		"ezweb": "user_unknown", "docomo": "user_unknown", "kddi": "mailbox_full", "gateway-eucjp": "user_unknown",
		"domino": "user_unknown", "domino-en": "user_unknown", "groupwise": "user_unknown", "mdaemon": "user_unknown", "imail": "mailbox_full",
		"courier": "user_unknown", "messagingserver": "mailbox_full", "opensmtpd": "user_unknown", "dma": "ptr_missing", "interscan": "user_unknown",
		"symantec": "network_error", "gmx": "user_unknown", "t-online-de": "mailbox_full", "orange-fr": "user_unknown", "mailru-koi8": "user_unknown",
		"qq-gb18030": "mailbox_full", "big5": "user_unknown", "euc-kr": "auth_failure", "ses-notice": "user_unknown",
		"arf": "feedback_report", "vacation-en": "auto_reply", "vacation-ja": "auto_reply", "vacation-de": "auto_reply", "vacation-fr": "auto_reply",
		"receipt": "auto_reply", "challenge": "auto_reply", "ordinary-en": "not_bounce", "ordinary-ja": "not_bounce", "ordinary-about-bounces": "not_bounce",
		"forwarded-attached": "dnsbl_listed", "forwarded-inline": "user_unknown",
		"broken-no-boundary": "ip_reputation", "broken-type": "ip_reputation", "broken-mixed-ends": "ip_reputation", "broken-cr-only": "ip_reputation",
		"broken-truncated": "ip_reputation", "broken-unfolded": "ip_reputation", "broken-fields-in-text": "mailbox_disabled",
	} {
		b, err := os.ReadFile(filepath.Join("..", "dsn", "testdata", "read", name+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Mail(b)[0].Verdict.Class; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestTheBestWordsWin lets the words of one recipient say different things.
func TestTheBestWordsWin(t *testing.T) {
	x := load(t)
	reply := mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "Client host [192.0.2.10] blocked using zen.spamhaus.org")
	for name, c := range map[string]struct {
		result dsn.Result
		words  string
		want   string
	}{
		"the cause wins over the time in the queue": {
			dsn.Result{Text: "delivery time expired", Words: "host mx said: 452 4.2.2 Mailbox full"}, "", "mailbox_full"},
		"a transcript wins over a reason of our own server": {
			dsn.Result{Text: "Service unavailable", Reply: reply}, "", "dnsbl_listed"},
		"the words for people win over a policy that nobody explains": {
			dsn.Result{Text: "550 5.7.1 Access denied", Words: "Client host [192.0.2.10] blocked using zen.spamhaus.org"}, "", "dnsbl_listed"},
		"a definite status wins over what surrounds it": {
			dsn.Result{Status: mail.Status{Class: 5, Subject: 1, Detail: 1}}, "This email has been scanned for all viruses", "user_unknown"},
		"a general status does not": {
			dsn.Result{Status: mail.Status{Class: 5}}, "552 The mailbox is full", "mailbox_full"},
		"where nobody says anything": {
			dsn.Result{}, "", classify.Unclassified},
		"where only the time is told": {
			dsn.Result{Text: "message expired"}, "", "delivery_expired"},
	} {
		c.result.Recipient = "a@example.net"
		got := x.Reading(&dsn.Reading{Kind: dsn.Bounce, Words: c.words, Results: []dsn.Result{c.result}})
		if len(got) != 1 || got[0].Verdict.Class != c.want || got[0].Recipient != "a@example.net" || got[0].Kind != Report {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestTheMostTellingRecipientComesFirst(t *testing.T) {
	x := load(t)
	got := x.Reading(&dsn.Reading{Kind: dsn.Bounce, Results: []dsn.Result{
		{Recipient: "a@example.net", Text: "message expired"},
		{Recipient: "b@example.net", Text: "550 5.1.1 User unknown"},
		{Recipient: "c@example.net", Text: "552 5.2.2 Mailbox full"},
	}})
	if len(got) != 3 || got[0].Recipient != "b@example.net" || got[0].Verdict.Class != "user_unknown" {
		t.Errorf("%+v", got)
	}
}

func TestAReportWithoutResultsIsJudgedByItsWords(t *testing.T) {
	x := load(t)
	got := x.Reading(&dsn.Reading{Kind: dsn.Bounce, Words: "The mailbox is full", Skipped: []string{"much"}})
	if len(got) != 1 || got[0].Verdict.Class != "mailbox_full" || len(got[0].Skipped) != 1 {
		t.Errorf("%+v", got)
	}
}
