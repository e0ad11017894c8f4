package route

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Mode says whether decisions are taken or only recorded.
type Mode uint8

// The modes.
const (
	Observe Mode = iota // send over the preferred way, record what act mode would have done
	Act
)

// String returns the mode's name as it stands in the configuration.
func (m Mode) String() string {
	if m == Act {
		return "act"
	}
	return "observe"
}

// MaxEgresses is how many egresses a table can have: Request.Tried has a bit for each.
const MaxEgresses = 64

// Options are the settings of a Table. A zero duration means its default.
type Options struct {
	Mode Mode
	// SlowDetour is how long a provider's pause must have grown before mail other than bulk takes a detour from it; default
	// 10 min, which takes half an hour of complaints. Negative: never.
	SlowDetour time.Duration
	// HoldMax is how long a message is held before it is looked at again, whatever the paths say; default 1 h.
	HoldMax time.Duration
	// Retry is how long a message waits that every way refused, while none of them is shut; default 5 min.
	Retry time.Duration
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.SlowDetour, 10*time.Minute)
	set(&o.HoldMax, time.Hour)
	set(&o.Retry, 5*time.Minute)
	return o
}

// Table is all that is configured about ways out. It is made by NewTable, never changed, and safe for concurrent use.
// A new configuration is a new table; egress indexes and Tried bits do not carry over.
type Table struct {
	Egresses []Egress
	Pools    []Pool
	Options

	pools     map[claim]int // who uses which pool
	enabled   uint64        // egresses that are not disabled
	providers masks         // egresses by provider
	senders   masks         // egresses by sender domain
	wild      bool          // some pool is for "*.domain"
}

// claim is who a pool is for. Empty means everybody; a domain that begins with a dot stands for all domains below it.
type claim struct{ account, domain string }

// masks is which egresses accept what.
type masks struct {
	any  uint64 // these accept everything
	some map[string]uint64
	wild bool // some has keys that begin with a dot
}

func (m *masks) add(names []string, bit uint64) {
	if len(names) == 0 || slices.Contains(names, "*") {
		m.any |= bit
		return
	}
	for _, name := range names {
		name = clean(name)
		m.some[name] |= bit
		m.wild = m.wild || name[0] == '.'
	}
}

// domain returns the egresses that accept a domain.
func (m *masks) domain(domain string) uint64 {
	all := m.any | m.some[domain]
	if !m.wild {
		return all
	}
	for i := range len(domain) {
		if domain[i] == '.' {
			all |= m.some[domain[i:]]
		}
	}
	return all
}

// NewTable checks and indexes what is configured. Without pools, one pool for everybody holds all egresses in their order.
// The error joins all that is wrong, each in words for the operator.
func NewTable(egresses []Egress, pools []Pool, o Options) (*Table, error) {
	if len(pools) == 0 {
		all := Pool{Name: "default"}
		for i := range egresses {
			all.Egresses = append(all.Egresses, i)
		}
		pools = []Pool{all}
	}
	t := &Table{Egresses: egresses, Pools: pools, Options: o.withDefaults()}
	if errs := t.check(); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	t.index()
	return t, nil
}

func (t *Table) index() {
	t.pools = make(map[claim]int)
	t.providers.some, t.senders.some = make(map[string]uint64), make(map[string]uint64)
	for i := range t.Egresses {
		e := &t.Egresses[i]
		bit := uint64(1) << i
		if !e.Disabled {
			t.enabled |= bit
		}
		t.providers.add(e.Providers, bit)
		t.senders.add(e.SenderDomains, bit)
	}
	for i := range t.Pools {
		for _, c := range t.Pools[i].claims() {
			t.pools[c] = i
			t.wild = t.wild || strings.HasPrefix(c.domain, ".")
		}
	}
}

// claims returns who a pool is for. Accounts and senders both have to fit where both are given.
func (p *Pool) claims() []claim {
	accounts, domains := p.Accounts, p.Senders
	if len(accounts) == 0 {
		accounts = []string{""}
	}
	if len(domains) == 0 || slices.Contains(domains, "*") {
		domains = []string{""}
	}
	var all []claim
	for _, a := range accounts {
		for _, d := range domains {
			all = append(all, claim{a, clean(d)})
		}
	}
	return all
}

// clean brings a domain, a pattern or a provider to the form of the index: lower case, without the dot at the end and
// without the star in front.
func clean(s string) string {
	return strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "."), "*")
}

// pool returns the pool for a message, -1 if there is none: what names the account goes before what names the sender, the
// whole domain before a pattern, a longer pattern before a shorter one.
func (t *Table) pool(account, sender string) int {
	if account != "" {
		if i := t.poolOf(account, sender); i >= 0 {
			return i
		}
	}
	return t.poolOf("", sender)
}

func (t *Table) poolOf(account, sender string) int {
	if i, ok := t.pools[claim{account, sender}]; ok {
		return i
	}
	for i := 0; t.wild && i < len(sender); i++ {
		if sender[i] != '.' {
			continue
		}
		if p, ok := t.pools[claim{account, sender[i:]}]; ok {
			return p
		}
	}
	if i, ok := t.pools[claim{account, ""}]; ok {
		return i
	}
	return -1
}
