package peersim

import (
	"bytes"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// judge asks the rules of a phase and does what they say; refused tells whether a reply was given. An error ends the session.
func (s *session) judge(phase Phase) (refused bool, err error) {
	sc := s.p.script.Load()
	if len(sc.at[phase]) == 0 {
		return false, nil
	}
	d := sc.judge(&attempt{
		phase: phase, source: s.source, shown: s.shown, from: s.tx.from, rcpts: s.tx.rcpts, content: s.content.kept, now: s.p.w.clock.elapsed(),
	})
	if d.delay > 0 {
		if err := s.wait(s.p.w.clock.real(d.delay)); err != nil {
			return false, err
		}
	}
	if d.rule == nil {
		return false, nil
	}
	code := 0
	if d.reply != nil {
		code = d.reply.code
	}
	s.note(phase, d.rule.Name, code)
	if d.drop {
		return true, errEnd
	}
	s.refuse(d.reply)
	if code == 421 { // RFC 5321, section 3.8: the server closes
		return true, errEnd
	}
	return true, nil
}

// wait lets time pass, the replies of earlier commands said before.
func (s *session) wait(d time.Duration) error {
	if err := s.flush(); err != nil {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.p.w.done:
		return errEnd
	}
}

// tokens makes the numbers that providers put at the end of a reply.
var tokens atomic.Uint64

func (s *session) refuse(r *reply) {
	v := values{ip: s.shown, from: s.tx.from, host: s.host, id: "p" + strconv.FormatUint(tokens.Add(1), 36) + "si.22"}
	if i := strings.LastIndexByte(v.from, '@'); i >= 0 {
		v.domain = v.from[i+1:]
	}
	if n := len(s.tx.rcpts); n > 0 {
		v.rcpt = s.tx.rcpts[n-1].addr
	}
	_, _ = s.bw.Write(r.append(s.bw.AvailableBuffer(), &v))
}

// note writes a refusal, or with an empty rule a delivery, into the ledger and tells the watcher.
func (s *session) note(phase Phase, rule string, code int) {
	e := entry{now: time.Now(), provider: s.p.conf.Name, source: s.source, phase: phase, rule: rule, id: s.tx.id, bounce: s.tx.open && s.tx.from == ""}
	if phase == EndOfData {
		e.id, e.digest = s.messageID(), s.content.digest
	}
	list := s.tx.rcpts
	switch {
	case phase < RcptTo:
		list = []rcpt{{}}
	case phase == RcptTo:
		list = list[len(list)-1:]
	}
	for _, r := range list {
		e.rcpt = r.addr
		if e.bounce {
			e.id = tag(r.addr, e.id)
		}
		if rule == "" {
			s.p.w.ledger.deliver(&e)
		} else {
			s.p.w.ledger.refuse(&e)
		}
		if watch := s.p.w.opts.Watch; watch != nil {
			watch(s.event(&e, &r, code))
		}
	}
}

func (s *session) event(e *entry, r *rcpt, code int) Event {
	ev := Event{
		At: e.now, Provider: e.provider, Source: e.source, Phase: e.phase, Rule: e.rule, Code: code, ID: e.id, From: s.tx.from, Rcpt: r.addr,
		MailArgs: s.tx.mailArgs, RcptArgs: r.args, TLS: s.secure, Account: s.account,
	}
	if e.phase == EndOfData {
		ev.Content = bytes.Clone(s.content.kept[:min(len(s.content.kept), s.p.w.opts.Keep)])
	}
	return ev
}

// messageID returns the best name there is for the message whose content has come.
func (s *session) messageID() string {
	if s.content.named || s.tx.id == "" {
		return s.content.id
	}
	return s.tx.id
}

// tag returns what stands behind the + in the local part of an address, or fallback.
func tag(addr, fallback string) string {
	local := addr
	if i := strings.LastIndexByte(addr, '@'); i >= 0 {
		local = addr[:i]
	}
	if i := strings.IndexByte(local, '+'); i >= 0 && i+1 < len(local) {
		return local[i+1:]
	}
	return fallback
}
