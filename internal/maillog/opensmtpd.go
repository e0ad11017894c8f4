package maillog

import (
	"bytes"
	"time"

	"ukai/internal/outcome"
)

// opensmtpd reads a line of OpenSMTPD. Since 6.4 it is "SESSION what verb key=value ...", in 5.7 to 6.3 "SESSION what event=verb",
// before "relay: Ok for EVPID: session=..., from=<...>". The envelope ID begins with the ID of its message.
func (p *Parser) opensmtpd(r *record) bool {
	b := r.msg
	if hasPrefix(b, "relay: ") || hasPrefix(b, "delivery: ") || hasPrefix(b, "smtp-out: ") || hasPrefix(b, "smtp-in: ") {
		return p.opensmtpdOld(r, b)
	}
	if !hexID(b, 16) {
		return hasAny(b, opensmtpdTalk)
	}
	session, b := b[:16], b[17:]
	what, b := word(b)
	verb, b := word(b)
	verb = bytes.TrimPrefix(verb, []byte("event="))
	switch string(what) {
	case "mta", "mda":
		return p.opensmtpdOut(r, session, what, verb, b)
	case "smtp":
		return p.opensmtpdIn(r, session, verb, b)
	}
	return true
}

var opensmtpdTalk = []string{
	"info: ", "warn: ", "debug: ", "smtp: ", "lookup: ", "mta: ", "queue", "scheduler", "control", "filter", "Exiting", "parent", "pony", "lka", "ca ",
}

// hexID tells whether b begins with that many hexadecimal digits and a blank.
func hexID(b []byte, n int) bool { return len(b) > n && b[n] == ' ' && isHex(b[:n], n) }

