// Package rehearse plays an incident on loopback against a real ukai: the fire drill.
//
// Nobody can wait for the day on which Google refuses an address, and nobody may try it out on Google. So a scenario tells
// the day as a file: who writes how much to whom, which providers there are, what each of them does when. The providers, the
// name server and the people who write are simulated (package peersim); the ukai in the middle is the real one, built from the
// same parts that serve runs, and its clean relay is a second one, reached over TLS with a password. Only its clock is
// another: the thresholds of health and the retry schedule are divided by the speed of the story, so that a morning passes in
// half a minute. The mail itself is as fast as it is.
//
// What happened to every message is not asked of ukai but of the receivers, who write down each delivery with a digest of the
// content. A report therefore says which messages arrived, twice, changed, or not at all; and a scenario says which report it
// expects.
//
// Nothing leaves the machine: every address is a loopback one, and a scenario that names another is refused.
package rehearse

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"ukai/internal/health"
	"ukai/internal/i18n"
)

// Options are what a rehearsal gets besides its scenario. The zero value will do.
type Options struct {
	Lang i18n.Lang // of Entry.Text
	// Scale multiplies the rates of the traffic; 0 means 1. With less mail the shares that a scenario expects may not hold.
	Scale float64
	// Keep leaves the data directory where it is. Report.Settings then names a file with which a ukai can serve on it.
	Keep bool
	// Tell is told each Entry as it happens, and Watch ten times a second how things stand. Both are called from one goroutine
	// at a time and must not block.
	Tell  func(Entry)
	Watch func(Board)
	// Stay, if not nil, is called when the report is written and everything still runs; what it waits for is waited for.
	Stay func(*Report)
}

// Board is how things stand at a moment.
type Board struct {
	Clock   string // time of day in the story
	Rows    []Row
	Waiting int // messages in the queue
}

// Row is how things stand with one simulated provider.
type Row struct {
	Label string
	State health.State // of the worst of the preferred egress's paths to it
	Counts
}

// play is one rehearsal.
type play struct {
	*stage
	opts  Options
	began time.Time

	mu      sync.Mutex // guards the fields below, and calls of Tell and Watch
	entries []Entry
	told    map[string]bool
	most    int
}

// Run plays a scenario. The report tells whether the expectations hold; an error is what kept it from being played to its end.
func Run(ctx context.Context, s *Scenario, o Options) (*Report, error) {
	if o.Scale <= 0 {
		o.Scale = 1
	}
	dir, err := os.MkdirTemp("", "ukai-") // a short name: it goes into that of a socket
	if err != nil {
		return nil, i18n.Errorf("rehearse.dir", "cause", err)
	}
	if !o.Keep {
		defer os.RemoveAll(dir) //nolint:errcheck // what is left in a directory for temporary files is somebody else's to remove
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := &play{opts: o, told: map[string]bool{}, stage: &stage{
		s: s, relays: map[string]*node{}, providerOf: map[string]string{}, idOf: map[string]string{}, current: map[string][]Rule{},
	}}
	p.watch = newWatcher(s.Egresses[0].source.String(), p.moved)
	defer p.tearDown()
	if err := p.setUp(ctx, dir, stop); err != nil {
		return nil, explain(err)
	}
	r, err := p.run(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	if o.Keep {
		if r.Settings, err = p.keep(dir); err != nil {
			return nil, err
		}
	}
	if o.Stay != nil {
		o.Stay(r)
	}
	return r, nil
}

// run plays the story and writes the report.
func (p *play) run(ctx context.Context) (*Report, error) {
	p.began = time.Now()
	p.w.Begin()
	watching, enough := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { p.look(watching) })
	defer watcher.Wait()
	defer enough()

	sending, quiet := context.WithCancel(ctx)
	defer quiet()
	wait := p.send(sending, p.opts.Scale)
	err := p.steps(ctx)
	if err == nil {
		p.until(ctx, p.returned)
		p.until(ctx, func() bool { return time.Since(p.began) > p.real(p.lastStep())+aftermath })
	}
	quiet()
	all, err2 := wait()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	p.until(ctx, func() bool { return p.empty(ctx) })
	p.settle(ctx)
	enough()
	watcher.Wait()
	r := &Report{Scenario: p.s.Name, Speed: p.s.Speed, Steps: p.entries, MostWaiting: p.most}
	if err := errors.Join(p.people(ctx, r), p.account(ctx, r, all)); err != nil {
		return nil, err
	}
	r.Wall = ms(time.Since(p.began))
	p.s.judge(r)
	return r, nil
}

// aftermath is how long mail flows at least behind the last step.
const aftermath = time.Second

func (p *play) lastStep() time.Duration {
	if n := len(p.s.Steps); n > 0 {
		return p.s.Steps[n-1].at
	}
	return 0
}

// real returns how long a time of the story really takes.
func (p *play) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / p.s.Speed)
}

