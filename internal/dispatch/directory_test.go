package dispatch

import (
	"net/netip"
	"testing"
	"time"

	"ukai/internal/dns"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

func directory(t *testing.T, r dns.Resolver) *Directory {
	t.Helper()
	cat, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	return NewDirectory(r, dns.NewFinder(r, dns.FinderOptions{Unusable: []netip.Prefix{}}), cat, time.Minute)
}

func TestAddressLiteralsNeedNoLookup(t *testing.T) {
	d := directory(t, &dns.Static{})
	for in, want := range map[string]string{"[192.0.2.1]": "192.0.2.1", "[IPv6:2001:db8::1]": "2001:db8::1", "[ipv6:2001:DB8::1]": "2001:db8::1"} {
		dest, o := d.Find(t.Context(), in)
		if o != nil {
			t.Fatalf("%s: %+v", in, o)
		}
		hosts, err := d.Hosts(t.Context(), dest)
		if err != nil || len(hosts) != 1 || hosts[0].Addrs[0].String() != want {
			t.Errorf("%s: %v, %v", in, hosts, err)
		}
	}
	if _, ok := literal("[192.0.2.1"); ok {
		t.Error("an open bracket is taken for a literal")
	}
}

func TestDomainsWithTheSameHostsShareASiteAndAProvider(t *testing.T) {
	mx := []dns.MX{{Host: "aspmx.l.google.com", Pref: 1}, {Host: "alt1.aspmx.l.google.com", Pref: 5}}
	d := directory(t, &dns.Static{MXs: map[string][]dns.MX{"a.example": mx, "b.example": mx, "c.example": {{Host: "mx.c.example", Pref: 10}}}})
	sites := map[string]*Destination{}
	for _, domain := range []string{"a.example", "b.example", "c.example"} {
		dest, o := d.Find(t.Context(), domain)
		if o != nil {
			t.Fatal(o.Text())
		}
		sites[domain] = dest
	}
	if sites["a.example"].Site != sites["b.example"].Site || sites["a.example"].Provider != "google" {
		t.Errorf("a: %+v, b: %+v", sites["a.example"], sites["b.example"])
	}
	if sites["c.example"].Site == sites["a.example"].Site || sites["c.example"].Provider != "c.example" {
		t.Errorf("c: %+v", sites["c.example"])
	}
	if _, ok := d.Cached("a.example", time.Now()); !ok {
		t.Error("a fresh answer is not remembered")
	}
	if _, ok := d.Cached("a.example", time.Now().Add(2*time.Minute)); ok {
		t.Error("an old answer is still used")
	}
}

func TestADomainThatDoesNotExistIsFinalAndOneThatCannotBeAskedIsNot(t *testing.T) {
	d := directory(t, &dns.Static{Errors: map[string]*dns.Error{"broken.example": {Reason: "server failure", Temporary: true, Status: "4.4.3"}}})
	_, gone := d.Find(t.Context(), "gone.example")
	_, broken := d.Find(t.Context(), "broken.example")
	if gone == nil || gone.ErrTemporary || gone.Phase != outcome.Lookup {
		t.Errorf("gone: %+v", gone)
	}
	if broken == nil || !broken.ErrTemporary || broken.Reply.Status.String() != "4.4.3" {
		t.Errorf("broken: %+v", broken)
	}
}
