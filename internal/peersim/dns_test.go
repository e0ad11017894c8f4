package peersim

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"ukai/internal/dns"
)

// query asks the world's name server.
func query(t *testing.T, w *World, network, name string, kind uint16) *mdns.Msg {
	t.Helper()
	q := new(mdns.Msg).SetQuestion(mdns.Fqdn(name), kind)
	c := mdns.Client{Net: network, Timeout: 300 * time.Millisecond}
	m, _, err := c.Exchange(q, w.DNS())
	if err != nil {
		return nil
	}
	return m
}

func dnsWorld(t *testing.T) *World {
	long := ""
	for range 60 {
		long += "0123456789"
	}
	return start(t, Options{
		Providers: []Provider{{Name: "google", Groups: []Group{
			{Domains: []string{"Gmail.com"}, MX: []string{"gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"}},
			{Domains: []string{"kaisha.example"}, MX: []string{"aspmx.l.google.com"}},
		}, Listen: []netip.Addr{netip.MustParseAddr("127.25.9.1"), netip.MustParseAddr("127.25.9.2")}}},
		Zone: Zone{
			MX: map[string][]string{"null.example": {""}}, Addr: map[string][]netip.Addr{"Both.example": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}},
			TXT: map[string][]string{"long.example": {long}}, CNAME: map[string]string{"alias.example": "kaisha.example", "loop.example": "loop.example"},
			PTR:     map[netip.Addr][]string{netip.MustParseAddr("127.0.0.1"): {"one.example"}, netip.MustParseAddr("2001:db8::1"): {"six.example"}},
			Trouble: map[string]Trouble{"broken.example": {Answer: ServFail}, "gone.example": {Answer: NXDomain}, "shy.example": {Answer: Refused}, "mute.example": {Answer: Silence}, "late.example": {Delay: time.Hour}},
		},
	})
}

func TestTheNameServerLeadsToTheProviders(t *testing.T) {
	w := dnsWorld(t)
	r, err := dns.New(dns.Options{Servers: []string{w.DNS()}, Timeout: 300 * time.Millisecond, Total: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	mx, err := r.MX(ctx, "gmail.com")
	if err != nil || len(mx) != 2 || mx[0] != (dns.MX{Host: "gmail-smtp-in.l.google.com", Pref: 10}) || mx[1].Pref != 20 {
		t.Errorf("%v %v", mx, err)
	}
	for host, want := range map[string]string{"gmail-smtp-in.l.google.com": "127.25.9.1", "alt1.gmail-smtp-in.l.google.com": "127.25.9.2", "aspmx.l.google.com": "127.25.9.1"} {
		if got, err := r.Addrs(ctx, host); err != nil || len(got) != 1 || got[0] != netip.MustParseAddr(want) {
			t.Errorf("%s: %v %v", host, got, err)
		}
	}
	if got, err := r.Addrs(ctx, "both.example"); err != nil || len(got) != 2 {
		t.Errorf("%v %v", got, err)
	}
	if mx, err = r.MX(ctx, "alias.example"); err != nil || len(mx) != 1 || mx[0].Host != "aspmx.l.google.com" {
		t.Errorf("%v %v", mx, err)
	}
	if got, err := r.TXT(ctx, "long.example"); err != nil || len(got) != 1 || len(got[0]) != 600 {
		t.Errorf("%v %v", got, err)
	}
	if got, err := r.PTR(ctx, netip.MustParseAddr("2001:db8::1")); err != nil || !slices.Equal(got, []string{"six.example"}) {
		t.Errorf("%v %v", got, err)
	}
	for name, want := range map[string]dns.Error{
		"nowhere.example": {NXDomain: true, NotFound: true}, "gone.example": {NXDomain: true, NotFound: true}, "both.example": {NotFound: true},
		"broken.example": {Temporary: true}, "shy.example": {Temporary: true}, "mute.example": {Temporary: true}, "late.example": {Temporary: true},
	} {
		var e *dns.Error
		if _, err := r.MX(ctx, name); !errors.As(err, &e) || e.NXDomain != want.NXDomain || e.NotFound != want.NotFound || e.Temporary != want.Temporary {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.Asked("MX", "Gmail.com."); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestTheNameServerInDetail(t *testing.T) {
	w := dnsWorld(t)
	if m := query(t, w, "udp", "long.example", mdns.TypeTXT); m == nil || !m.Truncated {
		t.Errorf("a long answer fits into 512 octets: %v", m)
	}
	if m := query(t, w, "tcp", "long.example", mdns.TypeTXT); m == nil || m.Truncated || len(m.Answer) != 1 {
		t.Errorf("over TCP: %v", m)
	}
	if m := query(t, w, "udp", "null.example", mdns.TypeMX); m == nil || len(m.Answer) != 1 || m.Answer[0].(*mdns.MX).Mx != "." || m.Answer[0].(*mdns.MX).Preference != 0 {
		t.Errorf("null MX: %v", m)
	}
	if m := query(t, w, "udp", "loop.example", mdns.TypeMX); m == nil || len(m.Answer) != maxChain {
		t.Errorf("a loop of CNAMEs: %v", m)
	}
	if m := query(t, w, "udp", "example", mdns.TypeMX); m == nil || m.Rcode != mdns.RcodeSuccess || len(m.Ns) != 1 {
		t.Errorf("a name with children exists: %v", m)
	}
	if m := query(t, w, "udp", "1.0.0.127.in-addr.arpa", mdns.TypePTR); m == nil || len(m.Answer) != 1 {
		t.Errorf("PTR: %v", m)
	}
	if m := query(t, w, "udp", "2.0.0.127.in-addr.arpa", mdns.TypePTR); m == nil || m.Rcode != mdns.RcodeNameError {
		t.Errorf("PTR of nobody: %v", m)
	}
	q := new(mdns.Msg)
	if m, _, err := new(mdns.Client).Exchange(q, w.DNS()); err != nil || m.Rcode != mdns.RcodeFormatError {
		t.Errorf("no question: %v %v", m, err)
	}
	w.EditZone(func(z *Zone) { z.MX["new.example"] = []string{"mx.new.example"} })
	if m := query(t, w, "udp", "NEW.example", mdns.TypeMX); m == nil || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 1 {
		t.Errorf("an edited zone: %v", m)
	}
}

func TestListings(t *testing.T) {
	w := start(t, Options{})
	ip4, ip6 := netip.MustParseAddr("153.122.1.2"), netip.MustParseAddr("2001:db8::1")
	w.List("zen.spamhaus.example", ip4, netip.MustParseAddr("127.0.0.10"), "https://www.spamhaus.org/query/ip/153.122.1.2")
	w.List("zen.spamhaus.example", ip6, netip.Addr{}, "")
	for name, want := range map[string]string{
		"2.1.122.153.zen.spamhaus.example": "127.0.0.10",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.example": "127.0.0.2",
	} {
		if m := query(t, w, "udp", name, mdns.TypeA); m == nil || len(m.Answer) != 1 || m.Answer[0].(*mdns.A).A.String() != want {
			t.Errorf("%s: %v", name, m)
		}
	}
	if m := query(t, w, "udp", "2.1.122.153.zen.spamhaus.example", mdns.TypeTXT); m == nil || len(m.Answer) != 1 {
		t.Errorf("TXT: %v", m)
	}
	w.Delist("zen.spamhaus.example", ip4)
	if m := query(t, w, "udp", "2.1.122.153.zen.spamhaus.example", mdns.TypeA); m == nil || m.Rcode != mdns.RcodeNameError {
		t.Errorf("still listed: %v", m)
	}
}
