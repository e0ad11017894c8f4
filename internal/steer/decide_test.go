package steer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ukai/internal/health"
)

func TestTheDomainOfAQuestionIsFound(t *testing.T) {
	for key, want := range map[string]string{
		"a@example.com":                  "example.com",
		"A@EXAMPLE.com.":                 "example.com",
		"example.com":                    "example.com",
		`"a@b"@example.com`:              "example.com",
		"@a.example:b@example.com":       "example.com",
		"user%host@example.com":          "example.com",
		"user+ext@mail.example.com":      "mail.example.com",
		"a@bücher.example":               "xn--bcher-kva.example",
		"a@日本語.example":                  "xn--wgv71a119e.example",
		"a@xn--bcher-kva.example":        "xn--bcher-kva.example",
		"a@_dmarc.example.com":           "_dmarc.example.com",
		"a@localhost":                    "localhost",
		"root":                           "",
		"*":                              "",
		"":                               "",
		"@":                              "",
		"a@":                             "",
		"a@example.com..":                "",
		"a@a..example":                   "",
		"a@.":                            "",
		".example.com":                   "",
		".":                              "",
		"a@[192.0.2.1]":                  "",
		"a@[IPv6:2001:db8::1]":           "",
		"a@exa mple.com":                 "",
		"a@example.com\x00":              "",
		"a@*.com":                        "",
		"a@!example.com":                 "",
		"a@\xff.example":                 "",
		"a@" + strings.Repeat("a.", 129): "",
	} {
		if got := string(domainOf([]byte(key), nil)); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

func TestOnlyWhatMeansItselfStandsInAFile(t *testing.T) {
	for domain, want := range map[string]string{
		"Example.COM":                        "example.com",
		"example.com.":                       "example.com",
		"bücher.example":                     "bücher.example",
		"a..example":                         "",
		"#example.com":                       "",
		"!example.com":                       "",
		"*":                                  "",
		"*.example.com":                      "",
		"example.com:25":                     "",
		"example.com\nevil.com":              "",
		"a b.example":                        "",
		"":                                   "",
		"[192.0.2.1]":                        "",
		strings.Repeat("a", 64) + ".example": "",
	} {
		if got, _ := fileDomain(domain); got != want {
			t.Errorf("%q: %q, want %q", domain, got, want)
		}
	}
}

func FuzzTheDomainOfAQuestionIsALowerCaseName(f *testing.F) {
	for _, s := range []string{"a@example.com", "*", `"@"@x.y`, "a@bücher.example", "a@[::1]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		d := string(domainOf(key, nil))
		if d == "" {
			return
		}
		for i := range len(d) {
			if !domainLetter(d[i]) {
				t.Fatalf("%q: %q", key, d)
			}
		}
		if again := string(domainOf([]byte("x@"+d), nil)); again != d {
			t.Fatalf("%q: %q, then %q", key, d, again)
		}
	})
}

func TestAnUnknownDomainIsAnsweredAtOnceAndLookedUpInTheBackground(t *testing.T) {
	d := newDesk(t, Options{})
	d.world["shop.example"] = "google"
	d.set(Server{Name: "web", Egress: "direct"})
	d.block("direct", "google", time.Now())
	now := time.Now()
	if d.detours("web", "a@shop.example", now) {
		t.Error("the first answer already knows")
	}
	d.run()
	until(t, "the domain is known", func() bool { return d.detours("web", "a@shop.example", now) })
	if !d.detours("web", "b@gmail.com", now) {
		t.Error("gmail.com needs no MX")
	}
	if d.detours("web", "b@outlook.com", now) {
		t.Error("another provider takes the detour, too")
	}
	if n := d.asked["shop.example"]; n != 1 {
		t.Errorf("the DNS was asked %d times", n)
	}
}

func TestAHangingDNSDelaysNoAnswerAndIsNotAskedTwice(t *testing.T) {
	d := newDesk(t, Options{Askers: 2})
	d.hang = make(chan struct{})
	d.set(Server{Name: "web", Egress: "direct"})
	d.run()
	began := time.Now()
	for i := range 20_000 {
		if d.detours("web", fmt.Sprintf("a@d%d.example", i%10_000), began) {
			t.Fatal("a detour for a domain that nobody knows")
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20,000 answers took %v", took)
	}
	d.mu.Lock()
	for domain, n := range d.asked {
		if n > 1 {
			t.Errorf("%s was asked %d times", domain, n)
		}
	}
	d.mu.Unlock()
	close(d.hang)
}

func TestNameServersThatAreAwayChangeNothing(t *testing.T) {
	d := newDesk(t, Options{Keep: time.Hour})
	d.set(Server{Name: "web", Egress: "direct"})
	d.block("direct", "google", time.Now())
	d.world["shop.example"] = "google"
	d.find(t.Context(), "shop.example")
	delete(d.world, "shop.example")
	d.find(t.Context(), "shop.example")
	if !d.detours("web", "a@shop.example", time.Now()) {
		t.Error("the domain is forgotten")
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache(6400)
	now := time.Now()
	for i := range 100_000 {
		c.put(uint64(i)*0x9e3779b97f4a7c15, 7, now.Add(time.Hour))
	}
	if n := c.len(); n > 6400 || n < 6000 {
		t.Errorf("it holds %d", n)
	}
}

func TestTheStateOfAPathDecides(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		srv  Server
		path health.Path
		want way
	}{
		{"a healthy path", Server{}, health.Path{}, former},
		{"a suspect path, with a net", Server{Net: true}, health.Path{State: health.Suspect}, former},
		{"a suspect path, without one", Server{}, health.Path{State: health.Suspect}, detour},
		{"a suspect path that ukai uses too, without one", Server{Egress: "direct"}, health.Path{State: health.Suspect}, detour},
		{"a blocked path of an egress", Server{Egress: "e", Net: true}, health.Path{State: health.Blocked, ProbeAt: at.Add(-time.Hour)}, detour},
		{"a blocked path of its own before the probe", Server{Net: true}, health.Path{State: health.Blocked, ProbeAt: at}, detour},
		{"when the probe is due", Server{Net: true}, health.Path{State: health.Blocked, ProbeAt: at.Add(-lag)}, trying},
		{"when it is due and a refusal would bounce", Server{}, health.Path{State: health.Blocked, ProbeAt: at.Add(-time.Hour)}, detour},
		{"between two probes", Server{Net: true}, health.Path{State: health.Probing, ProbeAt: at.Add(time.Second)}, detour},
		{"shut by hand", Server{Net: true}, health.Path{State: health.Blocked, Pinned: true}, detour},
		{"recovering", Server{}, health.Path{State: health.Recovering}, shared},
	} {
		if got := c.srv.way(&c.path, at); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestOneRecipientIsTheProbeOfAServerWithAnAddressOfItsOwn(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Net: true})
	began := time.Now()
	d.block("web", "google", began)
	due := began.Add(2 * time.Minute)
	if !d.detours("web", "a@gmail.com", began) {
		t.Error("before the probe is due, mail goes the former route")
	}
	if d.detours("web", "a@gmail.com", due) || d.detours("web", "a@gmail.com", due.Add(30*time.Second)) {
		t.Error("the probe does not go")
	}
	if !d.detours("web", "b@gmail.com", due.Add(time.Second)) {
		t.Error("a second recipient is a probe, too")
	}
	if d.detours("web", "b@gmail.com", due.Add(2*time.Minute)) {
		t.Error("nobody takes the place of a probe without an answer")
	}
}

func TestARecoveringPathCarriesItsShare(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	d.unwell.note(health.Key{Egress: "direct", Provider: "google"}, health.Recovering)
	p := health.Path{State: health.Recovering, Share: 1 << 30} // a quarter
	in := 0
	for i := range 10_000 {
		if inShare(order(fmt.Sprint(i), 0), &p) {
			in++
		}
	}
	if in < 2200 || in > 2800 {
		t.Errorf("%d of 10,000 are in a quarter", in)
	}
}

func TestAPinAndItsEndWork(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct", Net: true})
	key := health.Key{Egress: "direct", Provider: "google"}
	now := time.Now()
	d.health.Block(key, health.Pin{At: now, Why: "test"})
	if !d.detours("web", "a@gmail.com", now) {
		t.Error("shut by hand, and mail goes the former route")
	}
	d.health.Clear(key, now)
	if d.detours("web", "a@gmail.com", now) {
		t.Error("cleared by hand, and mail takes the detour")
	}
}

func TestObserveChangesNothing(t *testing.T) {
	d := newDesk(t, Options{Observe: true})
	d.set(Server{Name: "web", Egress: "direct"})
	d.block("direct", "google", time.Now())
	if d.detours("web", "a@gmail.com", time.Now()) {
		t.Error("it steers")
	}
	d.Configure(Options{})
	if !d.detours("web", "a@gmail.com", time.Now()) {
		t.Error("it does not steer after the reload")
	}
}

func TestPathsThatAreShutAtTheStartAreKnown(t *testing.T) {
	d := newDesk(t, Options{})
	d.block("direct", "google", time.Now())
	again, err := Open(t.Context(), d.Parts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !again.unwell.has("direct", hashID("google")) {
		t.Error("the path is forgotten")
	}
}
