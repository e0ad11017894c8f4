package app

import (
	"strings"
	"testing"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/queue"
)

const lateBounce = "From: MAILER-DAEMON@mx.example.net\r\nTo: you\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt could not be delivered.\r\n" +
	"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n" +
	"Final-Recipient: rfc822; hanako@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\n" +
	"Diagnostic-Code: smtp; 550 5.1.1 <hanako@example.net>: Recipient address rejected: User unknown\r\n\r\n--b--\r\n."

func TestAReportThatComesLaterIsHeardAndGoesOnToTheSender(t *testing.T) {
	c := settings(t)
	doc, problems := config.Parse("ukai.toml", []byte("[reports]\naddress = \"bounce@mail.example.jp\"\nsenders = [\"example.jp\"]\n"), func(string) string { return "" })
	if len(problems) > 0 {
		t.Fatal(problems[0].Error())
	}
	c.Reports, c.Suppression = doc.Reports, doc.Suppression
	c.Listeners = append(c.Listeners, config.Listener{Name: "mx", Address: "127.0.0.1:0", TLS: config.NoTLS, Auth: config.AuthOff, Reports: true})
	a, _ := running(t, c, Options{Log: (&logs{}).logger()})

	in := connect(t, a.Addr("in"))
	in.say("EHLO web.example", "250 ")
	in.say("MAIL FROM:<taro@example.jp>", "250 ")
	in.say("RCPT TO:<hanako@example.net>", "250 ")
	in.say("DATA", "354 ")
	in.say("From: taro@example.jp\r\nSubject: s\r\n\r\nhello\r\n.", "250 ")
	client := api.NewClient(c.Data)
	m, err := a.queue.List(t.Context(), queue.Filter{})
	if err != nil || len(m) != 1 {
		t.Fatalf("%+v %v", m, err)
	}
	path := a.returnPath(m[0].Envelope, 0)
	if !strings.HasPrefix(path, "bounce+") {
		t.Fatalf("return path %q", path)
	}

	mx := connect(t, a.Addr("mx"))
	mx.say("EHLO mx.example.net", "250 ")
	mx.say("MAIL FROM:<>", "250 ")
	mx.say("RCPT TO:<victim@example.net>", "550 ") // it is no open relay
	mx.say("RCPT TO:<bounce+0@mail.example.jp>", "550 5.1.1")
	mx.say("RCPT TO:<"+strings.ToLower(path)+">", "250 ")
	mx.say("DATA", "354 ")
	mx.say(lateBounce, "250 ")

	copies, err := client.Queue(t.Context(), &api.Selection{Recipient: "taro@example.jp"})
	if err != nil || len(copies) != 1 || copies[0].From != "" {
		t.Fatalf("the copy: %+v %v", copies, err)
	}
	eventually(t, "the recipient is watched", func() bool {
		s, err := client.SuppressedOne(t.Context(), "hanako@example.net")
		return err == nil && s.State == "watched" && len(s.Seen) == 1 && s.Seen[0].Late
	})

	off := *c
	off.Reports = config.Reports{}
	if err := a.Reload(t.Context(), &off); err != nil {
		t.Fatal(err)
	}
	if got := a.returnPath(m[0].Envelope, 0); got != "taro@example.jp" {
		t.Errorf("after the address was taken out: %q", got)
	}
	again := connect(t, a.Addr("mx"))
	again.say("EHLO mx.example.net", "250 ")
	again.say("MAIL FROM:<>", "550 ")
}
