package cli

import (
	"testing"

	"ukai/internal/mtaconf"
)

// TestARelayIsAnAddressOrAName holds what is written into a mail server's configuration to what can stand there.
func TestARelayIsAnAddressOrAName(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:2525":         "[127.0.0.1]:2525",
		"[2001:db8::1]:25":       "[2001:db8::1]:25",
		"Relay.Example.jp:587":   "[relay.example.jp]:587",
		"relay.example.jp":       "[relay.example.jp]:25",
		"中継.example:25":          "[xn--fiqz96i.example]:25",
		"":                       "",
		":25":                    "",
		"relay.example:0":        "",
		"relay.example:65536":    "",
		"relay.example:smtp":     "",
		"a]:25, [b:25":           "",
		"$(id):25":               "",
		"relay.example\nmail:25": "",
		"relay example:25":       "",
		"fe80::1%eth0":           "",
	} {
		var p mtaconf.Peer
		err := setAddress(&p, given)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken as %s", given, p.Literal())
		case want != "" && (err != nil || p.Literal() != want):
			t.Errorf("%q: %s, %v; want %s", given, p.Literal(), err, want)
		}
	}
}
