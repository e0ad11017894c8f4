package dnsbl

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"ukai/internal/dns"
	"ukai/internal/i18n"
)

// Feed is a list's data in memory: what no public list may be asked, one's own copy of it may.
type Feed struct {
	tree   *Tree
	values []value           // by the numbers in tree and names; 0 is "not listed"
	names  map[string]uint32 // of domains
	below  map[string]uint32 // of domains whose subdomains are meant
	size   int
	at     time.Time // when the file was written
}

// value is what an entry answers.
type value struct {
	code   netip.Addr
	reason string // $ stands for the target
}

// LoadFeed reads a file. A line that cannot be read is an error with its number: a file that was cut off in transit must not
// become a list of which the half is missing.
func LoadFeed(f FeedFile) (*Feed, error) {
	st, err := os.Stat(f.Path)
	if err != nil {
		return nil, i18n.Errorf("dnsbl.feed.read", "file", f.Path, "cause", err)
	}
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, i18n.Errorf("dnsbl.feed.read", "file", f.Path, "cause", err)
	}
	feed, err := ReadFeed(f.Path, string(text), f.Format)
	if err != nil {
		return nil, err
	}
	feed.at = st.ModTime()
	return feed, nil
}

// Len returns the number of entries.
func (f *Feed) Len() int { return f.size }

// Holds tells whether an address is listed, and nothing else, as fast as it goes.
func (f *Feed) Holds(ip netip.Addr) bool { return f.tree.Find(ip) != 0 }

// Listed tells whether an address is listed, and with which code and reason.
func (f *Feed) Listed(ip netip.Addr) (code netip.Addr, reason string, ok bool) {
	n := f.tree.Find(ip)
	if n == 0 {
		return netip.Addr{}, "", false
	}
	v := f.values[n]
	return v.code, v.words(ip.String()), true
}

// Count returns how many addresses of an IPv4 range are listed.
func (f *Feed) Count(p netip.Prefix) int { return f.tree.Count(p) }

func (v value) words(target string) string {
	const dollar = "\x00"
	s := strings.ReplaceAll(v.reason, "$$", dollar)
	return strings.ReplaceAll(strings.ReplaceAll(s, "$", target), dollar, "$")
}

// domain finds a name, or the nearest name above it whose subdomains are meant (rbldnsd(8), dnset). An exclusion is a value of 0.
func (f *Feed) domain(name string) uint32 {
	if n, ok := f.names[name]; ok {
		return n
	}
	for {
		_, rest, more := strings.Cut(name, ".")
		if !more {
			return 0
		}
		if n, ok := f.below[rest]; ok {
			return n
		}
		name = rest
	}
}

// health says whether the file is fresh enough.
func (f *Feed) health(l *List, now time.Time) Health {
	h := Health{State: Clean, At: now, Untested: true}
	if now.Sub(f.at) > l.Feed.maxAge() {
		h.State, h.Why = Broken, WhyFeedOld
	}
	return h
}

func (f *Feed) answer(c *Catalogue, l *List, t Target, now time.Time) Answer {
	a := Answer{Target: t, List: l, State: Clean, Scope: l.scope(t), Severity: l.Entries.Severity, Feed: true}
	if h := f.health(l, now); !h.OK() {
		a.State, a.Why = h.State, h.Why
		return a
	}
	n := uint32(0)
	if t.IP.IsValid() {
		n = f.tree.Find(t.IP)
	} else {
		n = f.domain(t.Domain)
	}
	if n == 0 {
		return a
	}
	v := f.values[n]
	a = c.Interpret(l, t, dns.Reply{Addrs: []netip.Addr{v.code}}, nil)
	a.Feed, a.Reason = true, clean(v.words(t.String()))
	return a
}

// loadFeeds reads the files that rows name; what is wrong with any of them is an error of the catalogue.
func (c *Catalogue) loadFeeds() error {
	for _, l := range c.Lists {
		if l.Feed.Path == "" || l.feed != nil {
			continue
		}
		f, err := LoadFeed(l.Feed)
		if err != nil {
			return fmt.Errorf("%s: %w", l.ID, err)
		}
		l.feed = f
	}
	return nil
}

// FeedOf returns the data of a list that is read from a file, or nil.
func (l *List) FeedOf() *Feed { return l.feed }

// Format is how a file writes down what is listed.
type Format string

// The formats. Those of rbldnsd are what most lists offer by rsync.
const (
	IP4Set  Format = "ip4set"  // rbldnsd(8): addresses, prefixes, ranges, each with or without answer and reason
	IP4Trie Format = "ip4trie" // rbldnsd(8): CIDR only; here also of IPv6 (ip6trie)
	DNSet   Format = "dnset"   // rbldnsd(8): domains, "." or "*." in front for what is below
	CIDR    Format = "cidr"    // one address or prefix a line, anything behind it is a remark
	JSON    Format = "json"    // a JSON object a line, with "cidr"
)

var formats = []Format{IP4Set, IP4Trie, DNSet, CIDR, JSON}

// ReadFeed reads a feed; name stands for it in errors.
func ReadFeed(name, text string, format Format) (*Feed, error) {
	if !slices.Contains(formats, format) {
		return nil, i18n.Errorf("dnsbl.file.format", "value", string(format))
	}
	r := feedReader{format: format, feed: &Feed{names: map[string]uint32{}, below: map[string]uint32{}, values: make([]value, 1)}, known: map[value]uint32{}}
	r.scope = value{code: listed4}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if !r.line(strings.TrimSpace(line)) {
			return nil, i18n.Errorf("dnsbl.feed.line", "file", name, "line", number, "text", excerpt(line), "format", string(format))
		}
	}
	if r.feed.size == 0 {
		return nil, i18n.Errorf("dnsbl.feed.empty", "file", name)
	}
	r.feed.tree = r.plant.Tree()
	return r.feed, nil
}

func excerpt(line string) string {
	line = clean(line)
	if r := []rune(line); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return line
}
