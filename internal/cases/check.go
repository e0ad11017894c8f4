package cases

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"ukai/internal/dns"
	"ukai/internal/incident"
)

// CheckName names something that has to be in order before anybody asks.
type CheckName string

// The checks, in the order in which they are made.
const (
	CheckPTR     CheckName = "ptr"     // the address has a reverse name
	CheckForward CheckName = "forward" // which leads back to the address (FCrDNS)
	CheckGeneric CheckName = "generic" // and does not look like one of a thousand dial-up customers
	CheckHELO    CheckName = "helo"    // the name that we greet with leads to the address
	CheckSPF     CheckName = "spf"     // the sender domains name the address
	CheckRelay   CheckName = "relay"   // nobody from outside can send through us
	CheckCause   CheckName = "cause"   // what caused it has stopped
	CheckRecent  CheckName = "recent"  // nobody has asked a short time ago
)

// Result is what a check found out.
type Result string

// The results. Unknown is never OK.
const (
	OK      Result = "ok"
	Bad     Result = "bad"
	Unknown Result = "unknown"
)

// Check is one thing that was looked at. Its text is "cases.check." NAME "." RESULT with Args.
type Check struct {
	Name   CheckName         `json:"name"`
	Result Result            `json:"result"`
	Args   map[string]string `json:"args,omitempty"`
}

// Needed tells whether a case waits for this check. SPF is no business of the lists, though some providers look at it.
func (c *Check) Needed() bool { return c.Name != CheckSPF }

// Way is what is known of an egress that sends from addresses of ours.
type Way struct {
	Egress string
	Addrs  []netip.Addr // to send from; empty: the system chooses
	Helo   string       // empty: somebody else greets (a smarthost)
}

// Checker looks at what has to be in order.
type Checker struct {
	Resolver dns.Resolver
	Ways     func() []Way
	// Relays are the networks that may send to anybody through our listeners without a password. nil: nobody knows.
	Relays func() []netip.Prefix
}

// Check makes all checks. open are the incidents that are followed; one for content that is not closed says that the cause has
// not stopped.
func (k *Checker) Check(ctx context.Context, c *Case, open []incident.Incident) []Check {
	if c.domain() {
		return []Check{cause(c, open)}
	}
	addrs := c.About.Addresses
	if len(addrs) == 0 {
		addrs = k.sources(c)
	}
	list := []Check{k.ptr(ctx, addrs)}
	names := list[0].Args["names"]
	list = append(list, k.forward(ctx, addrs), generic(addrs, names, list[0].Result), k.helo(ctx, c, addrs), k.spf(ctx, c, addrs), k.relay(), cause(c, open))
	return list
}

// sources are the addresses that the egresses of a case send from, as far as the settings say.
func (k *Checker) sources(c *Case) (list []netip.Addr) {
	for _, w := range k.ways(c) {
		for _, ip := range w.Addrs {
			if len(list) < maxAddresses && ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.Contains(list, ip) {
				list = append(list, ip)
			}
		}
	}
	return list
}

// ways are those of the egresses of a case.
func (k *Checker) ways(c *Case) (list []Way) {
	if k.Ways == nil {
		return nil
	}
	for _, w := range k.Ways() {
		if slices.Contains(c.About.Egresses, w.Egress) {
			list = append(list, w)
		}
	}
	return list
}

func check(name CheckName, r Result, args ...string) Check {
	c := Check{Name: name, Result: r}
	for n := 0; n+1 < len(args); n += 2 {
		if c.Args == nil {
			c.Args = make(map[string]string)
		}
		c.Args[args[n]] = args[n+1]
	}
	return c
}

// nothing tells whether an answer of the DNS is that there is nothing; every other error says that nobody knows.
func nothing(err error) bool {
	var e *dns.Error
	return errors.As(err, &e) && e.NotFound && !e.Temporary
}

// ptr asks for the reverse names. Args: ip, names, or why it is not known.
func (k *Checker) ptr(ctx context.Context, addrs []netip.Addr) Check {
	if len(addrs) == 0 {
		return check(CheckPTR, Unknown, "why", "no address")
	}
	var all []string
	for _, ip := range addrs {
		names, err := k.Resolver.PTR(ctx, ip)
		switch {
		case nothing(err):
			return check(CheckPTR, Bad, "ip", ip.String())
		case err != nil:
			return check(CheckPTR, Unknown, "ip", ip.String(), "why", err.Error())
		}
		all = append(all, names[:min(len(names), 5)]...)
	}
	return check(CheckPTR, OK, "ip", addrs[0].String(), "names", strings.Join(all, ", "))
}

// forward asks whether a reverse name leads back (RFC 8601, section 2.7.3: "iprev").
func (k *Checker) forward(ctx context.Context, addrs []netip.Addr) Check {
	if len(addrs) == 0 {
		return check(CheckForward, Unknown, "why", "no address")
	}
	for _, ip := range addrs {
		names, err := k.Resolver.PTR(ctx, ip)
		if err != nil {
			return check(CheckForward, unknownUnless(nothing(err)), "ip", ip.String(), "names", "-", "why", err.Error())
		}
		found, doubt := false, error(nil)
		for _, name := range names[:min(len(names), 5)] { // some hosts have hundreds
			back, err := k.Resolver.Addrs(ctx, name)
			if err != nil && !nothing(err) {
				doubt = err
			}
			found = found || slices.Contains(back, ip)
		}
		switch {
		case found:
		case doubt != nil:
			return check(CheckForward, Unknown, "ip", ip.String(), "why", doubt.Error())
		default:
			return check(CheckForward, Bad, "ip", ip.String(), "names", strings.Join(names[:min(len(names), 5)], ", "))
		}
	}
	return check(CheckForward, OK, "ip", addrs[0].String())
}

