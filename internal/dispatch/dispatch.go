// Package dispatch sends the mail: it leases deliveries from the queue, asks package route for a way, carries them there,
// has the outcome judged, and settles.
//
// The life of a delivery within one attempt:
//
//	lease -> look up the MX -> provider -> route -> site -> connection -> outcomes -> verdicts -> settle
//	                             ^                                                        |
//	                             +---- another egress, when a detour would help ----------+
//
// A site is one egress to one set of receiving hosts. It has a line of waiting jobs and as many connections as feedback
// allows (limiter), so that a slow destination costs its own line and nobody else's. The way is chosen when a job
// enters a site's line and looked at again before it is sent: a path that was shut in between sends its line elsewhere.
//
// Nothing is bounced for the reputation of an egress in act mode: a recipient refused for it goes out by another egress in
// the same attempt, or is held until a way opens. Everything else follows the verdict alone.
package dispatch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/queue"
	"ukai/internal/route"
	"ukai/internal/suppress"
)

// Options are the limits of a Dispatcher. Zero fields take the defaults.
type Options struct {
	Hostname string         // names ukai in reports
	Schedule queue.Schedule // when to try again
	// MaxJobs is how many deliveries are in memory at once; default 20,000. PerDomain bounds one recipient domain; default 1,000.
	MaxJobs, PerDomain int
	// MaxConnections is how many connections a site may have; default 20. A provider's or an egress's own limit goes first.
	MaxConnections int
	// KeepAlive is how long an idle connection waits for the next message; default 2 s.
	KeepAlive time.Duration
	// MaxMessages is how many messages a connection carries; default 1000. A provider's own limit goes first.
	MaxMessages int
	// Drain is how long Run waits for transactions under way when it is told to stop; default 20 s.
	Drain time.Duration
	// OnOutcome, if not nil, sees each transaction's outcome and verdict, once per group of recipients that ended alike.
	OnOutcome func(e Judged)
	// OnSettled, if not nil, sees what became of a delivery in an attempt.
	OnSettled func(s Settled)
	// ReturnPath, if not nil, gives the reverse-path with which the nth delivery of a message is sent; the envelope in the queue
	// stays as it was. It is called once per transaction, from many goroutines.
	ReturnPath func(env *mail.Envelope, n int) string
}

// Judged is an outcome with its verdict, and who wrote to whom.
type Judged struct {
	Outcome    *outcome.Outcome
	Verdict    *classify.Verdict
	Domain     string // of the recipients
	Sender     string // domain of the reverse-path; empty for a bounce
	Recipients int
}

// Settled counts the recipients of a delivery by what became of them in one attempt.
type Settled struct {
	At        time.Time
	Domain    string // of the recipients
	Sender    string // domain of the reverse-path; empty for a bounce
	Provider  string // empty: it was not looked up
	Preferred string // the egress that would have been used if all ways were open; empty: none was asked for

	Delivered, Bounced, Deferred, Held int
	Detour                             bool // the last egress was not the preferred one
}

func (o *Options) defaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.MaxJobs, 20000)
	def(&o.PerDomain, 1000)
	def(&o.MaxConnections, 20)
	def(&o.MaxMessages, 1000)
	if o.KeepAlive == 0 {
		o.KeepAlive = 2 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = 20 * time.Second
	}
}

// Parts are what a Dispatcher works with.
type Parts struct {
	Store     queue.Store
	Judge     classify.Judge
	Health    *health.Book
	Journal   *journal.Journal
	Directory *Directory
	Suppress  *suppress.Book // recipients to be spared; may be nil
	Log       *slog.Logger
}

// Ways is one consistent set of egresses and the table that chooses among them. The index of an egress is the same in both.
type Ways struct {
	Table    *route.Table
	Egresses []*Egress
}

// Dispatcher sends mail. Its lock order is: Dispatcher.mu before site.mu; neither is held across I/O.
type Dispatcher struct {
	Parts
	opts Options
	kick chan struct{} // capacity 1: room was made, lease again

	mu       sync.Mutex // guards the fields below
	ways     *Ways
	sites    map[siteKey]*site
	domains  map[string]int // jobs in memory per recipient domain
	jobs     int
	starved  bool // the last lease left out mail for want of room
	stopping bool
	running  sync.WaitGroup // connections and lookups
}

// New makes a Dispatcher; Run starts it.
func New(parts Parts, ways *Ways, opts Options) *Dispatcher {
	opts.defaults()
	return &Dispatcher{
		Parts: parts, opts: opts, ways: ways,
		kick:    make(chan struct{}, 1),
		sites:   make(map[siteKey]*site),
		domains: make(map[string]int),
	}
}

