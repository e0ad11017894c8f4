package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/api/apitest"
	"ukai/internal/classify"
	"ukai/internal/dispatch"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/queue"
)

// open serves a story and returns a client that asks over the socket.
func open(t *testing.T) (*apitest.Inside, apitest.Told, *api.Client) {
	t.Helper()
	dir := shortDir(t)
	x := apitest.New(t, dir)
	told := apitest.Tell(t, x)
	x.Serve(t, dir)
	return x, told, api.NewClient(dir)
}

// shortDir makes a directory whose path leaves room for the name of a socket, which t.TempDir does not promise.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// refused checks that an error is a problem with a status.
func refused(t *testing.T, what string, err error, status int) {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != status || p.Error() == "" {
		t.Errorf("%s: %v, want a problem of status %d", what, err, status)
	}
}

func ids(list []api.Message) []string {
	all := []string{}
	for i := range list {
		all = append(all, list[i].ID)
	}
	return all
}

func TestTheQueueIsListedBySelection(t *testing.T) {
	_, told, c := open(t)
	deferred, waiting, held := told.Deferred.String(), told.Waiting.String(), told.Held.String()
	for name, s := range map[string]struct {
		selection api.Selection
		want      []string
	}{
		"everything":        {api.Selection{}, []string{deferred, waiting, held}},
		"two by ID":         {api.Selection{IDs: []string{held, deferred}}, []string{deferred, held}},
		"one that is gone":  {api.Selection{IDs: []string{told.Detoured.String()}}, []string{}},
		"a sender":          {api.Selection{Sender: "news@example.jp"}, []string{waiting}},
		"a sender domain":   {api.Selection{Sender: "@EXAMPLE.jp"}, []string{deferred, waiting, held}},
		"a recipient":       {api.Selection{Recipient: "c@example.org"}, []string{held}},
		"a domain":          {api.Selection{Domain: "example.net"}, []string{deferred, held}},
		"an account":        {api.Selection{Account: "shop"}, []string{deferred, waiting}},
		"held":              {api.Selection{Held: "yes"}, []string{held}},
		"not held":          {api.Selection{Held: "no"}, []string{deferred, waiting}},
		"waiting for a way": {api.Selection{Waiting: "google"}, []string{waiting}},
		"two at most":       {api.Selection{Limit: 2}, []string{deferred, waiting}},
		"going on":          {api.Selection{After: waiting, Limit: 2}, []string{held}},
		"both conditions":   {api.Selection{Account: "shop", Domain: "gmail.com"}, []string{waiting}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := c.Queue(t.Context(), &s.selection)
			if err != nil || !slices.Equal(ids(list), s.want) {
				t.Errorf("got %v, %v; want %v", ids(list), err, s.want)
			}
		})
	}
	for name, s := range map[string]api.Selection{
		"no ID": {IDs: []string{"xyz"}}, "no ID to go on behind": {After: "xyz"}, "held, perhaps": {Held: "perhaps"}, "too many": {Limit: api.MaxList + 1},
	} {
		_, err := c.Queue(t.Context(), &s)
		refused(t, name, err, http.StatusUnprocessableEntity)
	}
}

func TestAMessageIsShownWithItsContent(t *testing.T) {
	_, told, c := open(t)
	m, err := c.Message(t.Context(), told.Held.String())
	if err != nil || len(m.Recipients) != 3 || len(m.Deliveries) != 2 || !m.Deliveries[0].Held || m.Client != "127.0.0.1" ||
		!slices.Equal(m.Deliveries[0].Recipients, []string{"a@example.net", "b@example.net"}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = c.Message(t.Context(), told.Waiting.String()); err != nil || m.Deliveries[0].WaitingFor != "google" || !m.Bulk {
		t.Errorf("%+v, %v", m, err)
	}
	var b strings.Builder
	if err := c.Content(t.Context(), told.Held.String(), &b); err != nil || b.String() != "Subject: Two\r\n\r\nTwo domains\r\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	for id, status := range map[string]int{told.Detoured.String(): http.StatusNotFound, "xyz": http.StatusUnprocessableEntity, "../status": http.StatusUnprocessableEntity} {
		_, err := c.Message(t.Context(), id)
		refused(t, "message "+id, err, status)
		refused(t, "content of "+id, c.Content(t.Context(), id, &b), status)
	}
}

