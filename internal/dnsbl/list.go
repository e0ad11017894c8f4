package dnsbl

import (
	"net/netip"
	"strings"
	"time"
)

// Profile says when a list is asked.
type Profile string

// The profiles.
const (
	Core     Profile = "core"     // always; a verdict of "clean" needs its answer
	Extended Profile = "extended" // always, with a low weight
	OptIn    Profile = "optin"    // when there is a key
	Context  Profile = "info"     // always, as context
	Off      Profile = "off"      // only when asked for
)

// Kind is the sort of things that a list is asked about.
type Kind string

// The kinds.
const (
	IP4    Kind = "ip4"
	IP6    Kind = "ip6"
	Domain Kind = "domain"
)

// List is one row of the catalogue: one zone and what is known of it.
type List struct {
	ID   string `toml:"id"`
	Name string `toml:"name"`
	Zone string `toml:"zone"`
	// KeyedZone is the zone for owners of a key, with {key} in the place of it.
	KeyedZone string `toml:"keyed_zone"`
	// Own is a mirror of one's own: there is no budget, and ranges may be swept. Feed is a file with the data itself.
	Own  bool     `toml:"own"`
	Feed FeedFile `toml:"feed"`

	Entries Entries `toml:"entries"`
	Use     Use     `toml:"use"`
	Test    Test    `toml:"test"`
	Delist  Delist  `toml:"delist"`
	About   About   `toml:"about"`

	codes codeTable
	key   string
	feed  *Feed
}

// Entries says what a list holds and how it says it.
type Entries struct {
	Lists    []Kind   `toml:"lists"`
	Scope    Scope    `toml:"scope"`    // of codes that do not say; default ip, or domain
	Severity Severity `toml:"severity"` // likewise; default block
	// Names: "host" when host names may be asked about, "registrable" when only the registrable domain is listed (the default).
	Names string `toml:"names"`
	// Unknown is what a code means that is not in the table: "listed" (the default, RFC 5782, section 2.1) or "error".
	Unknown string `toml:"unknown"`
	Codes   []Code `toml:"codes"`
}

// Code is one return code, or some, and what it means.
type Code struct {
	// Code is "127.0.0.2", or has a range in an octet ("127.0.4.0-100"), or any value in it ("127.0.x.3"), or is one bit of the
	// last octet ("bit 64"), or a response code of the DNS ("REFUSED").
	Code     string   `toml:"code"`
	Meaning  string   `toml:"meaning"`
	Scope    Scope    `toml:"scope"`
	Severity Severity `toml:"severity"`
	// State makes the code an error: refused, resolver_unfit or broken; or clean: an answer that is no listing.
	State State `toml:"state"`
	Why   Why   `toml:"why"`
	// Who may ask for the removal, where it differs from the list's.
	Who string `toml:"who"`
}

// Use says how a list may be used.
type Use struct {
	Profile Profile `toml:"profile"`
	// Weight is how much a listing matters: 0 nothing, 1 little, 3 some, 6 much, 10 most receivers look here.
	Weight int `toml:"weight"`
	// Rate is queries per second, Daily queries per day; 0: the default of a public list (10 and 5,000). Lists of our own have none.
	Rate  float64 `toml:"rate"`
	Daily int     `toml:"daily"`
	// Sample: a few neighbours may be asked about. Never a whole range.
	Sample bool     `toml:"sample"`
	Limit  string   `toml:"limit"` // what the operator says, in words
	Key    string   `toml:"key"`   // whether a key or a registration is needed, in words
	UsedBy []string `toml:"used_by"`
	// Providers are the IDs (package provider) of those of them that are known to refuse what the list names: a listing shuts the
	// paths to them.
	Providers []string `toml:"providers"`
	Note      string   `toml:"note"`
}

// Test are the entries by which a list is tested (RFC 5782, section 5).
type Test struct {
	// Listed and Unlisted are 127.0.0.2 and 127.0.0.1, or for a list of domains TEST and INVALID, where nothing is said.
	Listed   string `toml:"listed"`
	Unlisted string `toml:"unlisted"`
	// None: there are no test entries; only "lists the world" can be found out.
	None bool `toml:"none"`
	// Bogons: addresses that nobody can have are rightly listed.
	Bogons bool   `toml:"bogons"`
	Note   string `toml:"note"`
}

// Delist says how an entry is taken out.
type Delist struct {
	URL    string `toml:"url"`
	Method string `toml:"method"`
	// Who may ask: owner (whoever runs the address), network (only the network owner), wait (nobody: it ends by itself),
	// or empty: not known.
	Who    string `toml:"who"`
	Expiry string `toml:"expiry"`
	// Hours is how long an answer takes, or an entry that nobody can ask about stands, as far as Method and Expiry say so; 0: they do not.
	Hours int `toml:"hours"`
	// Pay is how money comes in; the advice is always not to pay.
	Pay    string `toml:"pay"`
	Advice string `toml:"advice"`
}

// About says where the facts come from.
type About struct {
	Operator   string   `toml:"operator"`
	Status     string   `toml:"status"` // alive, dead, unknown, merged
	Seen       string   `toml:"seen"`
	Evidence   string   `toml:"evidence"`
	Sources    []string `toml:"sources"`
	Confidence string   `toml:"confidence"` // high, medium, low
	Aliases    []string `toml:"aliases"`
	Note       string   `toml:"note"`
}

// FeedFile names a file with a list's data.
type FeedFile struct {
	Path string `toml:"path"`
	// Format is ip4set, ip4trie, dnset, cidr or json; see Format.
	Format Format `toml:"format"`
	// MaxAge is after how many hours the file is too old to be believed; 0: 48.
	MaxAge int `toml:"max_age_hours"`
}

func (f FeedFile) maxAge() time.Duration {
	if f.MaxAge <= 0 {
		return 48 * time.Hour
	}
	return time.Duration(f.MaxAge) * time.Hour
}

// Holds tells whether the list has entries of a kind.
func (l *List) Holds(k Kind) bool {
	for _, have := range l.Entries.Lists {
		if have == k {
			return true
		}
	}
	return false
}

// Dead tells whether the list is no more. Such rows stay in the catalogue so that somebody who asks finds out.
func (l *List) Dead() bool { return l.About.Status == "dead" }

// SetKey makes the list be asked at its keyed zone.
func (l *List) SetKey(key string) { l.key = key }

// usable tells whether the list can be asked at all: a zone that has only a keyed form needs the key.
func (l *List) usable() bool {
	return l.Feed.Path != "" || l.Zone != "" && !l.needsKey() || l.key != ""
}

func (l *List) needsKey() bool { return l.Use.Profile == OptIn && l.KeyedZone != "" }

// zone is what is put behind a name in a question.
func (l *List) zone() string {
	if l.key != "" && l.KeyedZone != "" {
		return strings.ReplaceAll(l.KeyedZone, "{key}", l.key)
	}
	return l.Zone
}

// Shown is the zone for human eyes and for logs: a key is never shown.
func (l *List) Shown() string {
	if l.key != "" && l.KeyedZone != "" {
		return strings.ReplaceAll(l.KeyedZone, "{key}", "***")
	}
	return l.Zone
}

// mask takes the key out of a text that came from outside: some lists repeat the question in their reason.
func (l *List) mask(text string) string {
	if l.key == "" {
		return text
	}
	return strings.ReplaceAll(text, l.key, "***")
}

// loopback is the block in which all codes lie (RFC 5782, section 2.1).
var loopback = netip.MustParsePrefix("127.0.0.0/8")
