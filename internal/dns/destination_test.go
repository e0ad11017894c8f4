package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func addrs(list string) []netip.Addr {
	var a []netip.Addr
	for f := range strings.FieldsSeq(list) {
		a = append(a, netip.MustParseAddr(f))
	}
	return a
}

func world() *Static {
	return &Static{
		MXs: map[string][]MX{
			"example.org":     {{"mx2.example.org", 20}, {"mx1.example.org", 10}},
			"null.example":    {{"", 0}},
			"literal.example": {{"192.0.2.1", 10}},
			"literal2.example": {
				{"192.0.2.1", 5}, {"mx1.example.org", 10}, {`a\032b.example`, 20},
			},
			"backup.example":   {{"best.example.org", 10}, {"ours.example.net", 20}, {"same.example.org", 20}, {"worse.example.org", 30}},
			"ours.example":     {{"ours.example.net", 10}, {"worse.example.org", 20}},
			"half.example":     {{"gone.example.org", 10}, {"mx1.example.org", 20}},
			"allgone.example":  {{"gone.example.org", 10}, {"gone2.example.org", 20}},
			"unsure.example":   {{"broken.example.org", 10}, {"gone.example.org", 20}},
			"survives.example": {{"broken.example.org", 10}, {"mx1.example.org", 20}},
			"loopback.example": {{"localhost", 10}, {"self.example.org", 20}},
			"twice.example":    {{"mx1.example.org", 10}, {"mx1.example.org", 10}},
			"slow.example":     {{"broken.example.org", 0}},
		},
		Hosts: map[string][]netip.Addr{
			"mx1.example.org": addrs("2001:db8::1 192.0.2.1"), "mx2.example.org": addrs("192.0.2.2"), "bare.example": addrs("192.0.2.3"),
			"localhost": addrs("::1 127.0.0.1"), "self.example.org": addrs("::ffff:127.0.0.1 0.0.0.0 ff02::1"), "best.example.org": addrs("192.0.2.9"),
		},
		Texts:  map[string][]string{"empty.example": {"no mail here"}},
		CNAMEs: map[string]string{"www.example": "example.org", "wwwbare.example": "bare.example"},
		Errors: map[string]*Error{
			"broken.example":     TemporaryError("", "", "server failure"),
			"broken.example.org": TemporaryError("", "", "timeout"),
		},
	}
}

func TestFind(t *testing.T) {
	f := NewFinder(world(), FinderOptions{Own: []string{"OURS.example.net."}})
	for _, test := range []struct{ name, domain, want string }{
		{"mail exchangers by preference", "example.org", "mx1.example.org 10, mx2.example.org 20"},
		{"a domain in any case", "Example.ORG.", "mx1.example.org 10, mx2.example.org 20"},
		{"a domain without MX receives itself", "bare.example", "bare.example 0, implicit"},
		{"a domain that is a CNAME is what it points to", "www.example", "mx1.example.org 10, mx2.example.org 20"},
		{"a CNAME to a domain without MX", "wwwbare.example", "wwwbare.example 0, implicit"},
		{"an address where a name belongs is left out", "literal2.example", "mx1.example.org 10"},
		{"hosts no better than we are are left out", "backup.example", "best.example.org 10"},
		{"a host that stands twice is tried once", "twice.example", "mx1.example.org 10"},
		{"no such domain", "nothing.example", "no such domain, 5.1.2, final"},
		{"no domain at all", "not a domain", "not a domain name, 5.1.2, final"},
		{"null MX", "null.example", "domain accepts no mail, 5.1.10, final"},
		{"only addresses where names belong", "literal.example", "no mail exchanger has a valid host name, 5.4.4, final"},
		{"we are the best", "ours.example", "mail for this domain loops back to this server, 5.4.6, final"},
		{"nothing could be found out", "broken.example", "server failure, 4.4.3, temporary"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := f.Find(t.Context(), test.domain)
			if got := describe(d, err); got != test.want {
				t.Errorf("%s: %s, want %s", test.domain, got, test.want)
			}
		})
	}
}

func describe(d *Destination, err error) string {
	if err != nil {
		return describeError(err)
	}
	var parts []string
	for i, m := range d.MX {
		parts = append(parts, fmt.Sprint(m.Host, " ", m.Pref))
		if d.Names[i] != m.Host {
			parts = append(parts, "but named "+d.Names[i])
		}
	}
	if d.Implicit {
		parts = append(parts, "implicit")
	}
	return strings.Join(parts, ", ")
}

func describeError(err error) string {
	var e *Error
	if !errors.As(err, &e) || e.NotFound == e.Temporary {
		return fmt.Sprintf("broken contract: %#v", err)
	}
	return e.Reason + ", " + e.Status + ", " + map[bool]string{true: "temporary", false: "final"}[e.Temporary]
}

