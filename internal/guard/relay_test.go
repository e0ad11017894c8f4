package guard

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ukai/internal/i18n"
)

func list(t interface{ Fatal(...any) }, s string) (out []netip.Prefix) {
	for f := range strings.FieldsSeq(s) {
		p, err := netip.ParsePrefix(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestNetworksThatMayRelayAreNobodyElses(t *testing.T) {
	for networks, key := range map[string]string{
		"":                    "",
		"127.0.0.0/8 ::1/128": "",
		"10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fc00::/7 fe80::/10": "",
		"192.0.2.0/24 2001:db8::/32":        "",
		"17.0.0.0/8":                        "",
		"2400::/16":                         "",
		"::ffff:192.0.2.0/120":              "",
		"192.0.2.1/24":                      "",
		"17.0.0.0/8 17.1.0.0/16 10.0.0.0/8": "",
		"17.0.0.0/9 17.128.0.0/9":           "",
		"17.0.0.0/8 2400::/16":              "",
		"0.0.0.0/0":                         "guard.error.relay_world",
		"10.0.0.0/0":                        "guard.error.relay_world",
		"::/0":                              "guard.error.relay_world",
		"::1/0":                             "guard.error.relay_world",
		"fc00::/6":                          "guard.error.relay_world",
		"::ffff:0.0.0.0/96":                 "guard.error.relay_world",
		"::ffff:16.0.0.0/100":               "guard.error.relay_world",
		"::ffff:0:0/95":                     "guard.error.relay_world",
		"2000::/3":                          "guard.error.relay_world",
		"2400::/15":                         "guard.error.relay_world",
		"16.0.0.0/7":                        "guard.error.relay_world",
		"10.0.0.0/7":                        "guard.error.relay_world",
		"2002::/16":                         "guard.error.relay_world",
		"2001::/32":                         "guard.error.relay_world",
		"64:ff9b::/96":                      "guard.error.relay_world",
		"64:ff9b::/64":                      "guard.error.relay_world",
		"2001::/16":                         "guard.error.relay_world",
		"192.0.2.0/24 0.0.0.0/1":            "guard.error.relay_world",
		"17.0.0.0/8 18.0.0.0/24":            "guard.error.relay_sum",
		"17.0.0.0/9 18.0.0.0/9 19.0.0.0/24": "guard.error.relay_sum",
		"2400::/16 2600::/64":               "guard.error.relay_sum",
	} {
		_, err := NewRelay(list(t, networks))
		got := ""
		var e *i18n.Error
		if errors.As(err, &e) {
			got = e.Key
		}
		if got != key {
			t.Errorf("%q: %q, want %q", networks, got, key)
		}
		if e != nil && (strings.Contains(e.Text(i18n.JA), "{") || strings.Contains(e.Text(i18n.EN), "{")) {
			t.Errorf("%q: %s", networks, e.Text(i18n.JA))
		}
	}
	if err := Validate([]netip.Prefix{{}}); err == nil {
		t.Error("a network that is none was taken")
	}
}

func TestRelayAllows(t *testing.T) {
	r, err := NewRelay(list(t, "192.0.2.1/24 ::ffff:198.51.100.0/120 2001:db8::/32"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"192.0.2.200": true, "::ffff:192.0.2.200": true, "198.51.100.1": true, "2001:db8::1": true, "2001:db8::1%eth0": true,
		"192.0.3.1": false, "2001:db9::1": false, "127.0.0.1": false, "::1": false,
	} {
		if got := r.Allows(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if (Relay{}).Allows(netip.MustParseAddr("127.0.0.1")) || r.Allows(netip.Addr{}) {
		t.Error("nobody was let in")
	}
}

// However a list is put together: if it passes, nearly everybody out there is refused.
func TestNoListThatPassesIsAnOpenRelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var networks []netip.Prefix
		for range rapid.IntRange(1, 300).Draw(t, "networks") {
			b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
			a, _ := netip.AddrFromSlice(b)
			bits := rapid.IntRange(0, 32).Draw(t, "bits")
			if rapid.Bool().Draw(t, "mapped") {
				networks = append(networks, netip.PrefixFrom(netip.AddrFrom16(a.As16()), 96+bits))
				continue
			}
			networks = append(networks, netip.PrefixFrom(a, bits))
		}
		r, err := NewRelay(networks)
		if err != nil {
			return
		}
		in := 0
		for i := range 256 { // one address in each /8
			if r.Allows(netip.AddrFrom4([4]byte{byte(i), 77, 77, 77})) && i != 10 && i != 127 && i != 100 {
				in++
			}
		}
		if in > 64 {
			t.Fatalf("%v lets %d of 256 in", networks, in)
		}
	})
}
