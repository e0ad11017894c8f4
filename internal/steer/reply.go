package steer

import (
	"encoding/json"
	"strings"
	"time"

	"ukai/internal/mail"
	"ukai/internal/maillog"
)

// statusLine is a line of Postfix's log, in which the reason stands as smtp_delivery_status_filter is asked for it: package
// maillog knows the sentences.
const statusLine = "2000-01-01T00:00:00+00:00 mail postfix/smtp[1]: 4XyzAb1C2Dz1Qw2: to=<>, relay=none, delay=0, delays=0/0/0/0, dsn="

// readStatus reads a key of smtp_delivery_status_filter: "5.7.1 host mx.example.net[192.0.2.1] said: 550-5.7.1 ... (in reply to end
// of DATA command)". It is false where no host is named: what went well, and what is Postfix's own trouble.
func readStatus(key string) (told Told, ok bool) {
	st, text := mail.ParseStatus(key)
	if st == (mail.Status{}) || strings.ContainsAny(key, "\r\n") {
		return told, false
	}
	kind := "deferred"
	if st.Class == 5 {
		kind = "bounced"
	}
	line := statusLine + st.String() + ", status=" + kind + " (" + strings.TrimSpace(text) + ")"
	p := maillog.NewParser(maillog.Options{Now: time.Now(), MTA: maillog.Postfix, Remember: 1})
	err := p.Line([]byte(line), func(e *maillog.Event) error {
		if e.Relay == "" || e.Local || e.Reply.Code == 0 {
			return nil
		}
		told.Outcome.Phase, told.Outcome.Reply = e.Phase, e.Reply
		told.Outcome.Host, told.Outcome.Remote = e.Relay, e.Remote
		ok = true
		return nil
	})
	return told, ok && err == nil
}

// readTold reads what a wrapper says it saw; false for what is no observation.
func readTold(data string) (told Told, ok bool) {
	err := json.Unmarshal([]byte(data), &told)
	return told, err == nil
}
