package dsn

import (
	"bytes"
	"slices"
	"strings"
)

// prose reads what a text for people says of recipients. Whatever program wrote it, such a text is a list of recipients, each
// with its reason behind it or around it, and perhaps a transcript of the dialogue with the server.
type prose struct {
	rd      *reader
	results []Result
	buf     []byte // text of the last result
	loose   []byte // text that stands before any recipient
	talks   []talk
	gap     bool // the line before was blank or said nothing
	label   bool // the line before ended with a label
	host    string
	command talk // the last command of the transcript
	mi      int  // the next mark
	n       int  // number of the line
	flush   bool // the last recipient stood at the start of a line that was not indented, with a colon behind it
	spoken  string
	weak    bool     // the address stands behind "To:" alone, which may be a field of the original
	weaks   []string // addresses of which nothing better is known
}

// prose reads the document.
func (rd *reader) prose() *prose {
	p := &prose{rd: rd, gap: true}
	doc := rd.doc
	for from := 0; from < len(doc); {
		end := from + bytes.IndexByte(doc[from:], '\n')
		if end < from {
			end = len(doc)
		}
		p.line(from, end)
		from = end + 1
		p.n++
	}
	p.close()
	p.settle()
	return p
}

// line reads doc[from:end].
func (p *prose) line(from, end int) {
	line := p.rd.doc[from:end]
	marks := p.marksIn(from, end)
	if bare(line) {
		p.gap = true
		return
	}
	if p.transcript(line) {
		p.gap = false
		return
	}
	p.weak = false
	addr, leads := p.recipient(from, end, marks)
	if addr != "" {
		p.begin(addr)
	}
	if !leads {
		p.add(line)
	}
	p.label = labelled(marks, end)
	p.gap = false
	p.hosts(marks)
}

// marksIn returns the marks that begin in doc[from:end].
func (p *prose) marksIn(from, end int) []mark {
	all := p.rd.marks
	for p.mi < len(all) && all[p.mi].start < from {
		p.mi++
	}
	i := p.mi
	for i < len(all) && all[i].start < end {
		i++
	}
	return all[p.mi:i]
}

func labelled(marks []mark, end int) bool {
	for _, m := range marks {
		if m.role == roleLabel && end-m.end <= 1 {
			return true
		}
	}
	return false
}

// hosts takes the name of the server that refused.
func (p *prose) hosts(marks []mark) {
	for _, m := range marks {
		if m.role != roleHost || !ofServer(p.rd.doc[max(0, m.start-16):m.start]) {
			continue
		}
		if h := hostAt(p.rd.doc[m.end:min(len(p.rd.doc), m.end+maxDomain)]); h != "" {
			p.host = h
		}
	}
}

// recipient returns the address of the recipient that the line names, if it names one; leads tells that it says nothing else.
func (p *prose) recipient(from, end int, marks []mark) (addr string, leads bool) {
	line := p.rd.doc[from:end]
	s, e := findAddr(line, 0)
	if e == 0 {
		return "", false
	}
	before, after := line[:s], line[e:]
	addr = string(line[s:e])
	switch {
	case p.same(addr):
		return "", false
	case bare(before):
		after = bytes.TrimLeft(after, ">\"')] ")
		alone := bare(after)
		if !alone && !angled(before) && contains(p.rd.out.To, line[s:e]) {
			return "", false // the salutation
		}
		flush := len(after) > 0 && after[0] == ':' && !p.rd.indents[p.n]
		if p.gap || p.label || alone || len(p.results) == 0 || flush && p.flush && p.settled() {
			p.flush = flush
			return addr, alone
		}
	case p.labels(from, s, marks), p.trails(from+e, marks):
		return addr, false
	case codeLeads(before) && len(p.results) == 0 && bytes.HasPrefix(bytes.TrimLeft(after, ">"), []byte("...")):
		return addr, false
	}
	return "", false
}

// same tells whether the text is about this recipient already.
func (p *prose) same(addr string) bool {
	n := len(p.results)
	return n > 0 && strings.EqualFold(p.results[n-1].Recipient, addr)
}

// settled tells whether the last recipient has got its reason, so that an address in front of a line may begin another one.
func (p *prose) settled() bool { return len(p.buf) > 0 && p.buf[len(p.buf)-1] != ':' }

func angled(before []byte) bool { return len(before) > 0 && before[len(before)-1] == '<' }

