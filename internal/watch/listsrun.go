package watch

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"ukai/internal/dns"
	"ukai/internal/dnsbl"
)

const (
	// renewEvery is how often the addresses of smarthosts are looked up anew, and an unfit resolver is tried again.
	renewEvery = 10 * time.Minute
	// confirmAfter is when a change is looked at again: just after the time that a Detector wants between two sights.
	confirmAfter = 10*time.Minute + time.Second
	// checkTime is how long all questions about one target may take.
	checkTime = time.Minute
	// firstSpread is the time over which the first questions are spread.
	firstSpread = 30 * time.Second
	// listsAtOnce is how many lists are asked about a target at a time.
	listsAtOnce = 8
	idle        = 5 * time.Second
)

func compareText(a, b string) int { return strings.Compare(a, b) }

func compareListed(a, b *Listed) int {
	return cmp.Or(a.Since.Compare(b.Since), compareText(a.Target, b.Target), compareText(a.List, b.List))
}

// clock is the time that the monitor goes by: the real one, or a faster one from its start on.
func (l *Lists) clock() time.Time {
	l.mu.Lock()
	speed := l.opts.Speed
	l.mu.Unlock()
	if speed == 1 {
		return time.Now()
	}
	return l.started.Add(time.Duration(float64(time.Since(l.started)) * speed))
}

// Run watches until ctx ends.
func (l *Lists) Run(ctx context.Context) error {
	if err := l.recall(ctx); err != nil {
		return err
	}
	defer l.shut()
	for {
		now := l.clock()
		if err := l.renew(ctx, now); err != nil {
			return err
		}
		l.retarget(ctx, now)
		wait := idle
		if l.able(ctx) {
			if t := l.due(now); t != nil {
				l.check(ctx, t)
				continue
			}
			wait = l.untilNext(now)
		}
		if !l.pause(ctx, wait) {
			return nil
		}
	}
}

