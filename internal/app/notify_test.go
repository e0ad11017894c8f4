package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/classify"
	"ukai/internal/config"
	"ukai/internal/dispatch"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/mail"
	"ukai/internal/notify"
	"ukai/internal/outcome"
	"ukai/internal/peersim"
	"ukai/internal/queue"
)

const signingKey = "a key that two know"

// posted is a notice that a receiver took.
type posted struct {
	At       time.Time `json:"-"`
	Signed   bool      `json:"-"`
	News     incident.News
	Title    string
	Incident *incident.Incident
}

// receiver is the other side of a webhook.
type receiver struct {
	url string

	mu  sync.Mutex
	got []posted // guarded by mu
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		p := posted{At: time.Now(), Signed: isSigned(q.Header, body)}
		if err != nil || json.Unmarshal(body, &p) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, p)
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// isSigned checks a signature as docs/notify.md tells receivers to.
func isSigned(h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(h.Get("X-Ukai-Timestamp") + "."))
	mac.Write(body)
	return h.Get("X-Ukai-Signature") == "sha256="+hex.EncodeToString(mac.Sum(nil))
}

// heard returns the notices with certain news.
func (r *receiver) heard(news incident.News) (list []posted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.got {
		if p.News == news {
			list = append(list, p)
		}
	}
	return list
}

