package provider

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Type says what a provider does with mail.
type Type string

// The types of provider.
const (
	Mailbox           Type = "mailbox"
	ISP               Type = "isp"
	Telco             Type = "telco"
	Hosting           Type = "hosting"
	Gateway           Type = "gateway"            // filters for mailboxes that lie elsewhere
	OutboundGateway   Type = "outbound-gateway"   // only sends: seen in SPF, never as an MX
	ReputationService Type = "reputation-service" // never an MX; its name stands in the replies of others
)

// Row is one row of the catalogue. It is never changed after it was loaded.
type Row struct {
	ID string `toml:"id"`
	// Provider is the ID of its paths; rows that share it decide together. Empty in the file means the row's own ID.
	Provider ID `toml:"provider"`
	// Separate rows gather companies that do not decide together: each has the registrable domain of its suffix as ID.
	Separate bool   `toml:"separate"`
	Name     string `toml:"name"`
	Country  string `toml:"country"`
	Type     Type   `toml:"type"`
	Names
	Care
	Origin
	Limits   Limits    `toml:"limits"`
	Refusals []Refusal `toml:"refusals"`
}

// Names is how a row is recognised.
type Names struct {
	MX          []string `toml:"mx"`          // suffixes of MX hosts
	Hosts       []string `toml:"hosts"`       // examples of MX hosts
	Placeholder []string `toml:"placeholder"` // suffixes of MX hosts behind which nobody receives
	Domains     []string `toml:"domains"`     // recipient domains of consumers; "*.example.org" covers subdomains
	SPF         []string `toml:"spf"`         // SPF includes
}

// Care is what a sender should know and where to turn.
type Care struct {
	Requirements   []string `toml:"requirements"`
	Postmaster     []string `toml:"postmaster"` // pages
	Feedback       string   `toml:"feedback"`   // feedback loop
	Notes          []string `toml:"notes"`
	Delist         Delist   `toml:"delist"`
	ReputationTool Tool     `toml:"reputation_tool"`
	TLS            TLS      `toml:"tls"`
}

// Delist says where one asks to be let in again.
type Delist struct {
	URL  string `toml:"url"`
	Who  string `toml:"who"`
	For  string `toml:"for"`
	Also string `toml:"also"`
	Note string `toml:"note"`
	// Hours is how long an answer takes as far as the words above say so; 0: they do not.
	Hours int `toml:"hours"`
}

// Tool is a provider's page about the reputation of senders.
type Tool struct {
	Name string `toml:"name"`
	URL  string `toml:"url"`
	API  string `toml:"api"`
}

// TLS is what is known of a provider's transport security.
type TLS struct {
	MTASTS   string `toml:"mta_sts"`
	DANE     string `toml:"dane"`
	TLSRPT   bool   `toml:"tlsrpt"`
	StartTLS bool   `toml:"starttls"`
	Required bool   `toml:"required"` // senders without TLS are refused
}

// Origin says how far a row can be believed.
type Origin struct {
	Confidence string   `toml:"confidence"` // high, medium, low
	Sources    []string `toml:"sources"`    // keys of Catalogue.Sources
}

// Refusal is the key of a reply and the class that package classify finds in it.
type Refusal struct {
	Class string `toml:"class"`
	Reply string `toml:"reply"`
}

// Limits is how much a provider takes at once. Zero means that nothing is known; Catalogue.Limits fills in the defaults.
type Limits struct {
	MaxConns       int     `toml:"connections"` // at the same time
	MaxMsgsPerConn int     `toml:"messages"`    // per connection
	PerSecond      float64 `toml:"per_second"`  // messages per second; 0: no limit
	TLS            bool    `toml:"tls"`         // it speaks TLS for certain: plain text is not to be tried
	Basis          string  `toml:"basis"`       // who chose the numbers
	Published      string  `toml:"published"`   // what the provider itself says
}

// DefaultLimits are kept to where the catalogue says nothing: as many connections as Postfix opens to one destination.
var DefaultLimits = Limits{MaxConns: 20, MaxMsgsPerConn: 100}

// Source is where a fact of the catalogue comes from.
type Source struct {
	Ref  string `toml:"ref"`
	Date string `toml:"date"`
}

// Catalogue is all rows with their indexes. It is immutable and safe for concurrent use.
type Catalogue struct {
	AsOf    string // date of the facts
	Sources map[string]Source

	rows         []*Row
	byID         map[string]*Row
	paths        map[ID]Limits
	suffixes     map[string]suffix
	domains      map[string]*Row
	requirements map[string]string
}

type suffix struct {
	row         *Row
	text        string
	id          ID
	placeholder bool
}

//go:embed catalogue.toml
var embedded []byte

var load = sync.OnceValues(func() (*Catalogue, error) { return new(Catalogue).With("catalogue.toml", embedded) })

// Load returns the embedded catalogue. It fails only when that file is broken, which a test rules out.
func Load() (*Catalogue, error) { return load() }

// LoadFile returns the embedded catalogue with the rows of a file added to it: see With.
func LoadFile(path string) (*Catalogue, error) {
	c, err := Load()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read provider catalogue: %w", err)
	}
	return c.With(path, b)
}

// Get returns the row with an id.
func (c *Catalogue) Get(id string) (*Row, bool) {
	r, ok := c.byID[id]
	return r, ok
}

// All returns every row in the order of the file. The slice is the catalogue's own: it is not to be changed.
func (c *Catalogue) All() []*Row { return c.rows }

// Rows returns the rows that share a path's ID.
func (c *Catalogue) Rows(id ID) []*Row {
	var rows []*Row
	for _, r := range c.rows {
		if r.Provider == id {
			rows = append(rows, r)
		}
	}
	return rows
}

// Limits returns what to keep to on the paths of a provider: the strictest of its rows, DefaultLimits where nothing is known.
func (c *Catalogue) Limits(id ID) Limits {
	if l, ok := c.paths[id]; ok {
		return l
	}
	return DefaultLimits
}

// Name returns what people call a provider: the names of its rows without what they have in brackets, at most two; id itself for
// one that the catalogue does not know.
func (c *Catalogue) Name(id ID) string {
	var names []string
	for _, r := range c.Rows(id) {
		short, _, _ := strings.Cut(r.Name, " (")
		if !r.Separate && len(names) < 2 && !slices.Contains(names, short) {
			names = append(names, short)
		}
	}
	if len(names) == 0 {
		return id
	}
	return strings.Join(names, " / ")
}