func TestAnOrderNeedsASelectionOrTheWordAll(t *testing.T) {
	_, told, c := open(t)
	order := func(o string, all bool, s api.Selection) (int, error) {
		r, err := c.Order(t.Context(), &api.OrderRequest{Order: o, All: all, Selection: s})
		return r.Messages, err
	}
	_, err := order("delete", false, api.Selection{})
	refused(t, "a slip", err, http.StatusUnprocessableEntity)
	_, err = order("delete", false, api.Selection{Limit: 5, After: told.Deferred.String()})
	refused(t, "a limit is no selection", err, http.StatusUnprocessableEntity)
	_, err = order("burn", true, api.Selection{})
	refused(t, "an order that is none", err, http.StatusUnprocessableEntity)
	_, err = order("hold", false, api.Selection{IDs: []string{"xyz"}})
	refused(t, "no ID", err, http.StatusUnprocessableEntity)
	for _, step := range []struct {
		order string
		all   bool
		s     api.Selection
		n     int
	}{
		{"hold", false, api.Selection{IDs: []string{told.Deferred.String()}}, 1},
		{"hold", false, api.Selection{IDs: []string{told.Detoured.String()}}, 0},
		{"release", false, api.Selection{Domain: "example.net"}, 2},
		{"retry", true, api.Selection{}, 3},
		{"delete", false, api.Selection{Waiting: "nobody"}, 0},
		{"delete", false, api.Selection{Account: "shop"}, 2},
		{"delete", true, api.Selection{}, 1},
	} {
		if n, err := order(step.order, step.all, step.s); n != step.n || err != nil {
			t.Errorf("%s %+v: %d, %v; want %d", step.order, step.s, n, err, step.n)
		}
	}
	stories, err := c.Trace(t.Context(), told.Deferred.String())
	if err != nil || len(stories) != 1 {
		t.Fatalf("%+v, %v", stories, err)
	}
	last := stories[0].Events[len(stories[0].Events)-1]
	if last.Kind != journal.Ordered || last.Why != "journal.order.hold" {
		t.Errorf("the order is not in the journal: %+v", last)
	}
}

func TestAPathIsShutAndOpenedByHand(t *testing.T) {
	x, _, c := open(t)
	list, err := c.Paths(t.Context())
	if err != nil || len(list) != 2 || list[0].State != health.Blocked || list[1].State != health.Healthy {
		t.Fatalf("%+v, %v", list, err)
	}
	s, err := c.Path(t.Context(), "direct", "google")
	if err != nil || len(s.Path.Evidence) != 3 || len(s.Changes) != 2 || s.Changes[0].After != "blocked" || s.Path.Evidence[0].Outcome.Phase != outcome.EndOfData {
		t.Errorf("%+v, %v", s, err)
	}
	until := apitest.Now.Add(12 * time.Hour)
	p, err := c.Block(t.Context(), "relay", "google", api.BlockRequest{Until: until, Why: "listed", By: "hanako"})
	if err != nil || p.Pin == nil || *p.Pin != (health.Pin{At: apitest.Now, Until: until, Why: "listed", By: "hanako"}) || p.State != health.Blocked {
		t.Errorf("%+v, %v", p, err)
	}
	if got := x.Health.Path("relay", "google"); !got.Pinned {
		t.Errorf("%+v", got)
	}
	if p, err = c.Block(t.Context(), "direct", "never/seen é", api.BlockRequest{}); err != nil || p.Key.Provider != "never/seen é" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = c.Clear(t.Context(), "direct", "google"); err != nil || p.State != health.Healthy || p.Counts.Refused != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = c.Path(t.Context(), "direct", "nobody")
	refused(t, "a path that was never used", err, http.StatusNotFound)
	_, err = c.Block(t.Context(), "nowhere", "google", api.BlockRequest{})
	refused(t, "no such egress", err, http.StatusNotFound)
	_, err = c.Clear(t.Context(), "nowhere", "google")
	refused(t, "no such egress", err, http.StatusNotFound)
	_, err = c.Block(t.Context(), "direct", "google", api.BlockRequest{Why: strings.Repeat("x", 501)})
	refused(t, "too many words", err, http.StatusUnprocessableEntity)

	x.Egresses = func() []string { return nil }
	if _, err := c.Clear(t.Context(), "relay", "google"); err != nil {
		t.Errorf("the path of an egress that is gone is not cleared: %v", err)
	}
}