// badReceiver is one that answers with a status, or, with 0, never.
func badReceiver(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		if status == 0 {
			<-q.Context().Done()
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func webhook(name, url string) config.NotifyChannel {
	return config.NotifyChannel{Name: name, Kind: "webhook", Level: 1, URL: config.Secret(url), Token: signingKey, Lang: "en", Timeout: time.Second}
}

// isRefused lets a provider refuse three messages for the reputation of the first egress, and returns when.
func isRefused(a *App, provider string) time.Time {
	key := health.Key{Egress: a.egresses()[0], Provider: provider}
	verdict := classify.Verdict{Class: "ip_reputation", Blame: classify.BlameIP, Action: classify.Retry, Reputation: true, IP: netip.MustParseAddr("192.0.2.7")}
	refused := outcome.Outcome{At: time.Now(), Phase: outcome.EndOfData, Egress: key.Egress, Provider: provider,
		Reply: mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "very low reputation")}
	for range 3 {
		a.judged(dispatch.Judged{Outcome: &refused, Verdict: &verdict, Domain: "gmail.com", Sender: "example.jp", Recipients: 1})
	}
	at := time.Now()
	a.incidents.Moved(&health.Change{At: at, Key: key, From: health.Suspect, To: health.Blocked})
	return at
}

func TestRefusalsAreToldByTheChannelThatWorks(t *testing.T) {
	for name, status := range map[string]int{"the first one fails": http.StatusInternalServerError, "the first one hangs": 0} {
		t.Run(name, func(t *testing.T) {
			phone, c := newReceiver(t), settings(t)
			c.Notify.Channels = []config.NotifyChannel{webhook("chat", badReceiver(t, status)), webhook("phone", phone.url)}
			a, _ := running(t, c, Options{})
			refused := isRefused(a, "google")
			eventually(t, "notice of the opening", func() bool { return len(phone.heard(incident.WasOpened)) == 1 })
			p := phone.heard(incident.WasOpened)[0]
			if late := p.At.Sub(refused); late > 5*time.Second || !p.Signed || p.Title == "" {
				t.Errorf("after %v: %+v", late, p)
			}
			if i := p.Incident; i == nil || i.Counts.Refused == 0 || len(i.Providers) != 1 || i.Providers[0].ID != "google" {
				t.Errorf("%+v", i)
			}
			eventually(t, "notice of the channel that does not work", func() bool { return len(phone.heard("channel_failed")) == 1 })
			s, err := api.NewClient(c.Data).Notify(t.Context())
			if err != nil || !s.Channels[0].Failing || s.Channels[1].Failing {
				t.Errorf("%+v %v", s.Channels, err)
			}
			var list []notify.Sent
			eventually(t, "log of all three", func() bool { // it is written after the receiver has answered
				list, err = api.NewClient(c.Data).NotifyLog(t.Context(), 10)
				return err == nil && len(list) == 3
			})
			for _, sent := range list {
				if sent.OK != (sent.Channel == "phone") || strings.Contains(sent.Error, signingKey) {
					t.Errorf("%+v", sent)
				}
			}
		})
	}
}

func TestAReloadAddsAndRemovesChannels(t *testing.T) {
	old, phone, c := newReceiver(t), newReceiver(t), settings(t)
	c.Notify.Channels = []config.NotifyChannel{webhook("old", old.url)}
	a, _ := running(t, c, Options{})
	next := *c
	next.Notify.Channels = []config.NotifyChannel{webhook("phone", phone.url)}
	if err := a.Reload(t.Context(), &next); err != nil {
		t.Fatal(err)
	}
	isRefused(a, "google")
	eventually(t, "notice at the new channel", func() bool { return len(phone.heard(incident.WasOpened)) == 1 })
	if _, err := api.NewClient(c.Data).NotifyTest(t.Context(), "old"); err == nil {
		t.Error("the old channel is still there")
	}
	if r, err := api.NewClient(c.Data).NotifyTest(t.Context(), "phone"); err != nil || !r.OK || len(phone.heard("test")) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	none := *c
	none.Notify.Channels = nil
	if err := a.Reload(t.Context(), &none); err != nil {
		t.Fatal(err)
	}
	if s, err := api.NewClient(c.Data).Notify(t.Context()); err != nil || len(s.Channels) != 0 {
		t.Errorf("%+v %v", s, err)
	}
	if n := len(old.heard(incident.WasOpened)); n != 0 {
		t.Errorf("the old channel was told %d times", n)
	}
}

func TestANoticeGoesAsMailOnlyWhereAWayIsOpen(t *testing.T) {
	later := peersim.Rule{Name: "later", Match: peersim.Match{Phase: peersim.MailFrom}, Reply: "451 4.3.0 later"} // what is queued stays there
	w, err := peersim.Start(peersim.Options{Providers: []peersim.Provider{
		{Name: "google", Groups: []peersim.Group{{Domains: []string{"gmail.com"}, MX: []string{"gmail-smtp-in.l.google.com"}}}},
		{Name: "other", Groups: []peersim.Group{{Domains: []string{"other.example"}}}, Rules: []peersim.Rule{later}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	c := settings(t)
	c.DNS.Servers, c.DNS.Timeout, c.DNS.AllowLoopback = []string{w.DNS()}, 5*time.Second, true
	c.Egresses[0].Port = int(w.Port())
	c.Notify.Channels = []config.NotifyChannel{{Name: "mail", Kind: "mail", Level: 1, To: []string{"noc@gmail.com", "noc@other.example"}, Lang: "ja", Timeout: 10 * time.Second}}
	a, _ := running(t, c, Options{})
	client := api.NewClient(c.Data)
	key := health.Key{Egress: a.egresses()[0], Provider: "google"}
	other := health.Key{Egress: key.Egress, Provider: a.receives(t.Context(), "other.example")}
	sent := func() (recipients []string) {
		t.Helper()
		list, err := a.queue.List(t.Context(), queue.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			for _, r := range m.Envelope.Recipients {
				recipients = append(recipients, r.Addr)
			}
		}
		return recipients
	}

	for _, k := range []health.Key{key, other} {
		a.health.Block(k, health.Pin{At: time.Now(), Why: "test"})
	}
	if r, err := client.NotifyTest(t.Context(), "mail"); err != nil || r.OK || r.Error == "" {
		t.Errorf("with every way shut: %+v %v", r, err)
	}
	if got := sent(); len(got) != 0 {
		t.Errorf("with every way shut: %v", got)
	}
	a.health.Clear(other, time.Now())
	if r, err := client.NotifyTest(t.Context(), "mail"); err != nil || !r.OK {
		t.Errorf("with one way open: %+v %v", r, err)
	}
	if got := sent(); len(got) != 1 || got[0] != "noc@other.example" {
		t.Errorf("with one way open: %v", got)
	}
}

func TestTheHeartbeatStopsWhileAMainLoopHangs(t *testing.T) {
	beats := make(chan struct{}, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats <- struct{}{} }))
	t.Cleanup(s.Close)
	c := settings(t)
	c.Notify.Heartbeat = config.Heartbeat{URL: config.Secret(s.URL + "/secret"), Every: 20 * time.Millisecond, Method: "GET"}
	frozen, thaw := make(chan struct{}, 10), make(chan struct{})
	a, _ := running(t, c, Options{OnIncident: func(incident.Event) { frozen <- struct{}{}; <-thaw }})
	beat := func() {
		t.Helper()
		select {
		case <-beats:
		case <-time.After(30 * time.Second):
			t.Fatal("no heartbeat")
		}
	}
	for range 3 {
		beat()
	}
	// What hears of incidents hangs; the next one to have something to say holds the book's lock.
	var all sync.WaitGroup
	block := func(egress string) {
		all.Go(func() {
			a.incidents.Moved(&health.Change{At: time.Now(), Key: health.Key{Egress: egress, Provider: "google"}, From: health.Suspect, To: health.Blocked})
		})
	}
	block("direct")
	<-frozen
	block("another")
	eventually(t, "half a second without a heartbeat", func() bool {
		select {
		case <-beats:
			return false
		case <-time.After(500 * time.Millisecond):
			return true
		}
	})
	close(thaw)
	all.Wait()
	beat()
}
