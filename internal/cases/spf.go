package cases

import (
	"context"
	"net/netip"
	"strings"
)

// spf asks what the sender domains publish (RFC 7208). A record is read as it stands: ip4 and ip6 terms tell, whatever would take
// more questions (a, mx, include, redirect) does not, and then the answer is that it is not known.
func (k *Checker) spf(ctx context.Context, c *Case, addrs []netip.Addr) Check {
	if len(c.About.Senders) == 0 || len(addrs) == 0 {
		return check(CheckSPF, Unknown, "why", "no sender domain", "domain", "-")
	}
	for _, domain := range c.About.Senders {
		texts, err := k.Resolver.TXT(ctx, domain)
		if err != nil && !nothing(err) {
			return check(CheckSPF, Unknown, "domain", domain, "why", err.Error())
		}
		var record string
		for _, t := range texts {
			if t == "v=spf1" || strings.HasPrefix(strings.ToLower(t), "v=spf1 ") { // section 4.5
				record = t
			}
		}
		if record == "" {
			return check(CheckSPF, Bad, "domain", domain)
		}
		for _, ip := range addrs {
			switch named(record, ip) {
			case Bad:
				return check(CheckSPF, Bad, "domain", domain)
			case Unknown:
				return check(CheckSPF, Unknown, "domain", domain, "why", record)
			}
		}
	}
	return check(CheckSPF, OK, "domain", strings.Join(c.About.Senders, ", "))
}

// named tells whether a record names an address: OK by a term of its own, Unknown where a term would have to be looked up, Bad when
// nothing in it can mean the address.
func named(record string, ip netip.Addr) Result {
	result := Bad
	for _, term := range strings.Fields(strings.ToLower(record))[1:] {
		bare := strings.TrimLeft(term, "+-~?")
		name, arg, _ := strings.Cut(bare, ":")
		switch name {
		case "ip4", "ip6":
			if within(arg, ip) {
				if bare != term && term[0] != '+' { // "-ip4:..." names the address to refuse it
					return Bad
				}
				return OK // an earlier term might refuse it, but hardly anybody writes such a record
			}
		case "all":
			return result // what follows is not looked at (section 5.1)
		default: // a, mx, include, exists, ptr, redirect=, exp=
			if !strings.HasPrefix(bare, "exp=") {
				result = Unknown
			}
		}
	}
	return result
}

func within(arg string, ip netip.Addr) bool {
	if p, err := netip.ParsePrefix(arg); err == nil {
		return p.Contains(ip.Unmap())
	}
	a, err := netip.ParseAddr(arg)
	return err == nil && a == ip.Unmap()
}
