package dnsbl

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// The examples of rbldnsd(8): all lines of a group mean the same addresses.
func TestTheWaysToWriteAddressesOfRbldnsd(t *testing.T) {
	groups := []struct {
		lines       []string
		first, last string
	}{
		{[]string{"127.0.0.0/24", "127.0.0", "127.0.0.0-127.0.0.255", "127.0.0.0-255"}, "127.0.0.0", "127.0.0.255"},
		{[]string{"127.16.0.0-127.31.255.255", "127.16.0-127.31.255", "127.16-127.31", "127.16-31", "127.16.0.0/12", "127.16.0/12", "127.16/12"}, "127.16.0.0", "127.31.255.255"},
		{[]string{"127.16.0-31", "127.16.0.0/19"}, "127.16.0.0", "127.16.31.255"},
		{[]string{"192.0.2.7", "192.0.2.7/32", "192.0.2.7-192.0.2.7"}, "192.0.2.7", "192.0.2.7"},
		{[]string{"127/8 ; loopback"}, "127.0.0.0", "127.255.255.255"},
	}
	for _, g := range groups {
		first, last := netip.MustParseAddr(g.first), netip.MustParseAddr(g.last)
		for _, line := range g.lines {
			f, err := ReadFeed("f", line+"\n", IP4Set)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			for ip, want := range map[netip.Addr]bool{first: true, last: true, first.Prev(): false, last.Next(): false} {
				if _, _, got := f.Listed(ip); got != want {
					t.Errorf("%q: %s listed: %v", line, ip, got)
				}
			}
		}
	}
}

func TestWhatAFeedAnswers(t *testing.T) {
	const text = `# a comment
; another
$SOA 60 ns.example.com host.example.com 0 1h 1h 1w 1h
$NS 60 ns.example.com
$TTL 60
$1 See https://example.com/bl
192.0.2.1
:127.0.0.5:IP address $ is listed
192.0.2.2
192.0.2.3 :6
192.0.2.4 :7:
192.0.2.5 :127.0.0.8:$1/$ costs $$5
192.0.2.6 an open relay
198.51.100.0/24 # a network
!198.51.100.9
2001:db8:1/36
!2001:db8::bead
`
	f, err := ReadFeed("f", text, IP4Trie)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ ip, code, reason string }{
		{"192.0.2.1", "127.0.0.2", ""},
		{"192.0.2.2", "127.0.0.5", "IP address 192.0.2.2 is listed"},
		{"192.0.2.3", "127.0.0.6", "IP address 192.0.2.3 is listed"},
		{"192.0.2.4", "127.0.0.7", ""},
		{"192.0.2.5", "127.0.0.8", "See https://example.com/bl/192.0.2.5 costs $5"},
		{"192.0.2.6", "127.0.0.5", "an open relay"},
		{"198.51.100.1", "127.0.0.5", "IP address 198.51.100.1 is listed"},
		{"198.51.100.9", "", ""},
		{"192.0.2.7", "", ""},
		{"2001:db8:1::5", "127.0.0.5", "IP address 2001:db8:1::5 is listed"},
		{"2001:db8::bead", "", ""},
	} {
		code, reason, ok := f.Listed(netip.MustParseAddr(tt.ip))
		got := ""
		if ok {
			got = code.String()
		}
		if got != tt.code || reason != tt.reason {
			t.Errorf("%s: %q %q, want %q %q", tt.ip, got, reason, tt.code, tt.reason)
		}
	}
	if n := f.Count(netip.MustParsePrefix("198.51.100.0/24")); n != 255 {
		t.Errorf("%d addresses of the network", n)
	}
}

