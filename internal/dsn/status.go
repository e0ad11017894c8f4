package dsn

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"ukai/internal/mail"
)

// maxDiagnostic bounds what is repeated of a remote reply, in octets.
const maxDiagnostic = 2000

// status writes the part for programs: RFC 3464, section 2, or with global RFC 6533, section 4.
func (r *Report) status(global bool) (headers string, body []byte) {
	headers = "Content-Type: message/delivery-status\r\n"
	if global {
		headers = "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"
	}
	b := &bytes.Buffer{}
	if id := printable(r.Envelope.EnvID, false); id != "" { // RFC 3464, section 2.2.1: only if the sender gave one
		field(b, "Original-Envelope-Id", clip(id, 900))
	}
	field(b, "Reporting-MTA", "dns; "+hostName(r.Host))
	dateField(b, "Arrival-Date", r.Envelope.Accepted)
	for i := range r.Recipients {
		b.WriteString("\r\n")
		r.Recipients[i].write(b, global)
	}
	return headers, b.Bytes()
}

// write writes the group of one recipient (RFC 3464, section 2.3).
func (r *Recipient) write(b *bytes.Buffer, global bool) {
	if kind, addr, ok := strings.Cut(r.ORcpt, ";"); ok && atom(kind) {
		if strings.EqualFold(kind, "utf-8") && !ascii(addr) {
			addr = unicodeAddr(addr, global)
		}
		field(b, "Original-Recipient", kind+"; "+clip(printable(addr, global), 900))
	}
	if ascii(r.Addr) {
		field(b, "Final-Recipient", "rfc822; "+clip(printable(r.Addr, false), 900))
	} else { // RFC 6533, section 3
		field(b, "Final-Recipient", "utf-8; "+clip(unicodeAddr(r.Addr, global), 900))
	}
	field(b, "Action", string(r.action()))
	field(b, "Status", r.code().String())
	if r.Host != "" {
		field(b, "Remote-MTA", "dns; "+hostName(r.Host))
	}
	if d := diagnostic(r.Reply, global); d != "" {
		field(b, "Diagnostic-Code", "smtp; "+d)
	} else if d = printable(r.Trouble, false); d != "" {
		field(b, "Diagnostic-Code", "x-ukai; "+clip(d, maxDiagnostic)) // RFC 3464, section 2.1.2: a type of our own
	}
	dateField(b, "Last-Attempt-Date", r.LastAttempt)
	if r.Action == Delayed { // RFC 3464, section 2.3.9
		dateField(b, "Will-Retry-Until", r.RetryUntil)
	}
}

func (r *Recipient) action() Action {
	switch r.Action {
	case Failed, Delayed, Delivered, Relayed, Expanded:
		return r.Action
	}
	panic("bug: a recipient without an action is reported")
}

// code returns a status whose class fits the action (RFC 3464, section 2.3.4): a failure may carry a 4, for mail that was tried
// until its time was over.
func (r *Recipient) code() mail.Status {
	s := r.Status
	if s.Class == 0 {
		s = r.Reply.Status
	}
	switch {
	case r.Action == Failed && (s.Class == 4 || s.Class == 5), r.Action == Delayed && s.Class == 4:
		return s
	case r.Action == Failed:
		return mail.Status{Class: 5}
	case r.Action == Delayed:
		return mail.Status{Class: 4}
	case s.Class == 2:
		return s
	}
	return mail.Status{Class: 2}
}

// diagnostic repeats a reply as it came, its lines joined.
func diagnostic(r mail.Reply, global bool) string {
	if r.Code == 0 {
		return ""
	}
	var b strings.Builder
	code := strconv.Itoa(r.Code)
	for i, l := range r.Lines {
		if i > 0 {
			b.WriteByte(' ')
		}
		sep := "-"
		if i == len(r.Lines)-1 {
			sep = " "
		}
		b.WriteString(code + sep + l)
		if b.Len() > maxDiagnostic {
			break
		}
	}
	if len(r.Lines) == 0 {
		return code
	}
	return clip(printable(b.String(), global), maxDiagnostic)
}

func dateField(b *bytes.Buffer, name string, t time.Time) {
	if !t.IsZero() {
		field(b, name, t.Format(time.RFC1123Z))
	}
}
