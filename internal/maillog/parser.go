package maillog

import (
	"bytes"
	"hash/maphash"
	"time"
)

// Parser reads a log one line at a time and puts together what the lines say of one message. It is for live tails and for Set;
// it has no clock, opens nothing, and is not safe for concurrent use. Lines of several hosts and servers may be mixed.
//
// What it remembers is bounded: Options.Remember messages and 6 MB of their strings. Above that, the message that was longest
// not named by any line is forgotten, and a later line about it tells only what stands in the line itself. Postfix names sender
// and size anew at each attempt, so of a message that lay in the queue for days only Message-ID and client are lost.
type Parser struct {
	opt     Options
	stats   Stats
	clock   clock
	names   *names
	peers   *peers
	sources sources
	table   *table
	tls     recent[string] // the server that a process has a TLS session with
	met     recent[meeting]
	soft    recent[softened]
	qmail   map[uint64]attempt

	host     string // the host of the last line, and its text
	hostText []byte
	journal  journal
	last     moment            // of the last line of a mail server
	halves   map[uint64][]byte // of lines that Exim split for syslog, by process

	ev     Event
	evLine int64 // the line that ev came from
	emit   func(*Event) error
	err    error
}

// NewParser makes a parser.
func NewParser(o Options) *Parser {
	if o.Location == nil {
		o.Location = time.Local
	}
	seed := maphash.MakeSeed()
	places := 1 << 13 // for names that come again; few where few messages are remembered, as for a single line
	for places > 1<<6 && o.Remember > 0 && o.Remember < places {
		places /= 2
	}
	return &Parser{
		opt:     o,
		clock:   clock{loc: o.Location, anchor: o.Now, hint: o.Year},
		names:   &names{seed: seed, table: make([]string, places)},
		peers:   &peers{seed: seed, table: make([]peer, places/4)},
		sources: sources{seed: seed},
		table:   newTable(o.Remember, seed),
		qmail:   make(map[uint64]attempt),
		halves:  make(map[uint64][]byte),
	}
}

// Stats returns what was counted so far.
func (p *Parser) Stats() Stats {
	s := p.stats
	s.Last = p.last.time(p.opt.Location)
	return s
}

// Line reads one line without its line end and calls emit for what it tells, at most a few times. The event is only valid until
// emit returns, and emit leaves it as it is. After an error of emit nothing more of the line is emitted; Line returns the error.
func (p *Parser) Line(b []byte, emit func(*Event) error) error {
	p.stats.Lines++
	p.stats.Bytes += int64(len(b))
	if len(b) > MaxLine {
		p.stats.TooLong++
		return nil
	}
	p.emit, p.err = emit, nil
	p.line(b)
	p.emit = nil
	return p.err
}

// SetNow tells what time it is: a parser that follows a log for long needs it at least monthly, or lines without a year that
// come after months of silence are dated a year back.
func (p *Parser) SetNow(now time.Time) { p.clock.anchor = now }

// flush reads what the end of a file left open: the last entry of a journal.
func (p *Parser) flush(emit func(*Event) error) error {
	if !p.journal.active {
		return nil
	}
	p.journal.binary = false
	p.emit, p.err = emit, nil
	p.journalLine(nil)
	p.emit = nil
	return p.err
}

// Forget drops what is known of messages that no line has named since before, by the times in the log.
func (p *Parser) Forget(before time.Time) { p.table.forget(before.Unix()) }

