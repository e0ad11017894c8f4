package dsn

import (
	"bytes"
	"strings"
)

// sure is the weight of a sign that is enough to take a mail for a report.
const sure = 3

// judge says what the mail is. What the structure says counts before any words.
func (rd *reader) judge() {
	rd.takeHTML()
	rd.mark()
	s := rd.signs()
	for _, f := range rd.fields {
		rd.status(f)
	}
	switch {
	case rd.complaint():
		rd.out.Kind, rd.out.Format = Complaint, "arf"
	case len(rd.out.Results) > 0:
		rd.reported()
	case rd.notice():
	case rd.receipt:
		rd.out.Kind, rd.out.Format = AutoReply, "mdn"
	default:
		rd.byWords(s)
	}
	if rd.out.Kind == Bounce || rd.out.Kind == Success {
		rd.completeOriginal()
	}
}

// takeHTML takes the HTML text where there is no other.
func (rd *reader) takeHTML() {
	if len(rd.html) == 0 || !bare(rd.doc) {
		return
	}
	rd.addDoc(plainText(rd.html))
}

// reported ends the reading of a mail that has fields for programs: the words for people are added to them.
func (rd *reader) reported() {
	o := rd.out
	o.Format, o.Kind = "rfc3464", Success
	for i := range o.Results {
		if a := o.Results[i].Action; a != Delivered && a != Relayed && a != Expanded {
			o.Kind = Bounce
		}
	}
	p := rd.prose()
	o.Words = rd.words()
	for i := range o.Results {
		r := &o.Results[i]
		r.Words = p.about(r.Recipient, len(o.Results) == 1)
		p.quote(r, len(o.Results) == 1)
		if r.Text == "" && r.Reply.Code == 0 {
			if reply, _ := parseReply(r.Words); reply.Code >= 400 {
				r.Reply = reply
			}
		}
		p.complete(r, len(o.Results) == 1)
	}
}

// quote adds what the transcript says: as the reply, or, where the fields have one already, to the words.
func (p *prose) quote(r *Result, only bool) {
	if r.Reply.Code == 0 {
		p.hear(r, true)
		return
	}
	heard := *r
	if p.hear(&heard, only); heard.Reply.Code != 0 && heard.Reply.String() != r.Reply.String() {
		r.Words = clone(heard.Reply.String()+" "+r.Words, MaxReason)
		r.Phase, r.PhaseKnown = heard.Phase, heard.PhaseKnown
	}
}

// complete adds to a result what only the words for people say of its recipient.
func (p *prose) complete(r *Result, only bool) {
	for i := range p.results {
		x := &p.results[i]
		if !strings.EqualFold(x.Recipient, r.Recipient) && !(only && len(p.results) == 1) {
			continue
		}
		if r.Host == "" {
			r.Host = x.Host
		}
		if !r.PhaseKnown {
			r.Phase, r.PhaseKnown = x.Phase, x.PhaseKnown
		}
	}
}

// about returns what the words for people say of a recipient.
func (p *prose) about(addr string, only bool) string {
	for i := range p.results {
		if strings.EqualFold(p.results[i].Recipient, addr) {
			return p.results[i].Text
		}
	}
	if !only {
		return ""
	}
	if len(p.results) > 0 {
		return p.results[0].Text
	}
	return p.spoken
}

// words returns the words for people on one line, without what says nothing, and with what the subject says.
func (rd *reader) words() string {
	b := appendClean(make([]byte, 0, min(len(rd.doc), 2*MaxReason)+len(rd.tells)+1), rd.doc[:min(len(rd.doc), 2*MaxReason)])
	return clone(oneLine(append(append(b, ' '), rd.tells...)), 2*MaxReason)
}

// byWords tells the kind by what is written.
func (rd *reader) byWords(s signs) {
	o := rd.out
	weight, name := rd.opening()
	auto := rd.automatic(s)
	switch {
	case weight >= sure && !(auto && weight < 2*sure && !s.report && !s.daemon):
	case s.failed, weight > 0 && (s.report || s.daemon || s.spoken), weight > 1 && s.empty && !auto, s.report && s.daemon, s.spoken && s.report:
		if auto && weight == 0 && !s.failed && (s.auto || s.replies || !s.daemon || !s.report) {
			o.Kind = AutoReply
			return
		}
	case auto:
		o.Kind = AutoReply
		return
	default:
		return
	}
	o.Kind, o.Format = Bounce, name
	rd.free()
}

// free takes the results from the words.
func (rd *reader) free() {
	o := rd.out
	p := rd.prose()
	o.Words = rd.words()
	o.Results = p.results
	delayed := rd.delayed()
	if len(o.Results) == 0 {
		rd.unnamed(p)
	}
	for i := range o.Results {
		if delayed {
			o.Results[i].Action = Delayed
		}
	}
}

// unnamed makes results for recipients that only the header names, or one without recipient.
func (rd *reader) unnamed(p *prose) {
	o := rd.out
	all := appendAddrs(nil, rd.top.get(fieldFailed))
	if len(all) == 0 {
		if a := rd.mentioned(); a != "" {
			all = []string{a}
		} else {
			all = []string{o.Original.To}
		}
	}
	for _, a := range all {
		r := Result{Recipient: a, Text: clone(p.spoken, MaxReason), Host: p.host}
		p.hear(&r, true)
		if r.Text == "" && r.Reply.Code != 0 {
			r.Text = clone(r.Reply.String(), MaxReason)
		}
		rd.finish(&r)
		rd.result(r)
	}
}