// pause waits for a time of the monitor's clock, for other options, or for something to look at; false: ctx has ended.
func (l *Lists) pause(ctx context.Context, d time.Duration) bool {
	l.mu.Lock()
	d = time.Duration(float64(d) / l.opts.Speed)
	l.mu.Unlock()
	timer := time.NewTimer(max(d, 10*time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.changed:
		l.renewed = time.Time{}
	case egress := <-l.asked:
		l.lookAt(ctx, egress)
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// renew makes the engine for the options of the hour, and finds the addresses of smarthosts.
func (l *Lists) renew(ctx context.Context, now time.Time) error {
	l.mu.Lock()
	o, sick := l.opts, unfit(&l.fitness) != ""
	l.mu.Unlock()
	old := now.Sub(l.renewed) >= renewEvery
	if o.Off || !l.renewed.IsZero() && !old {
		return nil
	}
	if l.renewed.IsZero() || sick {
		if err := l.open(&o); err != nil {
			return err
		}
	}
	l.renewed = now
	if l.parts.Addrs == nil {
		return nil
	}
	for host := range o.Hosts {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		if found, err := l.parts.Addrs(ctx, host); err == nil { // else those of the last time will do
			l.hosts[host] = found
		}
		cancel()
	}
	return nil
}

// open makes the engine, and the way to the resolver.
func (l *Lists) open(o *ListsOptions) error {
	ask := o.Ask
	if ask == nil {
		l.shut()
		pipe, err := dns.NewPipe(dns.PipeOptions{Server: o.Server})
		if err != nil {
			return err
		}
		l.pipe, ask = pipe, pipe
		o.Server = pipe.Server()
	}
	e := dnsbl.New(o.Catalogue, ask, dnsbl.Options{Now: l.clock, Samples: o.Samples, Parallel: 2 * listsAtOnce})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine, l.fitness, l.opts.Server = e, dnsbl.Fitness{}, o.Server
	l.detector = dnsbl.NewDetector(dnsbl.DetectorOptions{}) // it knows lists by the rows of its catalogue
	for _, st := range l.stands {
		l.teachLocked(&st)
	}
	return nil
}

func (l *Lists) shut() {
	if l.pipe != nil {
		l.pipe.Close()
		l.pipe = nil
	}
}

// able tells whether there is something to ask about and somebody to ask. Without targets nothing is asked, the resolver's
// test included.
func (l *Lists) able(ctx context.Context) bool {
	l.mu.Lock()
	e, o, n := l.engine, l.opts, len(l.targets)
	l.mu.Unlock()
	if o.Off || e == nil || n == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	f := e.Resolver(ctx)
	f.Public = o.Catalogue.IsPublic(o.Server)
	l.mu.Lock()
	was := unfit(&l.fitness)
	l.fitness = f
	l.mu.Unlock()
	if why := unfit(&f); why != was {
		if why != "" && ctx.Err() == nil {
			l.parts.Log.Warn("blocklists cannot be asked through this resolver", "resolver", o.Server, "why", why)
		}
	}
	return f.OK()
}

// retarget makes the targets of the options: those that are gone have their listings ended.
func (l *Lists) retarget(ctx context.Context, now time.Time) {
	l.mu.Lock()
	want := l.wantedLocked()
	for name, t := range want {
		if have := l.targets[name]; have != nil {
			have.egresses = t.egresses
			continue
		}
		t.next = now.Add(time.Duration(rand.Int64N(int64(firstSpread))))
		l.targets[name] = t
	}
	var gone []string
	for name := range l.targets {
		if want[name] == nil {
			gone = append(gone, name)
			delete(l.targets, name)
		}
	}
	var ended []Listed
	for key, st := range l.stands {
		lost := want[key.Target] == nil && (len(l.opts.Hosts) == 0 || len(l.hosts) > 0) // a smarthost's may be just not found yet
		if lost || !l.opts.Off && l.opts.Catalogue.List(key.List) == nil {
			ended = append(ended, st)
			delete(l.stands, key)
		}
	}
	l.mu.Unlock()
	for _, name := range gone {
		l.detector.Forget(name)
	}
	for i := range ended {
		l.raise(ctx, &ended[i], false)
	}
}

// wantedLocked returns what is to be watched: addresses that the world can see, and domains.
func (l *Lists) wantedLocked() map[string]*listTarget {
	want := make(map[string]*listTarget)
	o := &l.opts
	if o.Off {
		return want
	}
	address := func(ip netip.Addr, egresses []string) {
		ip = ip.Unmap().WithZone("")
		if !ip.IsGlobalUnicast() || ip.IsPrivate() {
			return
		}
		t := want[ip.String()]
		if t == nil {
			t = &listTarget{Target: dnsbl.Target{IP: ip}}
			want[ip.String()] = t
		}
		for _, e := range egresses {
			if !slices.Contains(t.egresses, e) {
				t.egresses = append(t.egresses, e)
			}
		}
		slices.Sort(t.egresses)
	}
	for ip, egresses := range o.Addresses {
		address(ip, egresses)
	}
	for host, egresses := range o.Hosts {
		for _, ip := range l.hosts[host] {
			address(ip, egresses)
		}
	}
	domains := slices.Clone(o.Domains)
	if len(want) > 0 {
		domains = append(domains, o.Signed...)
	}
	for d, at := range l.senders {
		switch {
		case time.Since(at) > senderKeep:
			delete(l.senders, d)
		case len(want) > 0: // without an address that the world sees, who sends from here is nobody's business
			domains = append(domains, d)
		}
	}
	if o.Catalogue == nil || len(o.Catalogue.For(dnsbl.Domain, false)) == 0 {
		domains = nil
	}
	for _, d := range domains {
		if t, err := dnsbl.ParseTarget(d); err == nil && t.Domain != "" {
			want[t.String()] = &listTarget{Target: t}
		}
	}
	return want
}

// due returns the target whose time has come longest ago.
func (l *Lists) due(now time.Time) *listTarget {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first *listTarget
	for _, t := range l.targets {
		if !t.next.After(now) && (first == nil || t.next.Before(first.next)) {
			first = t
		}
	}
	return first
}

func (l *Lists) untilNext(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := idle
	for _, t := range l.targets {
		wait = min(wait, t.next.Sub(now))
	}
	return wait
}

// check asks all lists about a target and takes in what has become certain.
func (l *Lists) check(ctx context.Context, t *listTarget) {
	l.mu.Lock()
	e, cat := l.engine, l.opts.Catalogue
	l.mu.Unlock()
	answers := l.ask(ctx, e, cat, t.Target)
	if ctx.Err() != nil {
		return
	}
	now := l.clock()
	l.hear(answers)
	changes, outages := l.detector.Observe(now, answers)
	for i := range outages {
		o := &outages[i]
		if o.Over {
			l.parts.Log.Info("blocklist can be asked again", "list", o.List.ID)
			continue
		}
		l.parts.Log.Warn("blocklist cannot be asked", "list", o.List.ID, "zone", o.List.Shown(), "state", string(o.State), "why", string(o.Why))
	}
	for i := range changes {
		l.take(ctx, t, &changes[i])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.checked = time.Now()
	t.next = now.Add(l.intervalLocked(t))
}

// intervalLocked is when a target is asked about again: soon when a change waits to be confirmed, more often while it is listed,
// and never so often that all targets together would use more than half of what a public list allows in a day. A tenth of it
// is left to chance, so that targets do not march in step.
func (l *Lists) intervalLocked(t *listTarget) time.Duration {
	name := t.String()
	if l.detector.Pending(name) {
		return confirmAfter
	}
	d := l.opts.Every
	for key := range l.stands {
		if key.Target == name {
			d = l.opts.Every / 3
			break
		}
	}
	const half = 2500 // of the daily questions to a list whose operator does not say
	least := 24 * time.Hour * time.Duration(len(l.targets)) / half
	d = max(d, least)
	return d - d/20 + time.Duration(rand.Int64N(int64(d/10)+1))
}

// ask puts the question to every list that means something for a person. A score, a category or a good word is no listing:
// for what is raised it is the same as none.
func (l *Lists) ask(ctx context.Context, e *dnsbl.Engine, cat *dnsbl.Catalogue, t dnsbl.Target) []dnsbl.Answer {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	lists := slices.DeleteFunc(slices.Clone(cat.For(t.Kind(), false)), func(li *dnsbl.List) bool { return li.Use.Profile == dnsbl.Context })
	answers := make([]dnsbl.Answer, len(lists))
	slots := make(chan struct{}, listsAtOnce)
	var wg sync.WaitGroup
	for i := range lists {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			answers[i] = e.Ask(ctx, lists[i], t)
		})
	}
	wg.Wait()
	for i := range answers {
		if a := &answers[i]; a.State == dnsbl.Listed && !a.Accuses() {
			a.State = dnsbl.Clean
		}
	}
	return answers
}

// hear keeps which lists cannot be asked, for Status.
func (l *Lists) hear(answers []dnsbl.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range answers {
		a := &answers[i]
		key := a.List.ID + " " + string(a.Target.Kind())
		was, ok := l.mute[key]
		switch {
		case a.State.Told():
			delete(l.mute, key)
		case !ok || was.Why != string(a.Why):
			l.mute[key] = Unasked{List: a.List.ID, State: string(a.State), Why: string(a.Why), Since: time.Now()}
		}
	}
}
