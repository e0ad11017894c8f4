package rehearse

import (
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/config"
	"ukai/internal/peersim"
)

var kinds = []string{kindDirect, kindRelay, kindSmarthost}

// The kinds of Egress.
const (
	kindDirect    = "direct"
	kindRelay     = "relay"
	kindSmarthost = "smarthost"
)

func (c *checker) checkEgresses() {
	if len(c.s.Egresses) == 0 {
		c.bad("egress", "rehearse.bad.missing")
	}
	seen := map[string]bool{}
	for i := range c.s.Egresses {
		e := &c.s.Egresses[i]
		p := "egress[" + itoa(i) + "]"
		c.named(p, e.Name, seen)
		if e.Kind == "" {
			e.Kind = kindDirect
		}
		c.choice(p+".kind", e.Kind, kinds)
		e.source = c.loopback(p+".source", e.Source)
		if e.Shown != "" {
			var err error
			if e.shown, err = netip.ParseAddr(e.Shown); err != nil {
				c.bad(p+".shown", "rehearse.bad.address", "value", e.Shown)
			}
		}
	}
}

func (c *checker) loopback(path, text string) netip.Addr {
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		c.bad(path, "rehearse.bad.address", "value", text)
	case !ip.Is4() || !ip.IsLoopback():
		c.bad(path, "rehearse.bad.loopback", "value", text)
	}
	return ip
}

// named checks a name: it is there, and only once.
func (c *checker) named(path, name string, seen map[string]bool) {
	switch {
	case name == "":
		c.bad(path+".name", "rehearse.bad.missing")
	case seen[name]:
		c.bad(path+".name", "rehearse.bad.twice", "value", name)
	}
	seen[name] = true
}

// choice checks that a word is one of those allowed.
func (c *checker) choice(path, word string, allowed []string) {
	if slices.Contains(allowed, word) {
		return
	}
	if near := config.Nearest(word, allowed); near != "" {
		c.bad(path, "rehearse.bad.meant", "value", word, "near", near)
		return
	}
	c.bad(path, "rehearse.bad.choice", "value", word, "allowed", strings.Join(allowed, ", "))
}

func (c *checker) checkProviders() {
	if len(c.s.Providers) == 0 {
		c.bad("provider", "rehearse.bad.missing")
	}
	seen := map[string]bool{}
	for i := range c.s.Providers {
		pr := &c.s.Providers[i]
		p := "provider[" + itoa(i) + "]"
		c.named(p, pr.Name, seen)
		if pr.Label == "" {
			pr.Label = pr.Name
		}
		if pr.Share < 0 {
			c.bad(p+".share", "rehearse.bad.number", "value", pr.Share, "least", 0, "most", 1000)
		}
		if len(pr.Groups) == 0 {
			c.bad(p+".group", "rehearse.bad.missing")
		}
		for n := range pr.Groups {
			g := &pr.Groups[n]
			if g.Domains = spread(g.Domains); len(g.Domains) == 0 {
				c.bad(p+".group["+itoa(n)+"].domains", "rehearse.bad.missing")
			}
		}
		for n := range pr.Rules {
			pr.Rules[n].Provider = pr.Name
			c.checkRule(p+".rule["+itoa(n)+"]", &pr.Rules[n])
		}
	}
}

func (c *checker) providerNames() []string {
	var names []string
	for i := range c.s.Providers {
		names = append(names, c.s.Providers[i].Name)
	}
	return names
}

// receivers are the names that steps may speak of: providers and smarthosts.
func (c *checker) receivers() []string {
	names := c.providerNames()
	for i := range c.s.Egresses {
		if c.s.Egresses[i].Kind == kindSmarthost {
			names = append(names, c.s.Egresses[i].Name)
		}
	}
	return names
}

func (c *checker) checkRule(path string, r *Rule) {
	c.choice(path+".provider", r.Provider, c.receivers())
	pr := peersim.Rule{
		Name: strings.TrimSuffix(r.Provider+" "+r.Reply, " "), Action: peersim.Action(r.Action), Reply: r.Reply,
		Match: peersim.Match{From: r.From, To: r.To, Contains: r.Contains, Chance: r.Chance, Over: r.Over, Every: r.Every, First: r.First},
	}
	if r.Phase != "" {
		if err := pr.Phase.UnmarshalText([]byte(r.Phase)); err != nil {
			c.bad(path+".phase", "rehearse.bad.rule", "cause", err)
			return
		}
	} else if canned, ok := peersim.Reply(r.Reply); ok && pr.Action == "" && r.Contains == "" && len(r.To) == 0 && len(r.From) == 0 {
		pr.Phase = canned.Phase
	}
	for i, name := range r.Egress {
		c.choice(path+".egress["+itoa(i)+"]", name, c.egressNames())
		for _, e := range c.s.Egresses {
			if e.Name == name && e.source.IsValid() {
				pr.Sources = append(pr.Sources, netip.PrefixFrom(e.source, e.source.BitLen()))
			}
		}
	}
	if r.Delay != "" {
		pr.Delay = c.span(path+".delay", r.Delay, 0)
	}
	if err := peersim.CheckRule(pr); err != nil {
		c.bad(path, "rehearse.bad.rule", "cause", err)
	}
	r.rule = pr
}

func (c *checker) egressNames() []string {
	var names []string
	for i := range c.s.Egresses {
		names = append(names, c.s.Egresses[i].Name)
	}
	return names
}
