package app

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/account"
	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
	"ukai/internal/watch"
)

// box is a Postfix on this machine whose log is file.
func box(file string) *api.ServerRequest {
	return &api.ServerRequest{MTA: mtaconf.Postfix, Mode: mtaconf.SafetyNet, Place: servers.Place{Dir: "/etc/postfix"}, Logs: []string{file}}
}

func TestOneRefusalOfOneServerReachesThePathOfAllThatShareItsAddress(t *testing.T) {
	c := settings(t)
	a, stop := running(t, c, Options{})
	client := api.NewClient(c.Data)
	dir := filepath.Dir(c.Data)
	for _, name := range []string{"web1", "web2"} {
		addLines(t, filepath.Join(dir, name+".log"), "")
		r, err := client.ConnectServer(t.Context(), name, box(filepath.Join(dir, name+".log")))
		if err != nil {
			t.Fatal(err)
		}
		if r.Server.Egress != "direct" || r.Gate.Account || r.Username != "" || r.Gate.Host != "127.0.0.1" {
			t.Fatalf("%+v", r)
		}
	}
	eventually(t, "both logs read", func() bool {
		n := 0
		for _, s := range a.watch.Status() {
			if !s.Contact.IsZero() {
				n++
			}
		}
		return n == 2
	})
	addLines(t, filepath.Join(dir, "web1.log"), googleRefuses("web1", 1, time.Now())...)
	eventually(t, "suspicion against the path", func() bool { return a.health.Path("direct", "google").State == health.Suspect })
	for n := range 3 {
		addLines(t, filepath.Join(dir, "web1.log"), googleRefuses("web1", 2+n, time.Now())...)
	}
	eventually(t, "block", func() bool { return a.health.Path("direct", "google").State == health.Blocked })
	list, err := client.Servers(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, s := range list {
		if strings.Join(s.Shut, " ") != "google" || s.Paths["blocked"] != 1 {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	if list[0].Contact.IsZero() || !list[1].Contact.IsZero() {
		t.Errorf("heard of: %v, %v", list[0].Contact, list[1].Contact)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b, _ := running(t, c, Options{})
	eventually(t, "logs after a restart", func() bool { return len(b.watch.Status()) == 2 })
	if _, err := client.RemoveServer(t.Context(), "web1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of its log", func() bool { return len(b.watch.Status()) == 1 })
}

// distant are settings of a hub whose boxes reach it on loopback.
func distant(t *testing.T) *config.Config {
	t.Helper()
	c := settings(t)
	c.Listeners[0].Auth, c.Listeners[0].TLS = config.AuthOffered, config.StartTLS
	c.Steer.Relay, c.Steer.Agents = "127.0.0.1:2587", "127.0.0.1:0"
	return c
}

func TestAServerElsewhereJoinsByItsTokenAndTellsWhatItMeets(t *testing.T) {
	a, _ := running(t, distant(t), Options{})
	client := api.NewClient(a.cfg.Data)
	join := map[string]*api.Join{}
	for _, name := range []string{"web1", "web2"} {
		r, err := client.AddServer(t.Context(), &api.AddRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if join[name], err = api.ParseJoin(r.Join); err != nil || join[name].Relay != "127.0.0.1:2587" || !join[name].TLS {
			t.Fatalf("%+v, %v", join[name], err)
		}
	}
	agent := api.NewAgentClient(join["web1"])
	r, err := agent.Join(t.Context(), box("/var/log/mail.log"))
	if err != nil || r.Server.Place.Host != "127.0.0.1" || !r.Server.Joined() || r.Secret != join["web1"].Secret || r.Username != "web1" {
		t.Fatalf("%+v, %v", r, err)
	}
	if n := len(a.watch.Status()); n != 0 {
		t.Errorf("%d logs of another machine are looked for on this one", n)
	}
	told := googleTold(t, a, 4)
	for range 2 { // the answer was lost
		if err := agent.Tell(t.Context(), "batch 1", told); err != nil {
			t.Fatal(err)
		}
	}
	if p := a.health.Path("web1", "google"); p.State != health.Blocked {
		t.Errorf("its path is %v", p.State)
	}
	if info, _ := a.health.Get(health.Key{Egress: "web1", Provider: "google"}, time.Now()); len(info.Evidence) != 4 {
		t.Errorf("%d pieces of evidence of 4 refusals", len(info.Evidence))
	}
	if p := a.health.Path("web2", "google"); p.State != health.Healthy {
		t.Errorf("that of one with another address is %v", p.State)
	}
	if _, err := client.RemoveServer(t.Context(), "web1"); err != nil {
		t.Fatal(err)
	}
	var e *i18n.Error
	if err := agent.Tell(t.Context(), "batch 2", told); !errors.As(err, &e) || e.Key != "api.hub.unknown" {
		t.Errorf("after it was taken out: %v", err)
	}
	if _, err := a.accounts.Get(t.Context(), "web1"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("its account is still there: %v", err)
	}
	if err := api.NewAgentClient(join["web2"]).Tell(t.Context(), "batch 1", told); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// googleTold are n refusals of different messages, as an agent tells them.
func googleTold(t *testing.T, a *App, n int) []watch.Told {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mail.log")
	for i := range n {
		addLines(t, file, googleRefuses("box", 500+i, time.Now())...)
	}
	var all []watch.Told
	tail := watch.NewTail(watch.LogOptions{Name: "x", Paths: []string{file}, FromStart: true}, watch.Knowledge{Judge: a.rules, Providers: a.providers}, a.positions, a.log)
	ctx, cancel := context.WithCancel(t.Context())
	err := tail.Run(ctx, func(o watch.Observation) {
		if all = append(all, o.Tell()); len(all) == n {
			cancel()
		}
	})
	if err != nil || len(all) != n {
		t.Fatalf("%d told, %v", len(all), err)
	}
	return all
}

func TestAnotherSecretAnotherCertificateAndAnotherTokenAreNotLetIn(t *testing.T) {
	a, _ := running(t, distant(t), Options{})
	client := api.NewClient(a.cfg.Data)
	r, err := client.AddServer(t.Context(), &api.AddRequest{Name: "web1"})
	if err != nil {
		t.Fatal(err)
	}
	good, err := api.ParseJoin(r.Join)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(*api.Join)
		key    string
	}{
		"another secret":      {func(j *api.Join) { j.Secret = strings.Repeat("A", 26) }, "api.hub.unknown"},
		"another name":        {func(j *api.Join) { j.Name = "web2" }, "api.hub.unknown"},
		"another certificate": {func(j *api.Join) { j.Fingerprint = strings.Repeat("0", 64) }, "api.hub.pin"},
		"nobody there":        {func(j *api.Join) { j.Agents = "127.0.0.1:1" }, "api.hub.unreachable"},
	} {
		j := *good
		c.change(&j)
		var e *i18n.Error
		if err := api.NewAgentClient(&j).Leave(t.Context()); !errors.As(err, &e) || e.Key != c.key {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := client.AddServer(t.Context(), &api.AddRequest{Name: "web1"}); !isProblem(err, http.StatusConflict) {
		t.Errorf("added twice: %v", err)
	}
	if _, err := client.AddServer(t.Context(), &api.AddRequest{Name: "web1", Again: true}); err != nil {
		t.Fatal(err)
	}
	var e *i18n.Error
	if err := api.NewAgentClient(good).Leave(t.Context()); !errors.As(err, &e) || e.Key != "api.hub.unknown" {
		t.Errorf("the token of before: %v", err)
	}
}

func isProblem(err error, status int) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Status == status
}

func TestAFileThatUkaiMayNotWriteIsSaidAtTheRegistration(t *testing.T) {
	c := settings(t)
	running(t, c, Options{})
	client := api.NewClient(c.Data)
	dir := t.TempDir()
	addLines(t, filepath.Join(dir, "plain"), "no directory")
	for file, unkept := range map[string]bool{filepath.Join(dir, "routes"): false, filepath.Join(dir, "plain", "routes"): true} {
		for _, dry := range []bool{true, false} {
			in := box(filepath.Join(dir, "mail.log"))
			in.Mode, in.Dry, in.Egress = mtaconf.Steer, dry, "none"
			in.Routes = []mtaconf.RouteFile{{Path: file, Format: mtaconf.DomainList}}
			r, err := client.ConnectServer(t.Context(), "web1", in)
			if err != nil || (r.Unkept != nil) != unkept || unkept && (r.Unkept.File != file || r.Unkept.Cause == "") || r.Server.Egress != "" {
				t.Errorf("%s: %+v, %v, %+v", file, r.Unkept, err, r.Server)
			}
		}
	}
}
