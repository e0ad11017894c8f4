package dnsbl

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ukai/internal/dns"
)

// A file that is taken is a catalogue that can be used; one that is not leaves nothing behind.
func FuzzCatalogue(f *testing.F) {
	f.Add(oneList)
	f.Add("extends = true\n[keys]\nspamhaus = \"k\"\n")
	f.Add("[[list]]\nid = \"a\"\nkeyed_zone = \"{key}.a.example\"\n[list.entries]\nlists = [\"domain\"]\ncodes = [{code=\"bit 4\"},{code=\"127.0.x.1-9\"}]\n[keys]\na = \"k\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("fuzz.toml", []byte(text))
		if err != nil {
			if c != nil {
				t.Fatal("half a catalogue was loaded")
			}
			return
		}
		for _, k := range []Kind{IP4, IP6, Domain} {
			for _, l := range c.For(k, true) {
				l.testNames(k)
				if l.Shown() == "" && l.Feed.Path == "" {
					t.Errorf("%s is to be asked at no zone", l.ID)
				}
				if l.key != "" && strings.Contains(l.KeyedZone, "{key}") && l.Shown() == l.zone() && l.key != "***" {
					t.Errorf("the key of %s is shown", l.ID)
				}
			}
		}
	})
}

// Whatever comes back: a listing needs an address in 127.0.0.0/8 that is no error, and "clean" needs that there be none.
func FuzzInterpret(f *testing.F) {
	f.Add(uint8(0), []byte{127, 0, 0, 2}, false, false)
	f.Add(uint8(0), []byte{127, 0, 0, 2, 127, 255, 255, 254}, true, false)
	f.Add(uint8(3), []byte{}, true, false)
	f.Add(uint8(5), []byte{127, 0, 0, 1, 8, 8, 8, 8}, false, true)
	c, err := Parse("test.toml", []byte(oneList))
	if err != nil {
		f.Fatal(err)
	}
	target := Target{IP: netip.MustParseAddr("192.0.2.5")}
	f.Fuzz(func(t *testing.T, rcode uint8, octets []byte, alias, referral bool) {
		r := dns.Reply{Rcode: int(rcode & 15), Alias: alias, Referral: referral, TTL: time.Second}
		for ; len(octets) >= 4; octets = octets[4:] {
			r.Addrs = append(r.Addrs, netip.AddrFrom4([4]byte(octets[:4])))
		}
		a := c.Interpret(c.Lists[0], target, r, nil)
		doubtful := false
		for _, ip := range r.Addrs {
			b := ip.As4()
			doubtful = doubtful || b[0] != 127 || b[1] == 255 && b[2] == 255 || b == [4]byte{127, 0, 0, 1}
		}
		switch {
		case a.State == Listed && (doubtful || len(r.Addrs) == 0 || r.Rcode != dns.NoError):
			t.Fatalf("listed by %+v", r)
		case a.State == Clean && (doubtful && r.Rcode == dns.NoError || r.Rcode != dns.NoError && r.Rcode != dns.NXDomain || alias && len(r.Addrs) == 0):
			t.Fatalf("clean by %+v", r)
		case a.State.Told() != (a.Why == ""):
			t.Fatalf("%s because of %q", a.State, a.Why)
		}
	})
}
