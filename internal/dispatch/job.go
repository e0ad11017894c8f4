package dispatch

import (
	"context"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/journal"
	"ukai/internal/outcome"
	"ukai/internal/provider"
	"ukai/internal/queue"
	"ukai/internal/route"
)

// job is a leased delivery during one attempt. It is owned by one goroutine at a time: the lease loop, a lookup, a worker.
type job struct {
	d       *Dispatcher
	ctx     context.Context
	q       *queue.Delivery
	ways    *Ways
	started time.Time
	dice    uint32

	dest      *Destination
	unfound   *outcome.Outcome // the lookup failed: only a smarthost can carry it
	open      []int            // recipients that the next transaction carries
	later     []int            // recipients to be tried again another time
	done      []int            // recipients that need nothing more
	failed    []failure
	relayed   []failure // taken by a server that gives no success reports, though the sender asked for one
	tried     uint64    // egresses that refused it in this attempt
	egress    int
	preferred string // name of the egress that would be used if all ways were open
	site      *site  // whose line or connection has it
	detour    bool
	probe     bool
	noProbe   bool
	requeues  int
	next      next
}

// failure is a recipient with the outcome that decided about it.
type failure struct {
	rcpt int
	o    *outcome.Outcome
	v    classify.Verdict
}

// next is when and why to try the recipients that are left.
type next struct {
	until     time.Time // zero: by the schedule
	tag       string
	why       string // key of the message catalogue
	preferred string // name of the egress that why speaks of
	held      bool   // no way is open: not an attempt
	last      *outcome.Outcome
	verdict   classify.Verdict
}

// lookUp finds the destination, at once when it is known, else in a goroutine of its own.
func (j *job) lookUp() {
	if j.spare(); len(j.open) == 0 {
		j.settle(j.started)
		return
	}
	if dest, ok := j.d.Directory.Cached(j.q.Domain, j.started); ok {
		j.dest = dest
		j.route()
		return
	}
	j.d.running.Add(1)
	go func() {
		defer j.d.running.Done()
		j.dest, j.unfound = j.d.Directory.Find(j.ctx, j.q.Domain)
		if j.unfound != nil {
			// A smarthost may know the domain all the same: it has its own view of the DNS, and its own routes.
			j.dest = &Destination{Provider: j.q.Domain, Limits: provider.DefaultLimits}
		}
		j.route()
	}()
}

// request is what route is asked.
func (j *job) request() route.Request {
	return route.Request{
		Provider: j.dest.Provider, Sender: sender(j.q.Envelope), Account: j.q.Envelope.Account, Class: j.q.Envelope.Class,
		Tried: j.tried, Stay: j.stay(), NoProbe: j.noProbe, Dice: j.dice,
	}
}

// route asks for a way and takes it.
func (j *job) route() {
	for {
		req := j.request()
		now := time.Now()
		dec := j.ways.Table.Choose(&req, j.d.Health, now)
		if dec.Kind != route.Send {
			j.park(&dec, now)
			return
		}
		if dec.Probe && !j.d.Health.BeginProbe(health.Key{Egress: j.ways.Egresses[dec.Egress].Name, Provider: j.dest.Provider}, now) {
			j.noProbe = true // somebody else's message is the probe
			continue
		}
		j.take(&dec, now)
		return
	}
}

// take enters the line of the chosen egress's site.
func (j *job) take(dec *route.Decision, now time.Time) {
	j.egress, j.detour, j.probe = dec.Egress, dec.Detour, dec.Probe
	j.preferred = j.nameOf(dec.Preferred)
	if j.unfound != nil && j.ways.Egresses[dec.Egress].Smarthost == "" {
		j.egress = -1 // no path was used
		j.judgeAll(j.unfound, true)
		return
	}
	if dec.Detour || dec.Probe || dec.Would != dec.Egress {
		j.recordDecision(dec, now)
	}
	j.enter()
}

// enter joins the line of the chosen egress's site.
func (j *job) enter() {
	for {
		j.site = j.d.site(j)
		if j.site == nil || j.site.push(j) {
			return // nil: shutting down, the lease ends with the process
		}
	}
}