func unknownUnless(bad bool) Result {
	if bad {
		return Bad
	}
	return Unknown
}

// dialUp are words in the names of addresses that no mail is expected from.
var dialUp = regexp.MustCompile(`(?i)(^|[-._0-9])(dyn|dynamic|dhcp|dsl|adsl|xdsl|vdsl|ppp|pppoe|pool|dial|dialup|cable|client|customer|cust|broadband|unassigned)([-._0-9]|$)`)

// generic judges reverse names: one that holds the numbers of the address, or words of a dial-up network, is nobody's own.
func generic(addrs []netip.Addr, names string, asked Result) Check {
	if asked != OK {
		return check(CheckGeneric, Unknown, "why", "no reverse name")
	}
	for _, name := range strings.Split(names, ", ") {
		if dialUp.MatchString(name) || slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return holds(name, ip) }) {
			return check(CheckGeneric, Bad, "names", name)
		}
	}
	return check(CheckGeneric, OK, "names", names)
}

var digits = regexp.MustCompile(`[0-9]+`)

// holds tells whether a name is made from an IPv4 address: three of its octets as numbers, in a row from either end, or all in hex.
func holds(name string, ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.Is4() {
		return false
	}
	o := ip.As4()
	if strings.Contains(strings.ToLower(name), fmt.Sprintf("%02x%02x%02x%02x", o[0], o[1], o[2], o[3])) ||
		strings.Contains(name, fmt.Sprintf("%03d%03d%03d%03d", o[0], o[1], o[2], o[3])) {
		return true
	}
	var found []string
	for _, d := range digits.FindAllString(name, -1) {
		if d = strings.TrimLeft(d, "0"); d == "" {
			d = "0"
		}
		found = append(found, d)
	}
	row := " " + strings.Join(found, " ") + " "
	for _, want := range []string{
		fmt.Sprintf(" %d %d %d ", o[0], o[1], o[2]), fmt.Sprintf(" %d %d %d ", o[1], o[2], o[3]),
		fmt.Sprintf(" %d %d %d ", o[3], o[2], o[1]), fmt.Sprintf(" %d %d %d ", o[2], o[1], o[0]),
	} {
		if strings.Contains(row, want) {
			return true
		}
	}
	return false
}

// helo asks whether the names that we greet with lead to the addresses (RFC 5321, section 4.1.4).
func (k *Checker) helo(ctx context.Context, c *Case, addrs []netip.Addr) Check {
	ways := k.ways(c)
	if len(ways) == 0 || len(addrs) == 0 {
		return check(CheckHELO, Unknown, "why", "no egress of ours")
	}
	for _, w := range ways {
		if w.Helo == "" {
			return check(CheckHELO, Unknown, "why", "egress "+w.Egress+": somebody else greets")
		}
		have, err := k.Resolver.Addrs(ctx, w.Helo)
		if err != nil && !nothing(err) {
			return check(CheckHELO, Unknown, "helo", w.Helo, "why", err.Error())
		}
		if !slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return slices.Contains(have, ip) }) {
			return check(CheckHELO, Bad, "helo", w.Helo, "ip", addrs[0].String())
		}
	}
	return check(CheckHELO, OK, "helo", ways[0].Helo)
}

// relay judges who may send through our listeners. It says nothing about other servers behind the same address.
func (k *Checker) relay() Check {
	if k.Relays == nil {
		return check(CheckRelay, Unknown, "why", "settings")
	}
	for _, p := range k.Relays() {
		if p.Bits() == 0 {
			return check(CheckRelay, Bad, "net", p.String())
		}
	}
	return check(CheckRelay, OK)
}

// recent judges whether the last request, also one that was refused, lies far enough back. The Book makes this check: it knows
// the time and the term.
func recent(c *Case, term time.Duration, now time.Time) Check {
	if n := len(c.Requests); n > 0 && now.Sub(c.Requests[n-1].At) < term {
		at := c.Requests[n-1].At
		return check(CheckRecent, Bad, "at", stamp(at), "until", stamp(at.Add(term)))
	}
	return check(CheckRecent, OK)
}

// stamp is a time as evidence keeps it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// cause judges whether what caused it has stopped. That nobody complains is no proof: what somebody mended is, and so is that
// the receivers blame the network.
func cause(c *Case, open []incident.Incident) Check {
	for n := range open {
		if i := &open[n]; i.Cause.Kind == incident.Content && i.State != incident.Closed {
			return check(CheckCause, Bad, "domain", i.Cause.Place, "refused", fmt.Sprint(i.Counts.Refused))
		}
	}
	if n := len(c.Fixes); n > 0 {
		return check(CheckCause, OK, "what", c.Fixes[n-1].What)
	}
	return check(CheckCause, Unknown)
}
