package health

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

func TestARangeThatAnotherServerWasRefusedForReachesOurEgressInIt(t *testing.T) {
	b := New(Options{Sources: map[string]Source{
		"near": {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.200")}},
		"far":  {Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.1")}},
	}}, slog.New(slog.DiscardHandler))
	refused := netVerdict
	ev := Evidence{At: time.Now(), Key: Key{"mx1.example.jp", "google"}, Verdict: refused}
	b.Observe(ev) // no address, no network
	if got := b.Path("near", "google"); got.State != Healthy {
		t.Errorf("without an address: %v", got.State)
	}
	ev.Verdict.IP = netip.MustParseAddr("192.0.2.10")
	b.Observe(ev)
	if near, far := b.Path("near", "google"), b.Path("far", "google"); near.State != Suspect || far.State != Healthy {
		t.Errorf("near %v, far %v", near.State, far.State)
	}
}