func TestHosts(t *testing.T) {
	f := NewFinder(world(), FinderOptions{})
	for _, test := range []struct{ name, domain, want string }{
		{"every host has its addresses", "example.org", "mx1.example.org 10 [2001:db8::1 192.0.2.1], mx2.example.org 20 [192.0.2.2]"},
		{"the implicit mail exchanger", "bare.example", "bare.example 0 [192.0.2.3]"},
		{"the implicit mail exchanger behind a CNAME", "wwwbare.example", "wwwbare.example 0 [192.0.2.3]"},
		{"a host that does not exist is passed over", "half.example", "mx1.example.org 20 [2001:db8::1 192.0.2.1]"},
		{"a host that cannot be looked up is passed over", "survives.example", "mx1.example.org 20 [2001:db8::1 192.0.2.1]"},
		{"no host exists", "allgone.example", "no mail exchanger has an address, 5.4.4, final"},
		{"neither MX nor address", "empty.example", "the domain has neither mail exchanger nor address, 5.4.4, final"},
		{"one does not exist, one is uncertain", "unsure.example", "timeout, 4.4.3, temporary"},
		{"only ourselves", "loopback.example", "its mail exchanger points to ff02::1, where no mail can go, 5.4.4, final"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := f.Find(t.Context(), test.domain)
			if err != nil {
				t.Fatal(err)
			}
			hosts, err := f.Hosts(t.Context(), d)
			if got := describeHosts(hosts, err); got != test.want {
				t.Errorf("%s: %s, want %s", test.domain, got, test.want)
			}
		})
	}
}

func describeHosts(hosts []Host, err error) string {
	if err != nil {
		return describeError(err)
	}
	var parts []string
	for _, h := range hosts {
		parts = append(parts, fmt.Sprint(h.Name, " ", h.Pref, " ", h.Addrs))
	}
	return strings.Join(parts, ", ")
}

func TestLoopbackIsUsableWhereItIsConfigured(t *testing.T) {
	f := NewFinder(world(), FinderOptions{Unusable: []netip.Prefix{}})
	d, err := f.Find(t.Context(), "loopback.example")
	if err != nil {
		t.Fatal(err)
	}
	if hosts, err := f.Hosts(t.Context(), d); err != nil || hosts[0].Name != "localhost" {
		t.Errorf("%v, %v", hosts, err)
	}
}

func TestAResolverThatBreaksItsContractIsTemporary(t *testing.T) {
	f := NewFinder(world(), FinderOptions{})
	d, err := f.Find(t.Context(), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	f.r = broken{}
	if _, err := f.Hosts(t.Context(), d); describeError(err) != "kaput, 4.4.3, temporary" {
		t.Errorf("%#v", err)
	}
}

type broken struct{ Resolver }

func (broken) Addrs(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("kaput") }

func TestADestinationIsKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := world()
		f := NewFinder(s, FinderOptions{})
		for range 3 {
			if _, err := f.Find(t.Context(), "example.org"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10*time.Second - time.Nanosecond)
		}
		if n := s.Calls("mx", "example.org"); n != 1 {
			t.Errorf("asked %d times within 30 s", n)
		}
		time.Sleep(time.Second)
		if _, err := f.Find(t.Context(), "example.org"); err != nil || s.Calls("mx", "example.org") != 2 {
			t.Errorf("%v; asked %d times after 30 s", err, s.Calls("mx", "example.org"))
		}
		if s.Calls("", "mx1.example.org") != 0 {
			t.Error("addresses were looked up before they were needed")
		}
	})
}

