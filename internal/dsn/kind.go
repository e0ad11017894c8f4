package dsn

import (
	"bytes"
)

// sure is the weight of a sign that is enough to take a mail for a report.
const sure = 3

// hint is the weight of words that others use as well.
const hint = 2

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

// byWords tells the kind by what is written.
func (rd *reader) byWords(s signs) {
	weight, name := rd.opening()
	auto := rd.automatic(s)
	switch {
	case weight >= sure && (!auto || s.report || s.daemon), s.speaksFor(weight, auto) && !s.onlyAnswers(weight, auto):
		rd.out.Kind, rd.out.Format = Bounce, name
		if told := rd.free(); !told && weight < sure && s.subjectOnly() { // parcels, too, are not delivered
			rd.withdraw(auto)
		}
	case auto:
		rd.out.Kind = AutoReply
	}
}

// subjectOnly tells whether nothing but the subject speaks for a report.
func (s *signs) subjectOnly() bool { return !s.daemon && !s.spoken && !s.empty && !s.failed }

// withdraw takes back that the mail is a report.
func (rd *reader) withdraw(auto bool) {
	o := rd.out
	o.Kind, o.Format, o.Results, o.Words = Ordinary, "", nil, ""
	if auto {
		o.Kind = AutoReply
	}
}

// speaksFor tells whether the signs, together with what the text says of itself, make a report.
func (s *signs) speaksFor(weight int, auto bool) bool {
	switch {
	case s.failed, s.report && s.daemon, s.report && s.spoken:
		return true
	case weight > 1 && s.empty && !auto:
		return true
	}
	return weight > 0 && (s.report || s.daemon || s.spoken)
}

// onlyAnswers tells whether a mail that might be a report is an automatic answer: its text reports nothing, and what speaks for
// a report is no more than who sent it or what the subject says.
func (s *signs) onlyAnswers(weight int, auto bool) bool {
	if !auto || s.failed || weight >= sure {
		return false
	}
	answers := s.auto || s.replies
	return weight == 0 && (answers || !s.report) || !s.daemon && (answers || weight == 0)
}

// opening returns the weight of the words by which the text introduces itself, and the name of the form. What stands far from
// the beginning does not introduce.
func (rd *reader) opening() (weight int, name string) {
	v := known()
	for _, m := range rd.marks {
		if m.role != roleOpens && m.role != roleHints || m.start > 4<<10 {
			continue
		}
		f := &v.forms[m.n]
		w := f.Weight
		if m.role == roleHints {
			w = hint
		}
		if w > weight && (w > 1 || rd.atOnce(m.start)) {
			weight, name = w, f.Name
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