func TestAStoryIsFoundByIDAndByMessageID(t *testing.T) {
	x, told, c := open(t)
	for _, text := range []string{told.Detoured.String(), strings.ToLower(told.Detoured.String()), "hello@example.jp", "<hello@example.jp>", " <hello@example.jp> "} {
		s, err := c.Trace(t.Context(), text)
		if err != nil || len(s) != 1 || s[0].ID != told.Detoured.String() || len(s[0].Events) != 4 || s[0].Queued != nil {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
	s, err := c.Trace(t.Context(), told.Held.String())
	if err != nil || len(s) != 1 || s[0].Queued == nil || len(s[0].Queued.Deliveries) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	again := x.Enqueue(t, mail.Envelope{From: "taro@example.jp", MessageID: "hello@example.jp", Recipients: []mail.Recipient{{Addr: "z@example.net"}}}, "x\r\n")
	if s, err = c.Trace(t.Context(), "hello@example.jp"); err != nil || len(s) != 2 || s[0].ID != again.ID.String() {
		t.Errorf("two messages with one Message-ID, newest first: %+v, %v", s, err)
	}
	for _, text := range []string{"0000000000000", "nobody@example.jp", "'; DROP TABLE journal_message; --"} {
		_, err := c.Trace(t.Context(), text)
		refused(t, text, err, http.StatusNotFound)
	}
	_, err = c.Trace(t.Context(), "")
	refused(t, "nothing", err, http.StatusUnprocessableEntity)
	x.At(31 * 24 * time.Hour)
	_, err = c.Trace(t.Context(), "news@example.jp")
	refused(t, "after a month", err, http.StatusNotFound)
}

func TestTheStatusIsThatOfEveryPart(t *testing.T) {
	_, _, c := open(t)
	s, err := c.Status(t.Context())
	if err != nil || s.Version != "v1.2.3" || s.Mode != "act" || s.Queue.Messages != 3 || s.Queue.Held != 2 || s.Paths["blocked"] != 1 || s.Paths["healthy"] != 1 ||
		!s.Started.Equal(apitest.Start.Add(-50*time.Hour)) || s.JournalDropped != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// broken is a queue that stopped.
type broken struct{ queue.Store }

func (b broken) Stats() queue.Stats { return queue.Stats{Broken: "no space left on device"} }
func (b broken) List(context.Context, queue.Filter) ([]*queue.Message, error) {
	return nil, queue.ErrBroken
}
func (b broken) Change(context.Context, queue.Filter, queue.Order, time.Time) (int, error) {
	return 0, queue.ErrBroken
}

func get(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthIsToldToTheWorldAndNothingElse(t *testing.T) {
	x, told, c := open(t)
	public := api.Public(&x.Parts)
	if code, text := get(public, "/healthz"); code != http.StatusOK || text != "ok\n" {
		t.Errorf("%d %q", code, text)
	}
	for _, path := range []string{"/", "/v1/status", "/v1/queue", "/v1/queue/" + told.Held.String() + "/content", "/v1/trace?id=x", "/openapi.json"} {
		if code, _ := get(public, path); code != http.StatusNotFound {
			t.Errorf("%s is answered with %d at the public door", path, code)
		}
	}
	x.Store = broken{x.Store}
	if code, text := get(public, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "no space left on device") {
		t.Errorf("%d %q", code, text)
	}
	_, err := c.Queue(t.Context(), &api.Selection{})
	refused(t, "the queue is broken", err, http.StatusServiceUnavailable)
	_, err = c.Order(t.Context(), &api.OrderRequest{Order: "retry", All: true})
	refused(t, "the queue is broken", err, http.StatusServiceUnavailable)
	if _, text := get(public, "/metrics"); !strings.Contains(text, "\nukai_queue_broken 1\n") {
		t.Error("the metrics do not tell that the queue is broken")
	}
}

func TestMetricsHaveTheNamesThatAlertsRelyOn(t *testing.T) {
	x, _, _ := open(t)
	x.Metrics.OnAccepted("local")
	x.Metrics.OnSettled(dispatch.Settled{Delivered: 2, Detour: true})
	x.Metrics.OnSettled(dispatch.Settled{Delivered: 1, Bounced: 1, Deferred: 1, Held: 1})
	x.Metrics.OnOutcome(&outcome.Outcome{Phase: outcome.Lookup}, &classify.Verdict{}, 1)
	x.Metrics.OnOutcome(&outcome.Outcome{Egress: "direct", Provider: "example.net"}, &classify.Verdict{Class: "greylisted", Action: classify.Retry}, 1)
	_, text := get(api.Control(&x.Parts), "/metrics")
	for _, line := range []string{
		`ukai_accepted_total{listener="local"} 1`,
		`ukai_recipients_total{result="detoured"} 2`,
		`ukai_recipients_total{result="delivered"} 1`,
		`ukai_recipients_total{result="bounced"} 1`,
		`ukai_recipients_total{result="deferred"} 1`,
		`ukai_recipients_total{result="held"} 1`,
		`ukai_recipients_total{result="unfound"} 1`,
		`ukai_attempts_total{action="retry",class="ip_reputation",egress="direct",provider="google"} 2`,
		`ukai_attempts_total{action="retry",class="greylisted",egress="direct",provider="other"} 1`,
		`ukai_attempt_duration_seconds_count{egress="relay"} 1`,
		`ukai_queue_messages 3`, `ukai_queue_held_deliveries 2`, `ukai_queue_oldest_seconds 1560`, `ukai_queue_set_aside_messages 0`, `ukai_queue_broken 0`,
		`ukai_connections 0`, `ukai_jobs 0`, `ukai_journal_dropped_total 0`,
		`ukai_path_state{egress="direct",provider="google"} 2`, `ukai_path_state{egress="relay",provider="google"} 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no %q in the metrics", line)
		}
	}
	for _, name := range []string{"ukai_queue_bytes ", "ukai_queue_commits_total ", "ukai_queue_syncs_total ", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %q in the metrics", name)
		}
	}
}

func TestTheInterfaceDescribesItself(t *testing.T) {
	x := apitest.New(t, t.TempDir())
	code, text := get(api.Control(&x.Parts), "/openapi.json")
	var doc struct {
		Paths map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || code != http.StatusOK {
		t.Fatalf("%d, %v", code, err)
	}
	for _, path := range []string{"/v1/status", "/v1/queue", "/v1/queue/{id}", "/v1/queue/orders", "/v1/paths", "/v1/paths/{egress}/{provider}",
		"/v1/paths/{egress}/{provider}/block", "/v1/paths/{egress}/{provider}/clear", "/v1/trace"} {
		if doc.Paths[path] == nil {
			t.Errorf("no %s in it", path)
		}
	}
}

func TestAnAnswerWithNothingInItIsAListAllTheSame(t *testing.T) {
	x := apitest.New(t, t.TempDir())
	h := api.Control(&x.Parts)
	for _, path := range []string{"/v1/queue", "/v1/paths"} {
		if code, text := get(h, path); code != http.StatusOK || strings.TrimSpace(text) != "[]" {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
}

func TestNobodyAtTheSocketIsToldInWords(t *testing.T) {
	dir := shortDir(t)
	stale := filepath.Join(dir, "stale")
	if err := os.Mkdir(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stale, api.SocketName)})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as after a kill
	l.Close()
	long := filepath.Join(dir, strings.Repeat("long/", 20))
	for name, c := range map[string]struct{ dir, key string }{
		"no directory":          {filepath.Join(dir, "none"), "api.not_running"},
		"left by a kill":        {stale, "api.not_running"},
		"a path that is longer": {long, "api.socket_long"},
	} {
		for what, call := range map[string]func(*api.Client) error{
			"status":  func(c *api.Client) error { _, err := c.Status(t.Context()); return err },
			"content": func(c *api.Client) error { return c.Content(t.Context(), "x", &strings.Builder{}) },
		} {
			var e *i18n.Error
			if err := call(api.NewClient(c.dir)); !errors.As(err, &e) || e.Key != c.key {
				t.Errorf("%s, %s: %v, want %s", name, what, err, c.key)
			}
		}
	}
}

func TestASocketMayHaveAsManyOctetsAsTheSystemAllows(t *testing.T) {
	base := shortDir(t)
	for n, fits := range map[int]bool{107: true, 108: false} {
		dir := filepath.Join(base, strings.Repeat("x", n-len(base)-len("//"+api.SocketName)))
		path, err := api.Socket(dir)
		if (err == nil) != fits || fits && len(path) != n {
			t.Errorf("%d octets: %q, %v", n, path, err)
		}
		if !fits {
			continue
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		x := apitest.New(t, dir)
		x.Serve(t, dir)
		if _, err := api.NewClient(dir).Status(t.Context()); err != nil {
			t.Errorf("a path of %d octets does not work: %v", n, err)
		}
	}
}

func TestAnAnswerThatIsNotOursIsAProblemAllTheSame(t *testing.T) {
	dir := shortDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte("no JSON"))
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	defer func() { s.Close(); <-done }()
	_, err = api.NewClient(dir).Status(t.Context())
	refused(t, "no problem details", err, http.StatusBadGateway)
	if _, err := api.NewClient(dir).Paths(t.Context()); err == nil {
		t.Error("what is no JSON is taken for an answer")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := api.NewClient(dir).Paths(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("asked after the end: %v", err)
	}
}
