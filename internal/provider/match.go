package provider

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Why says how a Match was found, as a key of the message catalogue; Match.Args are the values of its text.
type Why string

// The reasons of a Match.
const (
	WhySuffix      Why = "provider.why.suffix"      // the MX host lies under a suffix of the catalogue
	WhyGateway     Why = "provider.why.gateway"     // as before, and it is a gateway that hides the mailbox host
	WhyPlaceholder Why = "provider.why.placeholder" // the only MX is a reserved name behind which nobody receives
	WhyUnknown     Why = "provider.why.unknown"     // not in the catalogue: the registrable domain of the MX host
	WhyLiteral     Why = "provider.why.literal"     // an address literal
	WhyDomain      Why = "provider.why.domain"      // the recipient domain itself is in the catalogue
	WhyNone        Why = "provider.why.none"        // no host was given
)

// Match says who receives, and how that is known.
type Match struct {
	ID     ID     // empty only for WhyNone
	Row    *Row   // nil where the catalogue does not know the host
	Host   string // the MX host that decided, or for WhyDomain the domain
	Suffix string // what matched in the catalogue
	Why    Why
	// Gateway tells that the mailboxes lie behind somebody else: the SPF record or the reply's text may say behind whom.
	Gateway bool
	// Placeholder tells that the MX is only a reserved name (a tenant was registered, no mail is received there).
	Placeholder bool
}

// Args returns the values of the text of m.Why: name, value, name, value, ...
func (m Match) Args() []any {
	name := m.ID
	if m.Row != nil {
		name = m.Row.Name
	}
	return []any{"provider", m.ID, "name", name, "host", m.Host, "suffix", m.Suffix}
}

// ByMX returns the provider of a domain whose MX hosts are given, the most preferred first. A domain without an MX record
// receives by itself (RFC 5321, section 5.1): give the domain as its only host.
//
// The first host decides, because it is the one that will be asked to take the mail. Placeholders are passed over while
// there is another host. An empty host, as a null MX (RFC 7505) has it, stands for nobody.
func (c *Catalogue) ByMX(hosts []string) Match {
	held := Match{Why: WhyNone}
	for _, h := range hosts {
		m := c.ByHost(h)
		if m.ID == "" {
			continue
		}
		if !m.Placeholder {
			return m
		}
		if held.ID == "" {
			held = m
		}
	}
	return held
}

// ByHost returns the provider that one receiving host belongs to. An outcome knows the host that answered: where it is not
// the most preferred one, this tells whose answer it was.
func (c *Catalogue) ByHost(host string) Match {
	host = clean(host)
	if host == "" {
		return Match{Why: WhyNone}
	}
	if id := literal(host); id != "" {
		return Match{ID: id, Host: host, Why: WhyLiteral}
	}
	for s := host; s != ""; s = parent(s) {
		x, ok := c.suffixes[s]
		if !ok {
			continue
		}
		m := Match{ID: x.id, Row: x.row, Host: host, Suffix: x.text, Why: WhySuffix, Placeholder: x.placeholder}
		switch {
		case x.placeholder:
			m.Why = WhyPlaceholder
		case x.row.Type == Gateway:
			m.Why, m.Gateway = WhyGateway, true
		}
		return m
	}
	return Match{ID: registrable(host), Host: host, Why: WhyUnknown}
}

// ByDomain returns the provider of a recipient domain that the catalogue lists itself (gmail.com, docomo.ne.jp), without any
// DNS: for logs and reports whose MX of that day nobody knows any more. ok is false for every other domain.
func (c *Catalogue) ByDomain(domain string) (m Match, ok bool) {
	domain = clean(domain)
	for s := domain; s != ""; s = parent(s) {
		key := s
		if s != domain {
			key = "*." + s
		}
		if r, ok := c.domains[key]; ok {
			return Match{ID: r.Provider, Row: r, Host: domain, Suffix: key, Why: WhyDomain, Gateway: r.Type == Gateway}, true
		}
	}
	return Match{Why: WhyNone}, false
}

// clean brings a host name into the form of the catalogue: lower case (RFC 4343), no trailing dot. It gives the string
// itself back where there is nothing to do.
func clean(host string) string { return strings.ToLower(strings.TrimRight(host, ".")) }

// parent cuts the first label off; it is empty for the last one.
func parent(host string) string {
	i := strings.IndexByte(host, '.')
	if i < 0 {
		return ""
	}
	return host[i+1:]
}

// literal returns the ID of an address literal (RFC 5321, section 4.1.3) or of a bare address, "" for anything else.
func literal(host string) ID {
	last := host[len(host)-1]
	if last != ']' && (last < '0' || last > '9') && strings.IndexByte(host, ':') < 0 {
		return "" // no host name of the public DNS ends in a digit: spare it the parser
	}
	s := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip, err := netip.ParseAddr(strings.TrimPrefix(s, "ipv6:"))
	if err != nil {
		return ""
	}
	return "[" + ip.Unmap().String() + "]"
}

// registrable returns the part of a host name that somebody registered: one label more than the public suffix. The private
// section of the list counts as well, so that the customers of a hoster who gives out subdomains are kept apart: who is
// taken for one provider too often would block innocent ones. A public suffix itself, or a single label, stands for itself.
func registrable(host string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return d
}
