package health

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"ukai/internal/i18n"
)

// Options are the settings of a Book. The zero value means the defaults.
type Options struct {
	Thresholds Thresholds
	// Sources tells for each egress that sends from addresses of its own where these lie. It finds the siblings of a
	// verdict on a whole range, and the egresses that a listing names. A smarthost has none.
	Sources map[string]Source
	// MaxPaths bounds how many paths are kept; 0: 20,000. When it is reached, the healthy path that has been idle longest
	// is forgotten; its only loss is today's count for the warm-up budget.
	MaxPaths int
	// Idle is how long a healthy path is kept without mail; 0: 48 h. It is at least 24 h, for the count of the day.
	Idle time.Duration
	// SaveEvery is how often Run saves what changed; 0: 5 s. A change of state is saved at once.
	SaveEvery time.Duration
	// OnChange is called with every change, one at a time, for one path in the order in which they happened. It runs in the
	// goroutine of a caller of the Book, which it holds up: it must be quick. It may call the Book.
	OnChange func(Change)
	// Rand returns numbers in [0, 1) for jitter; nil: math/rand/v2. It must be safe for concurrent use.
	Rand func() float64
}

// Thresholds are the numbers by which paths move. A zero field means its default.
type Thresholds struct {
	// Window is how far back refusals and acceptances are weighed, and how long a suspect path must stay without a refusal
	// to be healthy again; default 10 min. Longer: fewer false blocks on providers that get little mail.
	Window time.Duration
	// Recent is how many outcomes are weighed at most; default 20. It keeps a busy path, with thousands of messages taken in
	// the window, from having to collect thousands of refusals first.
	Recent int
	// BlockCount and BlockPercent block a path when that many refusals lie in the window and are that share of its outcomes;
	// default 3 and 50. A temporary refusal counts half in both.
	BlockCount, BlockPercent int
	// BlockRun blocks a path after that many refusals without one acceptance between them, however slowly they come, each at
	// most RunGap after the one before; default 4 and 24 h. It is for paths with little mail, and for the quick end on busy ones.
	BlockRun int
	RunGap   time.Duration

	// ProbeFirst is when the first probe goes out after a block, give or take a fifth; each refused probe doubles the wait,
	// up to ProbeMax; default 1 min and 1 h. A path with a standing listing is probed every ProbeMax.
	ProbeFirst, ProbeMax time.Duration
	// ProbeGood is how many good probes in a row let a path recover, ProbeGap apart; default 2 and 15 s.
	ProbeGood int
	ProbeGap  time.Duration
	// ProbeLease is when a probe without an outcome is given up; default 15 min: more than the longest wait for a reply
	// that RFC 5321, section 4.5.3.2.6 asks for.
	ProbeLease time.Duration

	// RecoverFrom is the divisor of the first share of a recovering path; default 16, a sixteenth of its traffic. The share
	// doubles after each RecoverWindow (default 10 min) without a refusal; one refusal blocks the path again.
	RecoverFrom   int
	RecoverWindow time.Duration

	// SlowFirst is the first pause after the provider said that mail comes too fast, give or take a fifth; it doubles up to
	// SlowMax; default 30 s and 15 min.
	SlowFirst, SlowMax time.Duration
}

// Source is where the mail of an egress comes from.
type Source struct {
	Addrs []netip.Addr
	// Networks are those that Addrs lie in, as far as receivers judge them as one; empty: the /24 of an IPv4 address and
	// the /48 of an IPv6 address.
	Networks []netip.Prefix
}

func withDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (t Thresholds) withDefaults() Thresholds {
	t.Window = withDefault(t.Window, 10*time.Minute)
	t.Recent = withDefault(t.Recent, 20)
	t.BlockCount = withDefault(t.BlockCount, 3)
	t.BlockPercent = withDefault(t.BlockPercent, 50)
	t.BlockRun = withDefault(t.BlockRun, 4)
	t.RunGap = withDefault(t.RunGap, 24*time.Hour)
	t.ProbeFirst = withDefault(t.ProbeFirst, time.Minute)
	t.ProbeMax = withDefault(t.ProbeMax, time.Hour)
	t.ProbeGood = withDefault(t.ProbeGood, 2)
	t.ProbeGap = withDefault(t.ProbeGap, 15*time.Second)
	t.ProbeLease = withDefault(t.ProbeLease, 15*time.Minute)
	t.RecoverFrom = withDefault(t.RecoverFrom, 16)
	t.RecoverWindow = withDefault(t.RecoverWindow, 10*time.Minute)
	t.SlowFirst = withDefault(t.SlowFirst, 30*time.Second)
	t.SlowMax = withDefault(t.SlowMax, 15*time.Minute)
	return t
}

