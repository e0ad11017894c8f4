package maillog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
)

// journal reads the export format of the systemd journal line by line: fields "KEY=value", an empty line behind each entry, and
// a field whose value holds other than printable octets as KEY, line end, its length in eight octets (little-endian), the value,
// line end. The lines that the splitting of such a value made are put together again.
type journal struct {
	active bool // inside an entry
	key    []byte
	binary bool // the value of key is being put together in buf
	first  bool // nothing of it came yet
	buf    []byte
	entry
}

// entry holds the fields of interest. The slices are used again.
type entry struct {
	message, ident, host, pid, micros []byte
}

// takes tells whether a line belongs to an export.
func (j *journal) takes(b []byte) bool {
	return j.active || len(b) > 9 && b[0] == '_' && (hasPrefix(b, "__CURSOR=") || hasPrefix(b, "__REALTIME_TIMESTAMP="))
}

// field finds where the value of a field goes; nil for those that say nothing here.
func (e *entry) field(key []byte) *[]byte {
	switch string(key) {
	case "MESSAGE":
		return &e.message
	case "SYSLOG_IDENTIFIER":
		return &e.ident
	case "_HOSTNAME":
		return &e.host
	case "SYSLOG_PID":
		return &e.pid
	case "__REALTIME_TIMESTAMP":
		return &e.micros
	}
	return nil
}

func (e *entry) reset() {
	e.message, e.ident, e.host, e.pid, e.micros = e.message[:0], e.ident[:0], e.host[:0], e.pid[:0], e.micros[:0]
}

// journalLine takes one line of an export.
func (p *Parser) journalLine(b []byte) {
	j := &p.journal
	if !j.active {
		j.active, j.binary = true, false
		j.reset()
	}
	switch {
	case j.binary:
		j.more(b)
	case len(b) == 0:
		j.active = false
		p.journalEntry(&j.entry)
	default:
		key, value, ok := cut(b, "=")
		if !ok {
			j.binary, j.first = true, true
			j.key, j.buf = append(j.key[:0], key[:min(len(key), maxName)]...), j.buf[:0]
			return
		}
		if f := j.field(key); f != nil {
			*f = append((*f)[:0], value...)
		}
	}
}

// more adds a line to a binary value.
func (j *journal) more(b []byte) {
	if !j.first {
		j.buf = append(j.buf, '\n')
	}
	j.first = false
	j.buf = append(j.buf, b...)
	if len(j.buf) < 8 {
		return
	}
	n := binary.LittleEndian.Uint64(j.buf)
	if n > MaxLine {
		j.active = false
		return
	}
	if uint64(len(j.buf)-8) < n {
		return
	}
	if f := j.field(j.key); f != nil {
		*f = append((*f)[:0], j.buf[8:8+n]...)
	}
	j.binary = false
}

// journalEntry reads an entry as a line.
func (p *Parser) journalEntry(e *entry) {
	r := record{tag: e.ident, pid: e.pid, msg: trimLeft(e.message)}
	if us, ok := number(e.micros); ok {
		r.moment = moment{sec: us / 1e6, nsec: int32(us % 1e6 * 1000), ok: true}
	}
	p.setHost(e.host, &r)
	if len(r.tag) == 0 || len(r.msg) == 0 {
		p.stats.Foreign++
		return
	}
	p.record(&r)
}

// jsonEntry is what "journalctl -o json" writes: a value is a text, an array of octets where it is not UTF-8, or null where it is
// long; a field that was set twice is an array of values.
type jsonEntry struct {
	Message json.RawMessage `json:"MESSAGE"`
	Ident   json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	Host    json.RawMessage `json:"_HOSTNAME"`
	PID     json.RawMessage `json:"SYSLOG_PID"`
	Micros  json.RawMessage `json:"__REALTIME_TIMESTAMP"`
}

// journalJSON reads an entry of "journalctl -o json".
func (p *Parser) journalJSON(b []byte) {
	var e jsonEntry
	if json.Unmarshal(b, &e) != nil {
		p.stats.Foreign++
		return
	}
	p.journalEntry(&entry{
		message: plain(e.Message), ident: plain(e.Ident), host: plain(e.Host), pid: plain(e.PID), micros: plain(e.Micros),
	})
}

// plain returns the octets of a value of the journal.
func plain(v json.RawMessage) []byte {
	v = bytes.TrimSpace(v)
	if len(v) == 0 {
		return nil
	}
	var s string
	if json.Unmarshal(v, &s) == nil {
		return []byte(s)
	}
	var octets []uint16
	if json.Unmarshal(v, &octets) == nil {
		b := make([]byte, 0, len(octets))
		for _, o := range octets {
			b = append(b, byte(o))
		}
		return b
	}
	var several []json.RawMessage
	if json.Unmarshal(v, &several) == nil && len(several) > 0 && several[0] != nil && several[0][0] != '[' {
		return plain(several[0])
	}
	return nil
}
