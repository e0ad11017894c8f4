package dsn

import (
	"bytes"
	"strings"
)

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
			if reply := parseReply(r.Words); reply.Code >= 400 {
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

// free takes the results from the words. It tells whether they name a recipient as one, or quote a server.
func (rd *reader) free() (told bool) {
	o := rd.out
	p := rd.prose()
	o.Words = rd.words()
	o.Results = p.results
	delayed := rd.delayed()
	for i := range o.Results {
		a := o.Results[i].Recipient
		told = told || !strings.EqualFold(a, o.From) && !contains(o.To, []byte(a))
	}
	if len(o.Results) == 0 {
		rd.unnamed(p)
	}
	for i := range o.Results {
		told = told || o.Results[i].Reply.Code >= 400
		if delayed {
			o.Results[i].Action = Delayed
		}
	}
	return told
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