// SetWays replaces the egresses and the table, after a reload. Jobs under way finish over the connections they have; what
// waits in a line is routed again.
func (d *Dispatcher) SetWays(ways *Ways) {
	d.mu.Lock()
	d.ways = ways
	old := d.sites
	d.sites = make(map[siteKey]*site)
	d.mu.Unlock()
	for _, s := range old {
		for _, j := range s.close() {
			j.routeAgain(ways)
		}
	}
}

func (d *Dispatcher) currentWays() *Ways {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ways
}

// Run leases and sends until ctx ends, then waits up to Options.Drain for transactions under way. What was leased and not
// begun is due again when the queue is next opened.
func (d *Dispatcher) Run(ctx context.Context) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	stop := context.AfterFunc(ctx, func() { d.closeSites() })
	defer stop()
	for ctx.Err() == nil {
		n, err := d.lease(ctx, work)
		if err != nil && ctx.Err() == nil {
			d.Log.Error("queue does not hand out mail", "error", err)
		}
		if n > 0 && err == nil {
			continue
		}
		d.wait(ctx)
	}
	d.closeSites()
	return d.drain(abort)
}

// wait blocks until there may be something to lease.
func (d *Dispatcher) wait(ctx context.Context) {
	again := time.NewTimer(10 * time.Second) // a safety net: a lost wake-up costs seconds, not the mail
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-d.Store.Wake():
	case <-d.kick:
	case <-again.C:
	}
}

// lease takes what is due and there is room for, and starts it.
func (d *Dispatcher) lease(ctx, work context.Context) (int, error) {
	d.mu.Lock()
	room := d.opts.MaxJobs - d.jobs
	d.starved = room <= 0
	d.mu.Unlock()
	if room <= 0 {
		return 0, nil
	}
	batch, err := d.Store.Lease(ctx, queue.LeaseQuery{
		Now: time.Now(), Max: min(room, 256), PerDomain: min(64, d.opts.PerDomain), Skip: d.enough,
	})
	for _, q := range batch {
		d.begin(work, q)
	}
	return len(batch), err
}

// enough tells whether no more mail for domain is wanted in memory.
func (d *Dispatcher) enough(domain string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.domains[domain] < d.opts.PerDomain {
		return false
	}
	d.starved = true
	return true
}

func (d *Dispatcher) begin(work context.Context, q *queue.Delivery) {
	d.mu.Lock()
	d.jobs++
	d.domains[q.Domain]++
	ways := d.ways
	d.mu.Unlock()
	j := &job{d: d, ctx: work, q: q, ways: ways, started: time.Now(), open: q.Recipients, dice: dice(uint64(q.ID)), egress: -1}
	j.lookUp()
}

// end takes a job out of memory and makes the loop lease again when it had to leave mail out. It waits until half the room is
// free again, so that a full house does not ask the queue once per message.
func (d *Dispatcher) end(j *job) {
	d.mu.Lock()
	d.jobs--
	n := d.domains[j.q.Domain] - 1
	if n == 0 {
		delete(d.domains, j.q.Domain)
	} else {
		d.domains[j.q.Domain] = n
	}
	wake := d.starved && (n <= d.opts.PerDomain/2 || d.jobs <= d.opts.MaxJobs/2)
	if wake {
		d.starved = false
	}
	d.mu.Unlock()
	if wake {
		d.poke()
	}
}

func (d *Dispatcher) poke() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *Dispatcher) closeSites() {
	d.mu.Lock()
	d.stopping = true
	all := make([]*site, 0, len(d.sites))
	for _, s := range d.sites {
		all = append(all, s)
	}
	d.mu.Unlock()
	for _, s := range all {
		s.close() // what waited is leased still, and due again when the queue is opened
	}
}

func (d *Dispatcher) drain(abort context.CancelFunc) error {
	done := make(chan struct{})
	go func() { d.running.Wait(); close(done) }()
	limit := time.NewTimer(d.opts.Drain)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		d.Log.Warn("transactions cut off at shutdown", "after", d.opts.Drain)
		abort()
		<-done
	}
	return nil
}

// Load is how much a Dispatcher has in hand.
type Load struct {
	Jobs        int `json:"jobs"`
	Sites       int `json:"sites"`
	Connections int `json:"connections"`
}

// Load returns how much is in hand.
func (d *Dispatcher) Load() Load {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := Load{Jobs: d.jobs, Sites: len(d.sites)}
	for _, s := range d.sites {
		l.Connections += s.connections()
	}
	return l
}

// dice spreads message IDs over 32 bits: the same message always falls on the same side of a recovering path's share.
func dice(id uint64) uint32 {
	id ^= id >> 31
	id *= 0x7fb5d329728ea185 // a finaliser of the splitmix family: neighbours end far apart
	id ^= id >> 27
	id *= 0x81dadef4bc2dd44d
	return uint32(id >> 32)
}

func random() uint32 { return rand.Uint32() }
