package notify

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/incident"
	"ukai/internal/store"
)

// received is a request as a service got it.
type received struct {
	method, path string
	header       http.Header
	body         string
}

// receiver is a service on loopback that answers with a status.
func receiver(t *testing.T, status int) (address string, got chan received) {
	t.Helper()
	got = make(chan received, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- received{r.Method, r.URL.Path, r.Header, string(b)}
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, got
}

// real makes a Notifier with real channels.
func real(t *testing.T, o Options) (*Notifier, *lockedBuffer) {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	log := &lockedBuffer{}
	n, err := Open(t.Context(), Parts{DB: db, Log: slog.New(slog.NewTextHandler(log, nil)), Name: func(id string) string { return id }, Host: "mx.example.org"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return n, log
}

// Each service gets what it documents: path, headers, and a body with the place of the title.
func TestEachServiceGetsWhatItDocuments(t *testing.T) {
	for _, c := range []struct {
		o      ChannelOptions
		path   string
		header map[string]string
		body   []string
	}{
		{ChannelOptions{Kind: Webhook}, "/hook", nil, []string{`"news":"opened"`, `"incident":{"id":1`, `"words":{"title"`}},
		{ChannelOptions{Kind: Slack}, "/hook", nil, []string{`"blocks":[{"text":{"text":"Trouble`, `"type":"plain_text"`, `"type":"header"`, `"type":"mrkdwn"`}},
		{ChannelOptions{Kind: Discord}, "/hook", nil, []string{`"embeds":[{`, `"allowed_mentions":{"parse":[]}`, `"title":"Trouble`}},
		{ChannelOptions{Kind: Teams}, "/hook", nil, []string{`"type":"message"`, `"contentType":"application/vnd.microsoft.card.adaptive"`, `"type":"AdaptiveCard"`, `"version":"1.4"`}},
		{ChannelOptions{Kind: Telegram, Token: "123:abc", To: []string{"-100"}}, "/hook/bot123:abc/sendMessage", nil, []string{`"chat_id":"-100"`, `"text":"Trouble`}},
		{ChannelOptions{Kind: Ntfy, Token: "tk_1", To: []string{"alerts"}}, "/hook/", map[string]string{"Authorization": "Bearer tk_1"}, []string{`"topic":"alerts"`, `"title":"Trouble`, `"priority":4`}},
		{ChannelOptions{Kind: LINE, Token: "tok", To: []string{"U1"}}, "/hook/v2/bot/message/push", map[string]string{"Authorization": "Bearer tok"}, []string{`"to":"U1"`, `"messages":[{"text":"Trouble`, `"type":"text"`}},
		{ChannelOptions{Kind: Chatwork, Token: "tok", To: []string{"42"}}, "/hook/v2/rooms/42/messages", map[string]string{"X-Chatworktoken": "tok", "Content-Type": "application/x-www-form-urlencoded"}, []string{"body=%5Binfo%5D%5Btitle%5DTrouble"}},
	} {
		t.Run(string(c.o.Kind), func(t *testing.T) {
			address, got := receiver(t, http.StatusOK)
			c.o.Name, c.o.URL = "x", address+"/hook"
			n, _ := real(t, Options{Channels: []ChannelOptions{c.o}})
			m := n.notice(&incident.Event{At: time.Now(), News: incident.WasOpened, Incident: trouble(1, incident.Reputation)}, n.channels[0])
			if err := n.try(t.Context(), n.channels[0], m); err != nil {
				t.Fatal(err)
			}
			r := <-got
			if r.method != http.MethodPost || r.path != c.path {
				t.Errorf("%s %s", r.method, r.path)
			}
			for k, v := range c.header {
				if r.header.Get(k) != v {
					t.Errorf("%s: %q", k, r.header.Get(k))
				}
			}
			for _, part := range c.body {
				if !strings.Contains(r.body, part) {
					t.Errorf("%s is not in %s", part, r.body)
				}
			}
			if c.o.Kind != Chatwork && !json.Valid([]byte(r.body)) {
				t.Errorf("not JSON: %s", r.body)
			}
		})
	}
}

func TestAWebhookIsSignedTogetherWithTheTime(t *testing.T) {
	address, got := receiver(t, http.StatusNoContent)
	n, _ := real(t, Options{Channels: []ChannelOptions{{Name: "x", Kind: Webhook, URL: address, Token: "key"}}})
	if r, err := n.Test(t.Context(), "x"); err != nil || !r.OK {
		t.Fatal(r, err)
	}
	r := <-got
	stamp := r.header.Get(headerTimestamp)
	if want := "sha256=" + sign("key", stamp, []byte(r.body)); stamp == "" || r.header.Get(headerSignature) != want {
		t.Errorf("%q, want %q", r.header.Get(headerSignature), want)
	}
	if sign("key", "1", []byte(r.body)) == sign("key", "2", []byte(r.body)) {
		t.Error("the time is not signed")
	}
}

func TestABrokenServiceIsPassedOverAndNoSecretIsShown(t *testing.T) {
	const secret = "T0KENs3cretvalue"
	refused := httptest.NewServer(http.NotFoundHandler())
	refused.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client has gone
		<-r.Context().Done()
	}))
	defer hangs.Close()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such hook: "+r.URL.Path, http.StatusInternalServerError)
	}))
	defer echo.Close()
	for name, address := range map[string]string{"refused": refused.URL, "hangs": hangs.URL, "500": echo.URL} {
		t.Run(name, func(t *testing.T) {
			works, got := receiver(t, http.StatusOK)
			n, log := real(t, Options{Channels: []ChannelOptions{
				{Name: "bad", Kind: Slack, URL: address + "/services/" + secret, Timeout: 400 * time.Millisecond}, {Name: "good", Kind: Webhook, URL: works},
			}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- n.Run(ctx) }()
			began := time.Now()
			n.Handle(incident.Event{At: began, News: incident.WasOpened, Incident: trouble(1, incident.Reputation)})
			if r := <-got; !strings.Contains(r.body, `"news":"opened"`) {
				t.Error(r.body)
			}
			told := (<-got).body
			if !strings.Contains(told, `"news":"channel_failed"`) {
				t.Error(told)
			}
			cancel()
			<-done
			sent, err := n.Sends(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := json.Marshal(map[string]any{"sent": sent, "status": n.Status(time.Now())})
			if err != nil || strings.Contains(string(shown)+log.String()+told, secret) {
				t.Errorf("the secret is shown (%v):\n%s\n%s\n%s", err, shown, log, told)
			}
		})
	}
}

func TestACommandGetsTheNoticeAndACleanEnvironment(t *testing.T) {
	t.Setenv("UKAI_SECRET", "s3cret")
	file := filepath.Join(t.TempDir(), "out")
	n, _ := real(t, Options{Channels: []ChannelOptions{{Name: "x", Kind: Command, Command: []string{"/bin/sh", "-c", "cat > " + file + "; env >> " + file}},
		{Name: "bad", Kind: Command, Command: []string{"/bin/false"}}}})
	if r, err := n.Test(t.Context(), "x"); err != nil || !r.OK {
		t.Fatal(r, err)
	}
	b, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(b), `"news":"test"`) || strings.Contains(string(b), "s3cret") {
		t.Errorf("%v %s", err, b)
	}
	if r, err := n.Test(t.Context(), "bad"); err != nil || r.OK || !strings.Contains(r.Error, "exit status 1") {
		t.Errorf("%+v %v", r, err)
	}
}