func TestFindingAKnownDestinationCostsNothing(t *testing.T) {
	f := NewFinder(world(), FinderOptions{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = f.Find(ctx, "example.org") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHostsOfEqualPreferenceShareTheLoad(t *testing.T) {
	s := &Static{MXs: map[string][]MX{"e": {{"a.e", 1}, {"b.e", 1}, {"c.e", 2}}}, Hosts: map[string][]netip.Addr{
		"a.e": addrs("192.0.2.1"), "b.e": addrs("192.0.2.2"), "c.e": addrs("192.0.2.3"),
	}}
	f := NewFinder(s, FinderOptions{})
	d, err := f.Find(t.Context(), "e")
	if err != nil {
		t.Fatal(err)
	}
	first := make(map[string]int)
	for range 300 {
		hosts, err := f.Hosts(t.Context(), d)
		if err != nil || len(hosts) != 3 || hosts[2].Name != "c.e" {
			t.Fatal(hosts, err)
		}
		first[hosts[0].Name]++
	}
	if first["a.e"] < 50 || first["b.e"] < 50 {
		t.Errorf("the first host was %v", first)
	}
	if d.MX[0].Host != "a.e" {
		t.Error("a shared destination was changed")
	}
}

// However many hosts and addresses a domain has, no more are returned than allowed, in order of preference, and of a host
// with both families both remain.
func TestHostsKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Static{MXs: map[string][]MX{}, Hosts: map[string][]netip.Addr{}}
		for i := range rapid.IntRange(1, 40).Draw(t, "hosts") {
			name := fmt.Sprintf("h%d.e", i)
			s.MXs["e"] = append(s.MXs["e"], MX{name, rapid.Uint16Range(0, 3).Draw(t, "pref")})
			for j := range rapid.IntRange(0, 6).Draw(t, "v6") {
				s.Hosts[name] = append(s.Hosts[name], netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:%x", i+1, j)))
			}
			for j := range rapid.IntRange(0, 6).Draw(t, "v4") {
				s.Hosts[name] = append(s.Hosts[name], netip.AddrFrom4([4]byte{192, 0, byte(i), byte(j)}))
			}
		}
		opts := FinderOptions{MaxHosts: rapid.IntRange(1, 6).Draw(t, "max hosts"), MaxAddrs: rapid.IntRange(1, 12).Draw(t, "max addrs")}
		f := NewFinder(s, opts)
		d, err := f.Find(context.Background(), "e")
		if err != nil {
			t.Fatal(err)
		}
		hosts, err := f.Hosts(context.Background(), d)
		if err != nil { // right only if none of those looked at has an address
			if slices.ContainsFunc(d.MX, func(m MX) bool { return len(s.Hosts[m.Host]) > 0 }) {
				t.Fatal(err)
			}
			return
		}
		total := 0
		for i, h := range hosts {
			total += len(h.Addrs)
			if len(h.Addrs) == 0 || i > 0 && h.Pref < hosts[i-1].Pref {
				t.Fatalf("%v", hosts)
			}
			has := func(a []netip.Addr) (v6, v4 bool) {
				return slices.ContainsFunc(a, netip.Addr.Is6), slices.ContainsFunc(a, netip.Addr.Is4)
			}
			was6, was4 := has(s.Hosts[h.Name])
			if is6, is4 := has(h.Addrs); len(h.Addrs) > 1 && (is6 != was6 || is4 != was4) {
				t.Fatalf("%s lost a family: %v of %v", h.Name, h.Addrs, s.Hosts[h.Name])
			}
		}
		if len(hosts) > opts.MaxHosts || total > opts.MaxAddrs {
			t.Fatalf("%d hosts with %d addresses, allowed are %+v", len(hosts), total, opts)
		}
	})
}

func TestStatic(t *testing.T) {
	s := world()
	s.Names = map[netip.Addr][]string{netip.MustParseAddr("192.0.2.1"): {"mx1.example.org"}}
	s.CNAMEs["round.example"] = "round.example"
	s.Errors["txt example.org"] = TemporaryError("", "", "refused")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct{ name, q, want string }{
		{"by preference", "mx example.org", "[{mx1.example.org 10} {mx2.example.org 20}]"},
		{"null MX", "mx null.example", "[{ 0}]"},
		{"addresses", "addr mx1.example.org", "[2001:db8::1 192.0.2.1]"},
		{"text", "txt empty.example", "[no mail here]"},
		{"names", "ptr 192.0.2.1", "[mx1.example.org]"},
		{"no name of an address", "ptr 192.0.2.99", "no such domain, 5.1.2, final"},
		{"a name with other records", "addr example.org", "no records, 5.4.4, final"},
		{"no name", "txt other.example", "no such domain, 5.1.2, final"},
		{"an impossible name", "txt a..b", "not a domain name, 5.1.2, final"},
		{"an error for one question", "txt example.org", "refused, 4.4.3, temporary"},
		{"an error for a name", "addr broken.example", "server failure, 4.4.3, temporary"},
		{"a CNAME loop", "addr round.example", "CNAME loop, 4.4.3, temporary"},
		{"nobody waits any more", "gone addr mx1.example.org", "timeout, 4.4.3, temporary"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			q, ok := strings.CutPrefix(test.q, "gone ")
			if ok {
				ctx = gone
			}
			got, err := ask(ctx, s, q)
			if err != nil {
				got = describeError(err)
			}
			if got != test.want {
				t.Errorf("%s: %s, want %s", test.q, got, test.want)
			}
		})
	}
	if n := s.Calls("mx", "example.org"); n != 1 {
		t.Errorf("mx example.org was counted %d times", n)
	}
	if n := s.Calls("", "example.org"); n != 3 {
		t.Errorf("example.org was counted %d times", n)
	}
	if s.Errors["broken.example"].Name != "" {
		t.Error("a table was changed")
	}
}

func BenchmarkFind(b *testing.B) {
	f := NewFinder(world(), FinderOptions{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.Find(context.Background(), "example.org"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCachedMX(b *testing.B) {
	s := &nameServer{records: zone(records)}
	c, _ := scripted(Options{}, nil)
	defer c.Close()
	c.cache.put(question{"example.org", 15}, c.keep(collect(question{"example.org", 15}, s.records[:2]), 3600))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.MX(context.Background(), "example.org"); err != nil {
			b.Fatal(err)
		}
	}
}
