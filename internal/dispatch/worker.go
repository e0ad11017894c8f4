package dispatch

import (
	"net/netip"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dns"
	"ukai/internal/outcome"
	"ukai/internal/smtpclient"
)

func (w *worker) run() {
	defer w.s.leave()
	defer w.hangUp()
	for j := w.s.take(); j != nil; j = w.s.wait(w, w.s.d.opts.KeepAlive) {
		if j.ctx.Err() != nil {
			return
		}
		if j.astray() {
			j.routeAgain(j.d.currentWays())
			continue
		}
		if !w.deliver(j) {
			return
		}
	}
}

// deliver carries one job; it returns false when the worker should end.
func (w *worker) deliver(j *job) bool {
	reused := w.link != nil
	if !reused {
		if o := w.dial(j); o != nil {
			return w.unreachable(j, o)
		}
	}
	res := w.send(j)
	if reused && res.Stale {
		w.hangUp()
		if o := w.dial(j); o != nil {
			return w.unreachable(j, o)
		}
		res = w.send(j)
	}
	if res.Broken != nil { // our own content could not be read: no outcome of the receiver's
		w.hangUp()
		j.unreadable(res.Broken)
		return true
	}
	w.sent++
	if !res.ConnUsable || w.sent >= w.maxMessages() {
		w.hangUp()
	}
	j.judge(&res)
	return true
}

func (w *worker) maxMessages() int {
	n := w.s.d.opts.MaxMessages
	if w.s.egress.Smarthost == "" && w.s.dest.Limits.MaxMsgsPerConn > 0 {
		n = min(n, w.s.dest.Limits.MaxMsgsPerConn)
	}
	return n
}

func (w *worker) hangUp() {
	if w.link != nil {
		w.link.Close()
		w.link = nil
	}
	w.sent = 0
}

// dial connects to the first host that answers. A refusal that would be the same from every host ends the search.
func (w *worker) dial(j *job) *outcome.Outcome {
	start := time.Now()
	hosts, err := w.hosts(j)
	if err != nil {
		return lookupOutcome(err, start)
	}
	var last *outcome.Outcome
	for _, h := range hosts {
		t := smtpclient.Target{Host: h.Name, Addrs: make([]netip.AddrPort, 0, len(h.Addrs))}
		for _, ip := range h.Addrs {
			t.Addrs = append(t.Addrs, netip.AddrPortFrom(ip, w.s.egress.Port))
		}
		link, o := w.s.egress.Carrier.Dial(j.ctx, t)
		if o == nil {
			w.link, w.sent = link, 0
			return nil
		}
		last = o
		if o.Reply.Code != 0 || j.ctx.Err() != nil {
			break // it answered: another host of the same receiver would say the same
		}
	}
	return last
}

func (w *worker) hosts(j *job) ([]dns.Host, error) {
	if name := w.s.egress.Smarthost; name != "" {
		return j.d.Directory.Host(j.ctx, name)
	}
	return j.d.Directory.Hosts(j.ctx, j.dest)
}

// unreachable deals with a connection that could not be opened, or was refused before it could carry anything. With other
// connections alive the job goes back to the line for them: the receiver may only have had enough of new ones. Else the
// whole line shares the fate of the first, for it would knock at the same door; the evidence is one piece all the same. A
// refusal that another egress would escape is for the first job alone: the line is routed anew as the path's health says.
func (w *worker) unreachable(j *job, o *outcome.Outcome) bool {
	s := w.s
	j.stamp(o)
	v := j.d.Judge.Classify(o)
	if v.Detour || v.Action == classify.Fail {
		j.judgeAll(o, true)
		return true
	}
	var others int
	s.feedback(func(l *limiter) { others = s.workers - 1; l.unreachable(o.At) })
	if others > 0 && j.requeues == 0 {
		j.requeues++
		if s.push(j) {
			return false
		}
	}
	j.judgeAll(o, true)
	for _, waiting := range s.clear() {
		same := *o
		waiting.judgeAll(&same, false)
	}
	return true
}

func (w *worker) send(j *job) smtpclient.Result {
	content, err := j.d.Store.Open(j.q.ID)
	if err != nil {
		return smtpclient.Result{Broken: err, ConnUsable: true}
	}
	defer content.Close()
	return w.link.Send(j.ctx, &smtpclient.Message{Envelope: j.envelope(), Recipients: j.open, Content: content})
}
