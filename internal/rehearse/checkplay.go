package rehearse

import (
	"slices"
	"time"

	"ukai/internal/dnsbl"
)

// The fates of a Stream.
const (
	fateDelivered = "delivered"
	fateBounced   = "bounced"
)

func (c *checker) checkStreams() {
	if len(c.s.Streams) == 0 {
		c.bad("traffic", "rehearse.bad.missing")
	}
	seen := map[string]bool{}
	for i := range c.s.Streams {
		st := &c.s.Streams[i]
		p := "traffic[" + itoa(i) + "]"
		if st.Name == "" {
			st.Name = "mail" + itoa(i+1)
		}
		c.named(p, st.Name, seen)
		if st.Rate <= 0 || st.Rate > 10_000 {
			c.bad(p+".rate", "rehearse.bad.number", "value", st.Rate, "least", "> 0", "most", 10_000)
		}
		if st.Senders = spread(st.Senders); len(st.Senders) == 0 {
			c.bad(p+".senders", "rehearse.bad.missing")
		}
		if st.Fate == "" {
			st.Fate = fateDelivered
		}
		c.choice(p+".fate", st.Fate, []string{fateDelivered, fateBounced})
		st.To = spread(st.To)
		for n, to := range st.To {
			c.choice(p+".to["+itoa(n)+"]", to, c.destinations())
		}
	}
}

// destinations are what mail may go to: providers, and their domains.
func (c *checker) destinations() []string {
	names := c.providerNames()
	for i := range c.s.Providers {
		for _, g := range c.s.Providers[i].Groups {
			names = append(names, g.Domains...)
		}
	}
	return names
}

func (c *checker) checkSteps() {
	begins, _ := timeOfDay(c.s.Begins)
	lists, err := dnsbl.Load()
	if err != nil {
		panic("bug: " + err.Error())
	}
	last := time.Duration(0)
	seen := map[string]bool{}
	for i := range c.s.Steps {
		st := &c.s.Steps[i]
		p := "step[" + itoa(i) + "]"
		c.named(p, st.Name, seen)
		at, ok := timeOfDay(st.At)
		if !ok {
			c.bad(p+".at", "rehearse.bad.clock", "value", st.At)
		}
		if at < begins { // the day after
			at += 24 * time.Hour
		}
		if st.at = at - begins; st.at < last && ok {
			c.bad(p+".at", "rehearse.bad.order", "value", st.At)
		}
		last = max(last, st.at)
		for n := range st.Rules {
			c.checkRule(p+".rule["+itoa(n)+"]", &st.Rules[n])
		}
		for n := range st.List {
			c.checkListing(p+".list["+itoa(n)+"]", &st.List[n], lists)
		}
		for n := range st.Delist {
			c.checkListing(p+".delist["+itoa(n)+"]", &st.Delist[n], lists)
		}
		for n, name := range st.Forgive {
			c.choice(p+".forgive["+itoa(n)+"]", name, c.receivers())
		}
		for n, name := range slices.Concat(st.Down, st.Up) {
			key := ".down"
			if n >= len(st.Down) {
				key, n = ".up", n-len(st.Down)
			}
			c.choice(p+key+"["+itoa(n)+"]", name, c.switches())
		}
	}
}

// switches are the names that can go off the net: receivers and relays.
func (c *checker) switches() []string {
	names := c.receivers()
	for i := range c.s.Egresses {
		if c.s.Egresses[i].Kind == kindRelay {
			names = append(names, c.s.Egresses[i].Name)
		}
	}
	return names
}

func (c *checker) checkExpect() {
	if len(c.s.Expect) == 0 {
		c.bad("expect", "rehearse.bad.missing")
	}
	for name, want := range c.s.Expect {
		path := "expect." + name
		if _, known := measures[name]; !known {
			c.choice(path, name, measureNames())
			continue
		}
		x, ok := parseExpectation(name, want)
		if !ok {
			c.bad(path, "rehearse.bad.expect", "value", want)
		}
		c.s.expect = append(c.s.expect, x)
	}
	slices.SortFunc(c.s.expect, func(a, b expectation) int { return c.lines.of("expect."+a.name) - c.lines.of("expect."+b.name) })
}