func (p *Parser) line(b []byte) {
	if p.journal.takes(b) {
		p.journalLine(b)
		return
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	if len(b) > 0 && b[0] == '{' {
		p.journalJSON(b)
		return
	}
	var r record
	if !p.split(b, &r) {
		if p.opt.MTA == 0 { // with a server named, a line may be the bare text
			p.stats.Foreign++
			return
		}
		r = record{msg: b}
	}
	p.record(&r)
}

// record hands a line to the reader of the server that wrote it.
func (p *Parser) record(r *record) {
	if n, inner, ok := repeated(r); ok {
		p.again(r, n, inner)
		return
	}
	mta, understood := p.read(r)
	if mta == 0 {
		p.stats.Foreign++
		return
	}
	p.stats.Mail++
	p.stats.PerMTA[mta]++
	if !understood {
		p.stats.Unknown++
	}
	if r.ok {
		p.seen(r)
	}
}

func (p *Parser) seen(r *record) {
	if p.stats.First.IsZero() {
		p.stats.First = r.time(p.opt.Location)
	}
	p.last = r.moment
}

// read finds the server by the tag.
func (p *Parser) read(r *record) (mta MTA, understood bool) {
	if len(r.tag) == 0 {
		return p.untagged(r)
	}
	inst, program, slash := cut(r.tag, "/")
	if slash {
		if i := bytes.LastIndexByte(program, '/'); i >= 0 {
			program = program[i+1:]
		}
		if hasPrefix(inst, "postfix") || postfixPrograms[string(program)] != 0 {
			r.source = p.sources.of(p.hostText, inst)
			return Postfix, p.postfix(r, program)
		}
	}
	r.source = p.sources.of(p.hostText, nil)
	switch t := r.tag; {
	case hasPrefix(t, "sendmail") || hasPrefix(t, "sm-"):
		return Sendmail, p.sendmail(r)
	case hasPrefix(t, "exim"):
		return Exim, p.eximSyslog(r)
	case hasPrefix(t, "qmail") || string(t) == "rblsmtpd" || string(t) == "spamdyke" || string(t) == "splogger":
		return Qmail, p.qmailTagged(r)
	case string(t) == "smtpd" || string(t) == "opensmtpd":
		if p.opt.MTA == Qmail {
			return Qmail, p.qmailTagged(r)
		}
		return OpenSMTPD, p.opensmtpd(r)
	case hasPrefix(t, "postfix"): // maillog_file of a single program, "postfix[1]"
		return Postfix, p.postfix(r, nil)
	}
	return 0, false
}

// untagged reads lines that name no program: those of servers that write their own files.
func (p *Parser) untagged(r *record) (MTA, bool) {
	r.source = p.sources.of(p.hostText, nil)
	switch p.opt.MTA {
	case Postfix:
		return Postfix, p.postfix(r, nil)
	case Sendmail:
		return Sendmail, p.sendmail(r)
	case OpenSMTPD:
		return OpenSMTPD, p.opensmtpd(r)
	case Exim:
		return Exim, p.exim(r, r.msg)
	case Qmail:
		return Qmail, p.qmailText(r, r.msg)
	}
	if _, _, ok := eximID(r.msg); !ok && p.qmailText(r, r.msg) {
		return Qmail, true
	}
	if p.exim(r, r.msg) {
		return Exim, true
	}
	return p.lateHost(r)
}

// lateHost takes "2026-11-22 10:00:00 host postfix/smtp[1]: ..." for what it is.
func (p *Parser) lateHost(r *record) (MTA, bool) {
	if r.late {
		return 0, false
	}
	r.late = true
	p.header3164(r.msg, r)
	if len(r.tag) == 0 {
		return 0, false
	}
	return p.read(r)
}

// begin makes the event that a line tells.
func (p *Parser) begin(k Kind, m MTA, r *record) *Event {
	p.ev = Event{At: r.time(p.opt.Location), Kind: k, MTA: m, Host: r.host}
	return &p.ev
}

// fill puts in what is known of the message.
func (e *Event) fill(m *message) {
	e.Queue, e.MessageID, e.Size = m.id, m.messageID, m.size
	e.From, e.Sender = m.from, m.sender
	e.Client, e.ClientName, e.Helo, e.Account = m.client, m.clientName, m.helo, m.account
}

// out emits the event that begin made.
func (p *Parser) out() {
	if p.err != nil {
		return
	}
	p.stats.Events++
	p.evLine = p.stats.Lines
	p.err = p.emit(&p.ev)
}

// maxRepeat bounds what a line that says "repeated" can ask for.
const maxRepeat = 1000

// repeated recognises what syslog daemons write instead of the same line again: "last message repeated 3 times", and with the
// line in it "message repeated 3 times: [ ... ]" (rsyslog).
func repeated(r *record) (n int64, inner []byte, ok bool) {
	b := r.msg
	if len(b) < 22 || b[0] != 'l' && b[0] != 'm' {
		return 0, nil, false
	}
	switch {
	case hasPrefix(b, "last message repeated ") && (len(r.tag) == 0 || string(r.tag) == "syslogd"):
		b = b[len("last message repeated "):]
	case hasPrefix(b, "message repeated "):
		b = b[len("message repeated "):]
		_, rest, found := cut(b, " times: [")
		if !found {
			return 0, nil, false
		}
		inner = trimLeft(bytes.TrimSuffix(rest, []byte("]")))
	default:
		return 0, nil, false
	}
	d := digits(b)
	n, ok = number(b[:d])
	return min(n, maxRepeat), inner, ok
}

// again tells the last event, or what the line in brackets says, as often as it was repeated.
func (p *Parser) again(r *record, n int64, inner []byte) {
	if inner == nil {
		if p.evLine == 0 || p.evLine != p.stats.Lines-1 || p.ev.Host != r.host {
			p.stats.Foreign++
			return
		}
		p.stats.Mail++
		p.stats.PerMTA[p.ev.MTA]++
		p.ev.At = r.time(p.opt.Location)
		for range n {
			p.out()
		}
		return
	}
	tag := r.tag
	var mta MTA
	var understood bool
	for range n {
		r.tag, r.msg = tag, inner
		mta, understood = p.read(r)
	}
	if mta == 0 {
		p.stats.Foreign++
		return
	}
	p.stats.Mail++
	p.stats.PerMTA[mta]++
	if !understood {
		p.stats.Unknown++
	}
}
