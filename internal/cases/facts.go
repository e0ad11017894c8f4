package cases

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"ukai/internal/dnsbl"
	"ukai/internal/provider"
)

// Who may ask.
const (
	Owner   = "owner"   // whoever runs the address
	Network = "network" // only the owner of the network
	Wait    = "wait"    // nobody: it ends by itself
	Depends = "depends" // it depends on the kind of the entry, which the list's page tells
)

// ownTerm is when we look again where nobody has said how long an answer takes.
const ownTerm = 72 * time.Hour

// Facts are what the catalogues know about the door that a case has to go through.
type Facts struct {
	Known bool   `json:"known"` // a catalogue has a row for it
	Name  string `json:"name"`
	// Who may ask: Owner, Network, Wait, Depends; empty: not known. Terms are the catalogue's words about it, in English.
	Who   string `json:"who,omitempty"`
	Terms string `json:"terms,omitempty"`
	// Form is what the form or the reader wants, in the catalogue's words, and Also what else is to be done there.
	Form string `json:"form,omitempty"`
	Also string `json:"also,omitempty"`
	// Pages are where to ask, the first one first, and where to look. Contact is a door that is no page ("mailto:...", words).
	Pages   []string `json:"pages,omitempty"`
	Contact string   `json:"contact,omitempty"`
	// Term is after how long to look again, and Told that the catalogue says so; Expiry is what it says of the end of entries.
	Term   time.Duration `json:"term_ns"`
	Told   bool          `json:"told,omitempty"`
	Expiry string        `json:"expiry,omitempty"`
	Pay    string        `json:"pay,omitempty"` // how money comes in; empty: nobody asks for any
	// Confidence (high, medium, low) and Date say how far these facts can be trusted.
	Confidence string `json:"confidence,omitempty"`
	Date       string `json:"date,omitempty"`
}

// terms returns what of the Facts decides about the state of a case: who may ask, and after how long to look again.
func (k *Catalogues) terms(c *Case) (who string, term time.Duration) {
	if c.Key.Kind == Block {
		f := k.block(c.Key.Name)
		return f.Who, f.Term
	}
	l := k.Lists.List(c.Key.Name) // the key holds the id
	if l == nil {
		return "", ownTerm
	}
	if term = time.Duration(l.Delist.Hours) * time.Hour; term == 0 {
		term = ownTerm
	}
	return whoMay(l, c.Key.Place, &c.About.Listed), term
}

// Catalogues are where facts come from.
type Catalogues struct {
	Lists     *dnsbl.Catalogue
	Providers *provider.Catalogue
}

// Facts returns what is known about the door of a case.
func (k *Catalogues) Facts(c *Case) Facts {
	if c.Key.Kind == Listing {
		return k.listing(c.Key, &c.About.Listed)
	}
	return k.block(c.Key.Name)
}

// List finds the row of a list by what somebody calls it: its id, its zone, or its name.
func (k *Catalogues) List(name string) *dnsbl.List {
	if l := k.Lists.List(name); l != nil {
		return l
	}
	id := slug(name)
	if l := k.Lists.List(id); l != nil {
		return l
	}
	for _, kind := range []dnsbl.Kind{dnsbl.IP4, dnsbl.IP6, dnsbl.Domain} {
		for _, l := range k.Lists.For(kind, true) {
			if strings.EqualFold(l.Name, name) {
				return l
			}
		}
	}
	return nil
}

// slug brings a list's name into the form of ids: "Spamhaus PBL" is "spamhaus-pbl".
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

func (k *Catalogues) listing(key Key, entry *Listed) Facts {
	l := k.List(key.Name)
	if l == nil {
		return Facts{Name: key.Name, Term: ownTerm}
	}
	d := &l.Delist
	f := Facts{
		Known: true, Name: l.Name, Who: whoMay(l, key.Place, entry), Form: d.Method, Also: d.Advice, Expiry: d.Expiry, Pay: d.Pay,
		Pages: links(d.URL), Term: time.Duration(d.Hours) * time.Hour, Confidence: l.About.Confidence, Date: l.About.Seen,
	}
	return f.finish(d.URL)
}

// finish fills in what the rows leave out.
func (f Facts) finish(url string) Facts {
	if len(f.Pages) == 0 || strings.HasPrefix(url, "mailto:") {
		f.Contact = strings.TrimPrefix(url, "mailto:")
	}
	f.Told = f.Term > 0
	if !f.Told {
		f.Term = ownTerm
	}
	return f
}

// whoMay says who may ask a list. Where the return code decides (an entry of the SBL is the network owner's, one of the PBL can be
// excluded by whoever runs the address), one name of the list is not enough to tell. An entry for a range is the network owner's,
// unless the list is one of policy, which single addresses are taken out of.
func whoMay(l *dnsbl.List, place string, entry *Listed) string {
	policy := false
	for _, c := range l.Entries.Codes {
		if c.State != "" {
			continue
		}
		if c.Who != "" && c.Who != l.Delist.Who && entry.Who == "" {
			return Depends
		}
		policy = policy || c.Severity == dnsbl.Policy
	}
	who := or(entry.Who, l.Delist.Who)
	if who == Owner && !policy && (isRange(place) || entry.Scope == string(dnsbl.ScopeRange) || entry.Scope == string(dnsbl.ScopeASN)) {
		return Network
	}
	return who
}

// isRange tells whether a place is a network of more than one address; of IPv6, more than the /64 that one host has.
func isRange(place string) bool {
	p, err := netip.ParsePrefix(place)
	if err != nil {
		return false
	}
	if p.Addr().Is4() {
		return p.Bits() < 32
	}
	return p.Bits() < 64
}

func (k *Catalogues) block(id string) Facts {
	f := Facts{Name: k.Providers.Name(id), Term: ownTerm}
	rows := k.Providers.Rows(id)
	if len(rows) == 0 {
		return f
	}
	r := rows[0]
	for _, other := range rows { // several rows decide together: the one that says where to ask speaks for them
		if r.Delist.URL == "" && other.Delist.URL != "" {
			r = other
		}
	}
	d := &r.Delist
	f.Known, f.Who, f.Terms, f.Form = true, Owner, d.Who, d.For
	f.Also = strings.Join(nonEmpty(d.Also, d.Note), "; ")
	f.Confidence, f.Date = r.Confidence, k.Providers.AsOf
	f.Pages = links(strings.Join(append(append([]string{d.URL}, r.Postmaster...), r.ReputationTool.URL), " "))
	f.Term = time.Duration(d.Hours) * time.Hour
	if d.URL == "" {
		f.Who = ""
	}
	return f.finish(d.URL)
}

func nonEmpty(all ...string) (list []string) {
	for _, s := range all {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}

var link = regexp.MustCompile(`https?://[^\s()<>,;]+`)

// links returns the pages that a text names, each once.
func links(s string) (list []string) {
	for _, page := range link.FindAllString(s, -1) {
		if page = strings.TrimRight(page, "."); !strings.Contains(page, "...") && !slices.Contains(list, page) {
			list = append(list, page)
		}
	}
	return list
}