// codeLeads tells whether a reply code is all that stands before the address: "550 5.1.1 <".
func codeLeads(before []byte) bool {
	if len(before) < 4 || before[0] != '5' && before[0] != '4' {
		return false
	}
	for _, c := range before {
		if !isDigit(c) && strings.IndexByte(" .-<", c) < 0 {
			return false
		}
	}
	return true
}

// labels tells whether a label stands right before the address at doc[from+s].
func (p *prose) labels(from, s int, marks []mark) bool {
	doc := p.rd.doc
	for _, m := range marks {
		if m.role != roleLabel || m.end > from+s || m.start > from && isWord(doc[m.start-1]) && isWord(doc[m.start]) {
			continue
		}
		if doc[m.end-1] == ':' && m.start-from > 3 && m.size < 12 {
			continue
		}
		gap := bytes.TrimLeft(doc[m.end:from+s], " :<'\"([")
		if len(gap) == 0 || foldedAt(gap, 0, "rfc822;") || foldedAt(gap, 0, "smtp:") {
			p.weak = m.size == len("to:") && m.start == from
			return true
		}
	}
	return false
}

// trails tells whether words stand right behind the address that say what became of it.
func (p *prose) trails(end int, marks []mark) bool {
	for _, m := range marks {
		if m.role == roleTrailing && m.start >= end && m.start-end <= 3 {
			return true
		}
	}
	return false
}

// begin begins another recipient.
func (p *prose) begin(addr string) {
	p.close()
	for i := range p.results { // it was named before: what follows is about it, too
		if strings.EqualFold(p.results[i].Recipient, addr) {
			if i == len(p.results)-1 {
				p.buf = append(p.buf[:0], p.results[i].Text...)
				return
			}
			break
		}
	}
	if len(p.results) >= MaxResults {
		p.rd.skip("recipients after the first 512")
		return
	}
	p.results = append(p.results, Result{Recipient: addr})
	if p.weak {
		p.weaks = append(p.weaks, addr)
	}
}

// dropWeak drops the recipients that stand behind "To:" alone if there are others.
func (p *prose) dropWeak() {
	if len(p.weaks) == 0 || len(p.weaks) >= len(p.results) {
		return
	}
	p.results = slices.DeleteFunc(p.results, func(r Result) bool { return slices.Contains(p.weaks, r.Recipient) })
}

// close ends the text of the last recipient.
func (p *prose) close() {
	if n := len(p.results); n > 0 {
		r := &p.results[n-1]
		r.Text = oneLine(p.buf)
		if r.Host == "" {
			r.Host = p.host
		}
		p.host = ""
	}
	p.buf = p.buf[:0]
}

// add adds a line to the reason of the last recipient, or to what stands before the first.
func (p *prose) add(line []byte) {
	to := &p.buf
	if len(p.results) == 0 {
		to = &p.loose
	}
	if len(*to) >= MaxReason {
		return
	}
	line = line[:min(len(line), MaxReason)]
	*to = append(appendClean(*to, line), ' ')
}

// appendClean appends a text without the places where noise was taken out.
func appendClean(to, text []byte) []byte {
	for _, c := range text {
		if c != noise {
			to = append(to, c)
		}
	}
	return to
}

// settle gives each result what the whole text says of it: its reply in the transcript, a reason that stands behind several
// recipients or before all of them.
func (p *prose) settle() {
	p.spoken = oneLine(p.loose)
	p.dropWeak()
	rest := ""
	for i := len(p.results) - 1; i >= 0; i-- {
		r := &p.results[i]
		if strings.Trim(r.Text, " .:,;-()<>[]'\"") == "" {
			r.Text = rest
		} else {
			rest = r.Text
		}
	}
	if len(p.results) == 0 {
		p.fromTalks()
	}
	for i := range p.results {
		r := &p.results[i]
		p.hear(r, true)
		if r.Text == "" {
			r.Text = clone(p.spoken, MaxReason)
		}
		if r.Text == "" && r.Reply.Code != 0 {
			r.Text = clone(r.Reply.String(), MaxReason)
		}
		p.rd.finish(r)
	}
}

// fromTalks makes results of the transcript alone.
func (p *prose) fromTalks() {
	for _, t := range p.talks {
		if t.addr != "" {
			p.results = append(p.results, Result{Recipient: t.addr})
		}
	}
}