func TestPlainListsAndJSON(t *testing.T) {
	plain := "# list\n192.0.2.1\n192.0.2.8/30 ; SBL1\n2001:db8::/32\n203.0.113.4-203.0.113.6, x\n\n"
	json := `{"cidr":"192.0.2.0/24","sblid":"SBL7","rir":"apnic"}
{"type":"metadata","timestamp":1}
`
	for _, tt := range []struct {
		format         Format
		text, ip, want string
	}{
		{CIDR, plain, "192.0.2.1", ""}, {CIDR, plain, "192.0.2.11", "SBL1"}, {CIDR, plain, "192.0.2.12", "-"},
		{CIDR, plain, "2001:db8:9::1", ""}, {CIDR, plain, "203.0.113.6", "x"}, {CIDR, plain, "203.0.113.7", "-"},
		{JSON, json, "192.0.2.200", "SBL7"}, {JSON, json, "192.0.3.0", "-"},
	} {
		f, err := ReadFeed("f", tt.text, tt.format)
		if err != nil {
			t.Fatal(err)
		}
		_, reason, ok := f.Listed(netip.MustParseAddr(tt.ip))
		if !ok {
			reason = "-"
		}
		if reason != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.format, tt.ip, reason, tt.want)
		}
	}
}

func TestDomainsOfAFeed(t *testing.T) {
	f, err := ReadFeed("f", "one.example\n*.below.example\n.both.example :3:$ and all below\n!good.both.example\n例え.jp\n", DNSet)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"one.example": true, "www.one.example": false, "below.example": false, "a.b.below.example": true,
		"both.example": true, "x.both.example": true, "good.both.example": false, "xn--r8jz45g.jp": true, "example": false,
	} {
		if got := f.domain(name) != 0; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAFeedWithABrokenLineIsNoFeed(t *testing.T) {
	for format, lines := range map[Format][]string{
		IP4Set:  {"192.0.2", "192.0.2.300", "x", "192.0.2.0/33", "192.0.2.9-192.0.2.1", "192.0.2.1 :x:y", "$DATASET ip4set a", "1.2.3.4.5"},
		IP4Trie: {"192.0.2.1-192.0.2.9", "2001:db8::/129", "2001:zz::"},
		DNSet:   {"a..b", ".", "*."},
		CIDR:    {"192.0.2.1/", "nonsense", "192.0.2.9-192.0.2.1", "fe80::1%eth0", "<html>"},
		JSON:    {"{", "{}", `{"cidr":"x"}`},
		"xml":   {"<a/>"},
	} {
		for _, line := range lines {
			if line == "192.0.2" && format == IP4Set { // a prefix of octets
				continue
			}
			if _, err := ReadFeed("f", "\n"+line+"\n", format); err == nil {
				t.Errorf("%s: %q was taken", format, line)
			}
		}
		if _, err := ReadFeed("f", "# nothing\n", format); err == nil {
			t.Errorf("%s: a feed without entries was taken", format)
		}
	}
}

func FuzzReadFeed(f *testing.F) {
	for _, s := range []string{"127.0.0.2 :2:x $ $1 $$\n!10/8\n:3:y", "10.0.0.1-255\n10.1-31", "2001:db8::/32", ".example.com\n*.x.example", `{"cidr":"192.0.2.0/24"}`, "$1 a\n1.2.3.4 $1"} {
		for i := range formats {
			f.Add(s, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		feed, err := ReadFeed("f", text, formats[int(n)%len(formats)])
		if err != nil {
			return
		}
		for _, s := range []string{"0.0.0.0", "127.0.0.2", "255.255.255.255", "::", "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
			feed.Listed(netip.MustParseAddr(s))
		}
		if n := feed.Count(netip.MustParsePrefix("0.0.0.0/0")); n < 0 || n > 1<<32 {
			t.Fatalf("%d addresses", n)
		}
		feed.domain("www.example.com")
	})
}

func BenchmarkFeedLookup(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var text strings.Builder
	for range 1_000_000 {
		fmt.Fprintf(&text, "%d.%d.%d.%d/%d\n", 1+rng.IntN(222), rng.IntN(256), rng.IntN(256), rng.IntN(256), 20+rng.IntN(13))
	}
	f, err := ReadFeed("f", text.String(), CIDR)
	if err != nil {
		b.Fatal(err)
	}
	ips := make([]netip.Addr, 1<<16)
	for i := range ips {
		ips[i] = netip.AddrFrom4([4]byte{byte(1 + rng.IntN(222)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
	}
	i := 0
	for b.Loop() {
		f.tree.Find(ips[i&(1<<16-1)])
		i++
	}
}
