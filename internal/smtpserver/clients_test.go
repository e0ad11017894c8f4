package smtpserver

import (
	"net/netip"
	"testing"
	"time"
)

func TestClientsAreForgottenWhenNothingHasToBeRemembered(t *testing.T) {
	var c clients
	now := time.Unix(1_700_000_000, 0)
	l := &(Options{}).withDefaults().Clients
	a := netip.MustParseAddr("192.0.2.1")
	for range 100 {
		a = a.Next()
		if r := c.admit(now, a, l); r != "" {
			t.Fatal(r)
		}
		c.release(a)
	}
	wrong, here := a.Next(), a.Next().Next()
	c.authFailed(now.Add(9*time.Minute), wrong)
	if r := c.admit(now, here, l); r != "" {
		t.Fatal(r)
	}
	if r := c.admit(now.Add(12*time.Minute), netip.MustParseAddr("2001:db8::1"), l); r != "" {
		t.Fatal(r)
	}
	if len(c.table) != 3 || c.table[clientKey(wrong)] == nil || c.table[clientKey(here)] == nil {
		t.Errorf("%d clients are remembered", len(c.table))
	}
	if d := c.authFailed(now.Add(18*time.Minute), wrong); d != time.Minute/30 {
		t.Errorf("a second failure waits %v", d)
	}
	if d := c.authFailed(now.Add(29*time.Minute), wrong); d != time.Second {
		t.Errorf("after ten minutes without: %v", d)
	}
	if c.total != 2 {
		t.Errorf("%d sessions", c.total)
	}
}

func TestClientKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::1:2:3": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := clientKey(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := clientKey(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %v", got)
	}
}