func TestShoutrrrCarriesToServicesThatAreNotNamed(t *testing.T) {
	address, got := receiver(t, http.StatusOK)
	u, _ := url.Parse(address)
	n, _ := real(t, Options{Channels: []ChannelOptions{{Name: "x", Kind: Shoutrrr, URL: "generic://" + u.Host + "/hook?disabletls=yes"}}})
	if r, err := n.Test(t.Context(), "x"); err != nil || !r.OK {
		t.Fatal(r, err)
	}
	if r := <-got; !strings.Contains(r.body, "This is how you will be told") {
		t.Error(r.body)
	}
}

func TestTheHeartbeatStopsWhenTheLoopsDoNotAnswer(t *testing.T) {
	address, got := receiver(t, http.StatusOK)
	n, _ := real(t, Options{Heartbeat: Heartbeat{URL: address + "/ping", Every: 20 * time.Millisecond, Timeout: 50 * time.Millisecond}})
	freeze := make(chan struct{})
	n.parts.Check = func(context.Context) error {
		select {
		case <-freeze:
			<-t.Context().Done() // hangs, whatever its context says
		default:
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	<-got
	<-got
	close(freeze)
	for why := ""; why != errHangs.Error(); why = n.Status(time.Now()).Heartbeat.Error {
		select {
		case <-got: // one may have been on its way
		case <-time.After(10 * time.Millisecond):
		}
	}
	for len(got) > 0 {
		<-got
	}
	select {
	case r := <-got:
		t.Errorf("a frozen ukai sent %+v", r)
	case <-time.After(200 * time.Millisecond):
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestANoticeFitsAPhoneInBothLanguages(t *testing.T) {
	n, _ := real(t, Options{Channels: []ChannelOptions{{Name: "en", Kind: Webhook}, {Name: "ja", Kind: Webhook, Lang: i18n.JA}}})
	for _, c := range n.channels {
		for news := range map[incident.News]bool{incident.WasOpened: true, incident.WasClosed: true, incident.HasGrown: true, isRepeated: true, isEscalated: true, incident.WasAcked: true} {
			i := trouble(7, incident.Reputation)
			m := n.notice(&incident.Event{At: time.Now(), News: news, Incident: i}, c)
			if text := m.Text(); strings.ContainsAny(text, "{}") || strings.Contains(text, "notify.") || len(m.Lines) > 9 || len([]rune(text)) > 900 || !strings.Contains(text, "ukai incident show 7") {
				t.Errorf("%s %s:\n%s", c.opts.Name, news, text)
			}
		}
	}
}