// steps plays the steps, each at its time.
func (p *play) steps(ctx context.Context) error {
	for i := range p.s.Steps {
		step := &p.s.Steps[i]
		t := time.NewTimer(time.Until(p.began.Add(p.real(step.at))))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		p.tell(Entry{Name: step.Name, Text: step.Text.In(p.opts.Lang)})
		if err := p.do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// until waits until done says so, or patience is at an end.
func (p *play) until(ctx context.Context, done func() bool) {
	limit := time.NewTimer(p.real(p.s.patience))
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			return
		case <-tick.C:
		}
	}
}

// empty tells whether every queue is.
func (p *play) empty(ctx context.Context) bool {
	for _, n := range p.nodes {
		if n.app == nil {
			continue
		}
		st, err := n.client.Status(ctx)
		if err != nil || st.Queue.Messages > 0 {
			return false
		}
	}
	return true
}

// tell writes down what happens.
func (p *play) tell(e Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.Real = time.Since(p.began)
	e.At = p.s.clock(time.Duration(float64(e.Real) * p.s.Speed))
	p.entries = append(p.entries, e)
	if p.opts.Tell != nil {
		p.opts.Tell(e)
	}
}

// moved tells of a path. Probes go to and fro too often to be told.
func (p *play) moved(c health.Change) {
	if c.From == c.To || c.To == health.Probing || c.From == health.Probing && c.To == health.Blocked {
		return
	}
	if p.providerOf[c.Key.Provider] == "" {
		return
	}
	key := "rehearse.path." + c.To.String()
	switch c.Why {
	case "health.why.range":
		key = "rehearse.path.range"
	case "health.why.clean_window":
		key = "rehearse.path.clean"
	}
	if c.To == health.Suspect || c.From == health.Suspect && c.To == health.Healthy {
		if p.again(key + " " + c.Key.Egress + " " + c.Key.Provider) {
			return
		}
	}
	p.tell(Entry{Name: "path", Text: i18n.Text(p.opts.Lang, key, "egress", c.Key.Egress, "provider", c.Key.Provider)})
}

// again tells whether something was told before: doubt comes and goes.
func (p *play) again(what string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.told[what]
	p.told[what] = true
	return was
}

// look shows how things stand, until ctx ends.
func (p *play) look(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		st, err := p.main.client.Status(ctx)
		if err != nil {
			continue
		}
		b := p.board(st.Queue.Messages)
		p.mu.Lock()
		p.most = max(p.most, b.Waiting)
		if p.opts.Watch != nil {
			p.opts.Watch(b)
		}
		p.mu.Unlock()
	}
}

func (p *play) board(waiting int) Board {
	b := Board{Clock: p.s.clock(p.w.Elapsed()), Waiting: waiting}
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	tracks := p.watch.tracksLocked()
	for i := range p.s.Providers {
		pr := &p.s.Providers[i]
		row := Row{Label: pr.Label}
		if c := p.watch.counts[pr.Name]; c != nil {
			row.Counts = *c
		}
		for key, t := range tracks {
			if key.Egress == p.s.Egresses[0].Name && p.providerOf[key.Provider] == pr.Name && t.state != health.Healthy {
				row.State = t.state
			}
		}
		b.Rows = append(b.Rows, row)
	}
	return b
}