// isHex tells whether b is that many hexadecimal digits.
func isHex(b []byte, n int) bool {
	if len(b) != n {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// field returns the value of a key: in quotes, in angle brackets, or to the next blank. A quoted value ends at a quote before a
// blank and a key, or at the end.
func field(b []byte, key string) []byte {
	for from := 0; ; {
		i := index(b[from:], key)
		if i < 0 {
			return nil
		}
		i += from
		from = i + len(key)
		if i > 0 && b[i-1] != ' ' {
			continue
		}
		v := b[from:]
		switch {
		case len(v) > 0 && v[0] == '"':
			return quotedValue(v[1:])
		case len(v) > 0 && v[0] == '<':
			in, _, ok := angle(v, ' ')
			if !ok {
				in, _, _ = angle(v, ',')
			}
			return in
		}
		v, _ = word(v)
		return bytes.TrimSuffix(v, []byte(","))
	}
}

func quotedValue(v []byte) []byte {
	for i, c := range v {
		if c != '"' {
			continue
		}
		rest := v[i+1:]
		if len(rest) == 0 {
			return v[:i]
		}
		if next, _ := word(rest[1:]); rest[0] == ' ' && bytes.IndexByte(next, '=') > 0 {
			return v[:i]
		}
	}
	return bytes.TrimSuffix(v, []byte(`"`))
}

// opensmtpdOut reads what became of a recipient.
func (p *Parser) opensmtpdOut(r *record, session, what, verb, b []byte) bool {
	switch string(verb) {
	case "delivery":
		p.opensmtpdDelivery(r, session, what, b)
	case "tls", "starttls":
		p.table.get(r.source, session, r.sec).tls = true
	case "disconnected":
		if m := p.table.find(r.source, session, r.sec); m != nil {
			p.table.end(m)
		}
	}
	return true
}

func (p *Parser) opensmtpdDelivery(r *record, session, what, b []byte) {
	e := p.begin(opensmtpdKind(field(b, "result=")), OpenSMTPD, r)
	if e.Kind == 0 {
		return
	}
	p.opensmtpdMessage(r, e, b)
	if m := p.table.find(r.source, session, r.sec); m != nil {
		e.TLS = m.tls
	}
	p.opensmtpdWay(e, field(b, "relay="), string(what) == "mda")
	e.Delay = units(field(b, "delay="))
	p.opensmtpdReason(e, field(b, "stat="))
}

// opensmtpdMessage puts in the envelope and what is known of its message.
func (p *Parser) opensmtpdMessage(r *record, e *Event, b []byte) {
	evpid := field(b, "evpid=")
	if isHex(evpid, 16) {
		if m := p.table.find(r.source, evpid[:8], r.sec); m != nil {
			e.fill(m)
		}
		e.Queue = string(evpid)
	}
	e.From, e.Sender = p.names.get(field(b, "from=")), true
	e.To = p.names.get(field(b, "to="))
	if orig := field(b, "rcpt="); len(orig) > 0 && string(orig) != "-" && string(orig) != e.To {
		e.OrigTo = p.names.get(orig)
	}
}

// opensmtpdWay reads relay="192.0.2.1 (mx.example.com)".
func (p *Parser) opensmtpdWay(e *Event, relay []byte, local bool) {
	addr, name := word(relay)
	if a := address(addr); a.IsValid() {
		e.Remote = addrPort(a)
		e.Relay = p.names.get(bytes.Trim(name, "()"))
		e.Local = a.IsLoopback()
	} else if string(addr) != "-" {
		e.Relay = p.names.get(relay)
	}
	if local {
		e.Local = true
		if e.Relay == "" {
			e.Relay = "local"
		}
	}
}

// opensmtpdReason reads stat= and tells the event.
func (p *Parser) opensmtpdReason(e *Event, stat []byte) {
	e.Text = clean(stat)
	e.Reply = readReply(e.Text)
	if e.Kind == Delivered && e.Reply.Code != 0 {
		e.Phase = outcome.EndOfData
	}
	if e.Reply.Code == 0 && hasAny(stat, []string{"Network error on destination", "No valid route", "Connection "}) {
		e.Phase = outcome.Connect
	}
	if e.Kind == Bounced && hasPrefix(stat, "Envelope expired") {
		e.Kind = Expired
	}
	p.out()
}

func opensmtpdKind(result []byte) Kind {
	switch string(result) {
	case "Ok":
		return Delivered
	case "TempFail":
		return Deferred
	case "PermFail":
		return Bounced
	case "Expired", "Expire":
		return Expired
	}
	return 0
}

// units reads "1d2h3m4s" in any part.
func units(b []byte) time.Duration {
	var d time.Duration
	for len(b) > 0 {
		n := digits(b)
		if n == 0 || n == len(b) || n > 9 {
			return d
		}
		v, _ := number(b[:n])
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[b[n]]
		d += time.Duration(v) * unit
		b = b[n+1:]
	}
	return d
}

// opensmtpdOld reads the form before 5.7: "relay: TempFail for EVPID: session=..., from=<a>, to=<b>, rcpt=<->, source=...,
// relay=192.0.2.1 (mx), delay=1s, stat=450 text"; "delivery: Ok for ..." is the same for a mailbox here.
func (p *Parser) opensmtpdOld(r *record, b []byte) bool {
	what, b, _ := cut(b, ": ")
	if hasPrefix(what, "smtp-") {
		return true
	}
	result, b, ok := cut(b, " for ")
	if !ok {
		return false
	}
	evpid, b, ok := cut(b, ": ")
	e := p.begin(opensmtpdKind(result), OpenSMTPD, r)
	if !ok || e.Kind == 0 {
		return ok
	}
	if isHex(evpid, 16) {
		e.Queue = string(evpid)
	}
	e.From, e.Sender = p.names.get(field(b, "from=")), true
	e.To = p.names.get(field(b, "to="))
	e.Delay = units(field(b, "delay="))
	relay, _ := between(b, " relay=", ", ")
	p.opensmtpdWay(e, relay, string(what) == "delivery")
	_, stat, _ := cut(b, " stat=")
	p.opensmtpdReason(e, stat)
	return true
}