func (j *job) recordDecision(dec *route.Decision, now time.Time) {
	e := journal.Event{At: now, Msg: j.q.ID, Kind: journal.Decided, Domain: j.q.Domain, Egress: j.nameOf(dec.Egress), Provider: j.dest.Provider,
		Preferred: j.nameOf(dec.Preferred), Detour: dec.Detour, Probe: dec.Probe, Why: string(dec.Reason), Until: dec.Until}
	if dec.Would != dec.Egress {
		e.Would = j.nameOf(dec.Would)
	}
	j.d.Journal.Record(e)
}

// observe notes what act mode would have done with a refusal that a detour helps against.
func (j *job) observe(now time.Time) {
	req := j.request()
	req.Tried |= 1 << j.egress
	req.NoProbe = true
	dec := j.ways.Table.Choose(&req, j.d.Health, now)
	dec.Egress = j.egress
	j.recordDecision(&dec, now)
}

// park ends the attempt because there is no way now.
func (j *job) park(dec *route.Decision, now time.Time) {
	j.next.why = string(dec.Reason)
	j.preferred = j.nameOf(dec.Preferred)
	j.next.preferred = j.preferred
	j.next.until = dec.Until
	switch dec.Kind {
	case route.Hold:
		j.next.held = true
		j.next.tag = waitingFor(j.dest.Provider)
	case route.Slow:
		j.next.held = true // nothing was tried
		j.next.tag = j.stayTag()
	case route.None:
		j.noWay()
	}
	j.later = append(j.later, j.open...)
	j.open = nil
	j.settle(now)
}

// noWay keeps a reason for the report that ends a message which no egress may carry.
func (j *job) noWay() {
	if j.next.last != nil {
		return // an egress refused it: that is the reason
	}
	j.next.last = &outcome.Outcome{At: time.Now(), Phase: outcome.Lookup, Provider: j.dest.Provider, ErrTemporary: true,
		Err: i18n.Text(i18n.EN, j.next.why, "provider", j.dest.Provider, "egress", "-", "preferred", "-", "until", "-")}
	j.next.verdict = classify.Verdict{Class: "system_error", Blame: classify.BlameConfiguration, Scope: classify.ScopeSender, Action: classify.Retry}
}

// waitingFor is the tag of deliveries that wait for any way to a provider.
func waitingFor(provider string) string { return "path:" + provider }

// stayWith begins the tag of deliveries that were told to come back by the same way. Nobody releases it.
const stayWith = "stay:"

// stayTag returns that tag, if the delivery has it from an earlier attempt.
func (j *job) stayTag() string {
	if strings.HasPrefix(j.q.State.Tag, stayWith) {
		return j.q.State.Tag
	}
	return ""
}

// stay returns the egress by which the delivery was told to come back, as a set.
func (j *job) stay() uint64 {
	name, ok := strings.CutPrefix(j.q.State.Tag, stayWith)
	if !ok {
		return 0
	}
	for i, e := range j.ways.Egresses {
		if e.Name == name {
			return 1 << i
		}
	}
	return 0 // it is gone since
}

func (j *job) egressName() string { return j.nameOf(j.egress) }

func (j *job) nameOf(egress int) string {
	if egress < 0 {
		return ""
	}
	return j.ways.Egresses[egress].Name
}

// astray tells whether the way that was chosen has been shut while the job waited in line.
func (j *job) astray() bool {
	if j.probe || j.ways.Table.Mode == route.Observe {
		return false
	}
	p := j.d.Health.Path(j.egressName(), j.dest.Provider)
	return p.Shut()
}

// routeAgain chooses anew, with the current egresses.
func (j *job) routeAgain(ways *Ways) {
	if j.probe {
		j.d.Health.ReleaseProbe(health.Key{Egress: j.egressName(), Provider: j.dest.Provider}, time.Now()) // it was never sent
		j.probe = false
	}
	if j.ways != ways {
		j.ways, j.tried = ways, 0 // the bits mean other egresses now
	}
	j.route()
}