// mentioned returns the first address in the words that is neither who reports nor whom it was sent to.
func (rd *reader) mentioned() string {
	doc := rd.doc[:min(len(rd.doc), 2*MaxReason)]
	for s, e := findAddr(doc, 0); e > 0; s, e = findAddr(doc, e) {
		a := doc[s:e]
		if before := bytes.TrimRight(doc[:s], " :<\"'("); foldedAt(before, len(before)-4, "from") || foldedAt(before, len(before)-6, "sender") {
			continue
		}
		if !contains(rd.out.To, a) && !strings.EqualFold(rd.out.From, string(a)) && !foldedAt(a, 0, "postmaster") && !foldedAt(a, 0, "mailer-daemon") {
			return string(a)
		}
	}
	return ""
}

// delayed tells whether the words say that it is still being tried.
func (rd *reader) delayed() bool {
	for _, m := range rd.marks {
		if m.role == roleDelay {
			return true
		}
	}
	return false
}

// opening returns the weight of the words by which the text introduces itself, and the name of the form. What stands far from
// the beginning does not introduce.
func (rd *reader) opening() (weight int, name string) {
	v := known()
	for _, m := range rd.marks {
		if m.role != roleOpens || m.start > 4<<10 {
			continue
		}
		f := &v.forms[m.n]
		if f.Weight == 1 && !rd.atOnce(m.start) {
			continue
		}
		if f.Weight > weight {
			weight, name = f.Weight, f.Name
		}
	}
	return weight, name
}

// atOnce tells whether a place of the document lies in its first sentence: a line, and one more if that is a short one.
func (rd *reader) atOnce(at int) bool {
	before := bytes.TrimLeft(rd.doc[:at], " \n")
	n := bytes.IndexByte(before, '\n')
	return n < 0 || n < 20 && bytes.Count(before, []byte("\n")) < 3
}

// signs are what the header says of the kind of a mail.
type signs struct {
	report, auto   bool // the subject speaks for a report, for an automatic answer
	daemon         bool // who sent it is one that reports
	empty          bool // the return path is empty (RFC 5321, section 4.5.5)
	failed, spoken bool // a field says that it is a report
	replies        bool // the text speaks for an automatic answer
}

func (rd *reader) signs() (s signs) {
	v := known()
	h := &rd.top
	v.find.run([]byte(rd.out.Subject), func(id int32, end int) {
		switch p := v.phrases[id]; p.role {
		case roleSubjectTells:
			rd.tells = rd.out.Subject[end:]
		case roleSubjectReport:
			s.report = true
		case roleSubjectAuto:
			if end == p.size || !isWord(rd.out.Subject[end-p.size-1]) {
				s.auto = true
			}
		}
	})
	v.find.run(h.get(fieldFrom), func(id int32, _ int) {
		if v.phrases[id].role == roleSender {
			s.daemon = true
		}
	})
	path := bytes.TrimSpace(h.get(fieldReturnPath))
	s.empty = bytes.HasPrefix(path, []byte("<>"))
	s.daemon = s.daemon || hasFold(path, "mailer-daemon") || h.has(fieldFrom) && len(bytes.TrimSpace(h.get(fieldFrom))) == 0
	s.failed = len(bytes.TrimSpace(h.get(fieldFailed))) > 0
	m := parseMedia(h.get(fieldType))
	s.spoken = h.has(fieldSpoken) || m.report == "delivery-status" || s.empty && s.daemon
	for _, mk := range rd.marks {
		s.replies = s.replies || mk.role == roleReply
	}
	return s
}

// automatic tells whether a machine answered (RFC 3834).
func (rd *reader) automatic(s signs) bool {
	h := &rd.top
	auto := h.get(fieldAuto)
	if hasFold(auto, "auto-replied") || hasFold(auto, "auto-generated") && (s.auto || s.replies) || hasFold(auto, "vacation") || hasFold(auto, "auto-notified") {
		return true
	}
	if h.has(fieldReplier) || s.auto {
		return true
	}
	if p := h.get(fieldPrecedence); hasFold(p, "auto_reply") || hasFold(p, "auto-reply") {
		return true
	}
	return s.replies
}

// complaint reads a complaint: ARF, or what came before it.
func (rd *reader) complaint() bool {
	m := parseMedia(rd.top.get(fieldType))
	said := false
	for _, mk := range rd.marks {
		said = said || mk.role == roleComplains && mk.start < 2<<10
	}
	if rd.feedback == nil && m.report != "feedback-report" && !rd.top.has(fieldComplaint) && !said {
		return false
	}
	rd.readFeedback()
	return true
}

// completeOriginal fills in what the structure of the mail does not say of the original.
func (rd *reader) completeOriginal() {
	o := rd.out
	for i := range o.Results {
		if o.Results[i].Recipient == "" && len(o.Results) == 1 {
			o.Results[i].Recipient = o.Original.To
		}
	}
	if o.Original.MessageID == "" { // RFC 3834, section 3.1.5
		o.Original.MessageID = messageID(rd.top.get(fieldInReplyTo))
	}
}