func (o Options) withDefaults() Options {
	o.Thresholds = o.Thresholds.withDefaults()
	o.MaxPaths = withDefault(o.MaxPaths, 20000)
	o.Idle = max(withDefault(o.Idle, 48*time.Hour), 24*time.Hour)
	o.SaveEvery = withDefault(o.SaveEvery, 5*time.Second)
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// Validate returns what is wrong with the settings, one error for each, in words for the operator. Names are those of the fields.
func (t Thresholds) Validate() []error {
	t = t.withDefaults()
	var all []error
	bounds := func(name string, v, least, most int) {
		if v < least || v > most {
			all = append(all, i18n.Errorf("health.option.number", "name", name, "value", v, "least", least, "most", most))
		}
	}
	positive := func(name string, d time.Duration) {
		if d < 0 {
			all = append(all, i18n.Errorf("health.option.negative", "name", name))
		}
	}
	ordered := func(name, than string, d, first time.Duration) {
		if d < first {
			all = append(all, i18n.Errorf("health.option.order", "name", name, "value", d, "than", than, "first", first))
		}
	}
	bounds("recent", t.Recent, 1, 1000)
	bounds("block_count", t.BlockCount, 1, t.Recent)
	bounds("block_percent", t.BlockPercent, 1, 100)
	bounds("block_run", t.BlockRun, 1, 1000)
	bounds("probe_good", t.ProbeGood, 1, 100)
	bounds("recover_from", t.RecoverFrom, 1, 1<<16)
	positive("window", t.Window)
	positive("run_gap", t.RunGap)
	positive("probe_first", t.ProbeFirst)
	positive("probe_gap", t.ProbeGap)
	positive("probe_lease", t.ProbeLease)
	positive("recover_window", t.RecoverWindow)
	positive("slow_first", t.SlowFirst)
	ordered("probe_max", "probe_first", t.ProbeMax, t.ProbeFirst)
	ordered("slow_max", "slow_first", t.SlowMax, t.SlowFirst)
	return all
}

// rules is what judges evidence: the thresholds and what follows from the sources. It is replaced as a whole.
type rules struct {
	Thresholds
	rand     func() float64
	sources  map[string]Source
	siblings map[string][]string // egresses in the network of an egress
}

func newRules(o *Options) *rules {
	r := &rules{Thresholds: o.Thresholds, rand: o.Rand, sources: o.Sources, siblings: make(map[string][]string)}
	for name, src := range o.Sources {
		for _, other := range sortedNames(o.Sources) {
			if other != name && src.covers(o.Sources[other].Addrs) {
				r.siblings[name] = append(r.siblings[name], other)
			}
		}
	}
	return r
}

// near returns the egresses that a verdict on a whole range means besides the one that was refused: those in its network. A
// server that is no egress has no source here; then the address that the refusal names tells which network it is.
func (r *rules) near(ev *Evidence) []string {
	if _, ok := r.sources[ev.Key.Egress]; ok || !ev.Verdict.IP.IsValid() {
		return r.siblings[ev.Key.Egress]
	}
	refused := Source{Addrs: []netip.Addr{ev.Verdict.IP}}
	var all []string
	for _, name := range sortedNames(r.sources) {
		if refused.covers(r.sources[name].Addrs) {
			all = append(all, name)
		}
	}
	return all
}

// covers tells whether one of addrs lies in a network of s.
func (s Source) covers(addrs []netip.Addr) bool {
	for _, network := range s.networks() {
		for _, a := range addrs {
			if network.Contains(a.Unmap()) {
				return true
			}
		}
	}
	return false
}

func (s Source) networks() []netip.Prefix {
	if len(s.Networks) > 0 {
		return s.Networks
	}
	var all []netip.Prefix
	for _, a := range s.Addrs {
		bits := 48
		if a = a.Unmap(); a.Is4() {
			bits = 24
		}
		if p, err := a.Prefix(bits); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// jitter spreads d by a fifth to either side, so that paths which were shut together do not knock together.
func (r *rules) jitter(d time.Duration) time.Duration {
	fifth := d / 5
	return d - fifth + time.Duration(r.rand()*float64(2*fifth))
}

// grown returns first doubled n times, at most limit.
func grown(first, limit time.Duration, n int) time.Duration {
	d := first
	for ; n > 0 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}
