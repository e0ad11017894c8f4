package steer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/health"
	"ukai/internal/mtaconf"
)

func TestTheHostsOfAProviderAreItsSuffixes(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	now := time.Now()
	for _, id := range []string{"google", "example.net", "[192.0.2.1]"} {
		d.health.Block(health.Key{Egress: "direct", Provider: id}, health.Pin{At: now})
	}
	got, ok := d.Detours("web")
	if !ok || !slices.Contains(got.Hosts, "*.google.com") || !slices.Contains(got.Hosts, "example.net") || !slices.Contains(got.Hosts, "*.example.net") {
		t.Errorf("%q", got.Hosts)
	}
	for _, h := range got.Hosts {
		if strings.ContainsAny(h, "[] :") {
			t.Errorf("%q", h)
		}
	}
}

func TestASuffixOfAnotherProviderBelowOneThatIsBlockedIsLeftOut(t *testing.T) {
	d := newDesk(t, Options{})
	var err error
	d.Providers, err = d.Providers.With("test.toml", []byte(`
[[provider]]
id = "upper"
name = "Upper"
type = "mailbox"
confidence = "high"
mx = ["mail.upper.test"]

[[provider]]
id = "lower"
name = "Lower"
type = "mailbox"
confidence = "high"
mx = ["own.mail.upper.test"]
`))
	if err != nil {
		t.Fatal(err)
	}
	d.set(Server{Name: "web", Egress: "direct"})
	d.health.Block(health.Key{Egress: "direct", Provider: "upper"}, health.Pin{At: time.Now()})
	got, _ := d.Detours("web")
	if want := []string{"!own.mail.upper.test", "!*.own.mail.upper.test", "mail.upper.test", "*.mail.upper.test"}; !slices.Equal(got.Hosts, want) {
		t.Errorf("%q", got.Hosts)
	}
	d.health.Block(health.Key{Egress: "direct", Provider: "lower"}, health.Pin{At: time.Now()})
	if got, _ = d.Detours("web"); strings.Contains(strings.Join(got.Hosts, " "), "!") {
		t.Errorf("both are blocked: %q", got.Hosts)
	}
}

func TestADomainTakesItsTurnAsTheProbeOfAFile(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Net: true})
	began := time.Now()
	for i := range 100 {
		d.Seen("web", fmt.Sprintf("d%d.example", i), "google", began)
	}
	d.block("web", "google", began)
	srv := d.named([]byte("web"))
	count := func(at time.Duration) int {
		got, next := d.Steer.detours(srv, began.Add(at))
		if next.IsZero() {
			t.Errorf("after %v nobody looks again", at)
		}
		return len(got.Domains)
	}
	due := d.health.Path("web", "google").ProbeAt.Sub(began) + lag
	if n := count(due - time.Second); n != 100 {
		t.Errorf("before the probe: %d", n)
	}
	if n := count(due); n != 99 {
		t.Errorf("when it is due: %d", n)
	}
	if n := count(due + fileTrialFor); n != 98 {
		t.Errorf("when nobody wrote to the first one: %d", n)
	}
	if n := count(due + 100*fileTrialFor); n != 100-1<<mostTried {
		t.Errorf("hours later: %d", n)
	}
	d.set(Server{Name: "web"})
	if got, _ := d.Steer.detours(srv, began.Add(due)); len(got.Domains) != 100 {
		t.Errorf("without a net: %d", len(got.Domains))
	}
}

func TestWhatWasLearnedSurvivesARestart(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	now := time.Now()
	d.Seen("web", "A.example", "google", now)
	d.Seen("web", "old.example", "google", now.Add(-100*day))
	d.Seen("nobody", "b.example", "google", now)
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.forget(now)
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), d.Parts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Set(t.Context(), []Server{{Name: "web", Egress: "direct"}}); err != nil {
		t.Fatal(err)
	}
	again.Changed(health.Change{Key: health.Key{Egress: "direct", Provider: "google"}, To: health.Blocked})
	d.health.Block(health.Key{Egress: "direct", Provider: "google"}, health.Pin{At: now})
	if got, _ := again.Detours("web"); !slices.Equal(got.Domains, []string{"a.example"}) {
		t.Errorf("%q", got.Domains)
	}
}

func TestAServerThatIsTakenOutLeavesNothingBehind(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web"}, Server{Name: "box"})
	d.Seen("web", "a.example", "google", time.Now())
	d.Seen("box", "a.example", "google", time.Now())
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Seen("web", "b.example", "google", time.Now()) // not written down when it goes
	d.set(Server{Name: "box"})
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := d.DB.Read.QueryRow("SELECT group_concat(server || ' ' || domain) FROM steer_domain").Scan(&left); err != nil || left != "box a.example" {
		t.Errorf("%q, %v", left, err)
	}
	d.set(Server{Name: "box"}, Server{Name: "web"})
	if st, ok := d.StatusOf("web"); !ok || st.Domains != 0 {
		t.Errorf("one of the same name knows %d domains of the first", st.Domains)
	}
}

func TestADomainOnTheDetourIsNotForgotten(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	now := time.Now()
	d.Seen("web", "a.example", "google", now.Add(-100*day))
	d.block("direct", "google", now)
	d.forget(now)
	if n := d.Status()[0].Domains; n != 1 {
		t.Errorf("%d domains", n)
	}
}

func TestADomainThatMovedAwayLeavesTheFile(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct", Files: []mtaconf.RouteFile{list}, Distant: true})
	d.Seen("web", "a.example", "google", time.Now())
	d.Seen("web", "b.example", "google", time.Now())
	d.block("direct", "google", time.Now())
	d.world["a.example"] = "fastmail" // what b.example does, nobody can find out
	d.revisit(context.Background())
	if got, _ := d.Detours("web"); !slices.Equal(got.Domains, []string{"b.example"}) {
		t.Errorf("%q", got.Domains)
	}
}

func TestTheDomainsOfAServerAreBounded(t *testing.T) {
	d := newDesk(t, Options{Known: 100})
	d.set(Server{Name: "web"})
	now := time.Now()
	for i := range 1000 {
		d.Seen("web", fmt.Sprintf("d%d.example", i), "google", now.Add(time.Duration(i)*time.Second))
	}
	if n := d.Status()[0].Domains; n != 100 {
		t.Errorf("%d domains", n)
	}
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := d.DB.Read.QueryRow("SELECT count(*) FROM steer_domain").Scan(&n); err != nil || n != 100 {
		t.Errorf("%d rows, %v", n, err)
	}
}
