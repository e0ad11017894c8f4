package app

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/peersim"
)

const oneList = `
[[list]]
id = "zen"
zone = "zen.example"
[list.entries]
lists = ["ip4"]
codes = [{ code = "127.0.0.2", meaning = "spam" }]
[list.use]
providers = ["icloud"]
`

// events collects what an incident tells.
type events struct {
	mu  sync.Mutex // guards all
	all []incident.Event
}

func (e *events) add(x incident.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, x)
}

func (e *events) count(n incident.News) (c int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.all {
		if e.all[i].News == n {
			c++
		}
	}
	return c
}

func TestAListingShutsThePathOfThoseWhoUseTheListUntilAProbeGoesThrough(t *testing.T) {
	w, err := peersim.Start(peersim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	test, own := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("192.0.2.25")
	w.List("zen.example", test, test, "test entry")
	c := settings(t)
	const speed = 3000
	c.Health = health.Thresholds{}.Scaled(speed)
	c.Lists.Resolver, c.Lists.Addresses = w.DNS(), []netip.Addr{own}
	c.Lists.Catalogue = filepath.Join(filepath.Dir(c.Data), "lists.toml")
	if err := os.WriteFile(c.Lists.Catalogue, []byte(oneList), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen events
	a, _ := running(t, c, Options{Speed: speed, OnIncident: seen.add})
	key := health.Key{Egress: "direct", Provider: "icloud"}
	sent := func(probe bool) {
		a.health.Observe(health.Evidence{At: time.Now(), Key: key, Verdict: classify.Verdict{Action: classify.Deliver}, Probe: probe})
	}
	sent(false)
	client := api.NewClient(c.Data)
	status := func() api.Status {
		s, err := client.Status(context.Background())
		if err != nil || s.Lists == nil {
			t.Fatal(err, "no lists in the status")
		}
		return s
	}
	eventually(t, "look at the lists", func() bool { s := status(); return len(s.Lists.Targets) == 1 && !s.Lists.Checked.IsZero() })
	w.List("zen.example", own, test, "for spam")
	eventually(t, "block of the path", func() bool { return a.health.Path("direct", "icloud").State == health.Blocked })
	eventually(t, "listing in the status", func() bool { s := status(); return len(s.Lists.Listed) == 1 && s.Lists.Listed[0].Verdict == "culprit" })
	if p := a.health.Path("direct", "google"); p.State != health.Healthy {
		t.Errorf("google does not use the list, and yet %v", p.State)
	}
	if n := seen.count(incident.WasOpened); n != 1 {
		t.Fatalf("%d incidents", n)
	}
	w.Delist("zen.example", own)
	eventually(t, "end of the listing", func() bool { return len(status().Lists.Listed) == 0 })
	eventually(t, "healthy path, by probes", func() bool {
		if a.health.BeginProbe(key, time.Now()) {
			sent(true)
		}
		return a.health.Path("direct", "icloud").State == health.Healthy
	})
	eventually(t, "end of the incident", func() bool { return seen.count(incident.WasClosed) == 1 })
	if n := seen.count(incident.WasReopened); n != 0 {
		t.Errorf("it reopened %d times", n)
	}
}

func TestSettingsOfTestsAskNoList(t *testing.T) {
	c := settings(t)
	c.DNS.AllowLoopback = true
	c.Lists.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.25")}
	a, _ := running(t, c, Options{})
	if s := a.lists.Status(); s.On {
		t.Errorf("%+v", s)
	}
}
