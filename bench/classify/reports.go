package main

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dsn"
	"ukai/internal/explain"
	"ukai/internal/provider"
)

// reports measures how many delivery reports one core reads and judges in a second.
func reports(args []string) error {
	flags := flag.NewFlagSet("reports", flag.ContinueOnError)
	n := flags.Int("n", 2000, "how many different reports")
	rounds := flags.Int("rounds", 20, "how often to read all of them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rules, err := classify.Load()
	if err != nil {
		return err
	}
	providers, err := provider.Load()
	if err != nil {
		return err
	}
	e := explain.New(rules, providers)
	mails := make([][]byte, *n)
	octets := 0
	for i := range mails {
		mails[i] = report(i)
		octets += len(mails[i])
	}
	if err := checkReports(e, mails); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	read, both := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range *rounds { // the best round is the one that others on the machine disturbed least
		start := cpuTime()
		for _, m := range mails {
			dsn.Read(m)
		}
		read = min(read, cpuTime()-start)
		start = cpuTime()
		for _, m := range mails {
			e.Mail(m)
		}
		both = min(both, cpuTime()-start)
	}
	fmt.Printf("%d reports of %d octets on average: read %.0f/s, read and judged %.0f/s, %.1f MB/s\n", *n, octets / *n,
		float64(*n)/read.Seconds(), float64(*n)/both.Seconds(), float64(octets)/both.Seconds()/1e6)
	return nil
}

// checkReports makes sure that what is measured is done right.
func checkReports(e *explain.Explainer, mails [][]byte) error {
	for i, m := range mails {
		f := e.Mail(m)[0]
		if want := reasons[i%len(reasons)].class; f.Verdict.Class != want || f.Recipient == "" {
			return fmt.Errorf("report %d was taken for %s of %q, it is %s", i, f.Verdict.Class, f.Recipient, want)
		}
	}
	return nil
}

// reasons are replies with what they mean.
var reasons = []struct{ reply, status, class string }{
	{"550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos", "5.1.1", "user_unknown"},
	{"550-5.7.1 [192.0.2.10      18] Our system has detected that this message is 550-5.7.1 likely suspicious due to the very low reputation of the sending IP 550 5.7.1 address.", "5.7.1", "ip_reputation"},
	{"552 5.2.2 The recipient's mailbox is full", "5.2.2", "mailbox_full"},
	{"554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.10", "5.7.1", "dnsbl_listed"},
	{"451 4.7.1 Greylisting in action, please come back later", "4.7.1", "greylisted"},
}

// report makes a report of 5 to 10 KB: of Postfix, qmail, Exim, and in ISO-2022-JP in turn.
func report(i int) []byte {
	r := reasons[i%len(reasons)]
	addr := fmt.Sprintf("user%d@example.net", i)
	head := func(from, subject string) string {
		var b strings.Builder
		b.WriteString("Return-Path: <>\r\nDelivered-To: bounce+token@example.com\r\n")
		for hop := range 4 {
			fmt.Fprintf(&b, "Received: from relay%d.example.net (relay%d.example.net [192.0.2.%d])\r\n\tby mx%d.example.com (Postfix) with ESMTPS id 4Xyz%d\r\n\tfor <bounce+token@example.com>; Mon, 15 Apr 2019 09:00:0%d +0900\r\n", hop, hop, hop+20, hop, i, hop)
		}
		return b.String() + "From: " + from + "\r\nTo: bounce+token@example.com\r\nSubject: " + subject + "\r\nDate: Mon, 15 Apr 2019 09:01:00 +0900\r\nMessage-ID: <r@example.net>\r\n"
	}
	original := "Return-Path: <bounce+token@example.com>\r\nReceived: from mail.example.com\r\n\tby mx.example.net; Mon, 15 Apr 2019 09:00:00 +0900\r\nFrom: info@example.com\r\nTo: " + addr +
		"\r\nSubject: Order\r\nMessage-ID: <o@example.com>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("Thank you for your order, which we are going to send to you today.\r\n", 40+i%40)
	switch i % 4 {
	case 0:
		return []byte(head("MAILER-DAEMON@example.net (Mail Delivery System)", "Undelivered Mail Returned to Sender") + "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"b/1\"\r\n\r\n--b/1\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThis is the mail system at host mx.example.net.\r\n\r\nI'm sorry to have to inform you that your message could not\r\nbe delivered to one or more recipients. It's attached below.\r\n\r\n<" +
			addr + ">: host mx1.example.net[192.0.2.26] said: " + r.reply + "\r\n    (in reply to RCPT TO command)\r\n\r\n--b/1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\nArrival-Date: Mon, 15 Apr 2019 09:00:00 +0900\r\n\r\nFinal-Recipient: rfc822; " +
			addr + "\r\nAction: failed\r\nStatus: " + r.status + "\r\nRemote-MTA: dns; mx1.example.net\r\nDiagnostic-Code: smtp; " + r.reply + "\r\n\r\n--b/1\r\nContent-Type: message/rfc822\r\n\r\n" + original + "\r\n--b/1--\r\n")
	case 1:
		return []byte(head("MAILER-DAEMON@example.net", "failure notice") + "\r\nHi. This is the qmail-send program at mx.example.net.\r\nI'm afraid I wasn't able to deliver your message to the following addresses.\r\nThis is a permanent error; I've given up. Sorry it didn't work out.\r\n\r\n<" +
			addr + ">:\r\n192.0.2.26 does not like recipient.\r\nRemote host said: " + r.reply + "\r\nGiving up on 192.0.2.26.\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n" + original)
	case 2:
		return []byte(head("Mail Delivery System <Mailer-Daemon@example.net>", "Mail delivery failed: returning message to sender") + "\r\nThis message was created automatically by mail delivery software.\r\n\r\nA message that you sent could not be delivered to one or more of its\r\nrecipients. This is a permanent error. The following address(es) failed:\r\n\r\n  " +
			addr + "\r\n    SMTP error from remote mail server after RCPT TO:<" + addr + ">:\r\n    host mx1.example.net [192.0.2.26]: " + r.reply + "\r\n\r\n------ This is a copy of the message, including all the headers. ------\r\n\r\n" + original)
	}
	return []byte(head("Postmaster@example.jp", "Mail System Error - Returned Mail") + "Content-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\x1b$B$3$N%a!<%k$OAw?.$G$-$^$;$s$G$7$?!#\x1b(B\r\n\r\nEach of the following recipients was rejected by a remote\r\nmail server.\r\n\r\n    Recipient: <" +
		addr + ">\r\n    >>> RCPT TO:<" + addr + ">\r\n    <<< " + r.reply + "\r\n\r\n" + original)
}
