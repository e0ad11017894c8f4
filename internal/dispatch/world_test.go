package dispatch

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dns"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/provider"
	"ukai/internal/queue"
	"ukai/internal/route"
	"ukai/internal/smtpclient"
	"ukai/internal/store"
	"ukai/internal/suppress"
)

// Replies that decide the stories below.
const (
	taken      = "250 2.0.0 OK"
	badIP      = "550 5.7.1 [192.0.2.1 18] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address."
	badContent = "554 5.7.1 Message rejected as spam by content filter"
	unknown    = "550 5.1.1 The email account that you tried to reach does not exist."
	greylist   = "450 4.2.0 Greylisted, please try again in 60 seconds"
)

// script says what the receivers answer: the first rule that fits. An empty field fits everything.
type script []struct{ egress, rcpt, say string }

// fake is a Carrier that is data: no socket, only a script. connect, if set, refuses the connection itself.
type fake struct {
	w       *world
	egress  string
	connect string
}

// world is a Dispatcher with a real queue, real judgement, real health and receivers that follow a script.
type world struct {
	t       *testing.T
	store   *queue.Embedded
	health  *health.Book
	journal *journal.Journal
	spare   *suppress.Book
	d       *Dispatcher
	stop    context.CancelFunc
	done    sync.WaitGroup
	ended   chan Settled

	mu     sync.Mutex // guards the fields below
	script script
	room   int      // recipients per transaction; 0: any number
	got    []string // "egress rcpt" of what was taken
	tries  []string // "egress rcpt" of what was tried
	body   map[string]string
	from   map[string]string // reverse-path with which a recipient was tried last
}

func (f *fake) Dial(_ context.Context, t smtpclient.Target) (Link, *outcome.Outcome) {
	f.w.mu.Lock()
	say := f.connect
	f.w.mu.Unlock()
	if say == "" {
		return &fakeLink{f: f, host: t.Host}, nil
	}
	o := &outcome.Outcome{At: time.Now(), Host: t.Host, Phase: outcome.Connect, Err: say, ErrTemporary: true}
	if say[0] >= '2' && say[0] <= '5' {
		o.Phase, o.Reply, o.Err = outcome.Greeting, reply(say), ""
	}
	return nil, o
}

type fakeLink struct {
	f    *fake
	host string
}

func (l *fakeLink) Close() {}

func (l *fakeLink) Send(_ context.Context, m *smtpclient.Message) smtpclient.Result {
	content, err := io.ReadAll(m.Content)
	if err != nil {
		return smtpclient.Result{Broken: err}
	}
	w := l.f.w
	w.mu.Lock()
	defer w.mu.Unlock()
	res := smtpclient.Result{ConnUsable: true}
	for n, i := range m.Recipients {
		if w.room > 0 && n >= w.room {
			res.Outcomes = append(res.Outcomes, outcome.Outcome{At: time.Now(), Phase: outcome.RcptTo, Reply: reply("452 4.5.3 Too many recipients"), Host: l.host})
			continue
		}
		addr := m.Envelope.Recipients[i].Addr
		say := w.say(l.f.egress, addr)
		o := outcome.Outcome{At: time.Now(), Phase: outcome.EndOfData, Reply: reply(say), Host: l.host}
		w.tries = append(w.tries, l.f.egress+" "+addr)
		w.from[addr] = m.Envelope.From
		if o.OK() {
			w.got = append(w.got, l.f.egress+" "+addr)
			w.body[addr] = string(content)
		}
		res.Outcomes = append(res.Outcomes, o)
	}
	return res
}

func (w *world) say(egress, addr string) string {
	for _, r := range w.script {
		if (r.egress == "" || r.egress == egress) && strings.HasSuffix(addr, r.rcpt) {
			return r.say
		}
	}
	return taken
}

func reply(line string) mail.Reply {
	st, _ := mail.ParseStatus(line[4:])
	code := int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	return mail.Reply{Code: code, Status: st, Lines: []string{line[4:]}}
}

// setting is what a story may want otherwise.
type setting struct {
	mode     route.Mode
	egresses []string
	schedule queue.Schedule
	script   script
	health   health.Thresholds
	pools    []route.Pool
	spare    suppress.Options
	path     func(*mail.Envelope, int) string
	domains  []string // sender domains of the last egress
}

func newWorld(t *testing.T, s setting) *world {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	w := &world{t: t, script: s.script, body: map[string]string{}, from: map[string]string{}, ended: make(chan Settled, 1000)}
	var err error
	if w.store, err = queue.Open(filepath.Join(dir, "queue"), queue.Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(dir, "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	if w.journal, err = journal.Open(t.Context(), db, journal.Options{}, log); err != nil {
		t.Fatal(err)
	}
	if w.spare, err = suppress.Open(t.Context(), db, s.spare, log); err != nil {
		t.Fatal(err)
	}
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	w.health = health.New(health.Options{Thresholds: s.health, OnChange: func(c health.Change) { w.d.Note(c) }}, log)
	w.d = New(Parts{Store: w.store, Judge: rules, Health: w.health, Journal: w.journal, Log: log, Directory: w.directory(), Suppress: w.spare}, w.ways(s),
		Options{Hostname: "mail.example.jp", ReturnPath: s.path, Schedule: s.schedule, KeepAlive: 10 * time.Millisecond, OnSettled: func(e Settled) { w.ended <- e }})
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.done.Go(func() {
		if err := w.d.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		w.done.Wait()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) ways(s setting) *Ways {
	w.t.Helper()
	ways := &Ways{}
	var routes []route.Egress
	for _, name := range s.egresses {
		routes = append(routes, route.Egress{Name: name})
		out := &Egress{Name: name, Port: 25, Carrier: &fake{w: w, egress: name}}
		if name == "smarthost" {
			out.Smarthost = "192.0.2.99"
		}
		ways.Egresses = append(ways.Egresses, out)
	}
	routes[len(routes)-1].SenderDomains = s.domains
	var err error
	if ways.Table, err = route.NewTable(routes, s.pools, route.Options{Mode: s.mode}); err != nil {
		w.t.Fatal(err)
	}
	return ways
}

func (w *world) directory() *Directory {
	w.t.Helper()
	google := []dns.MX{{Host: "aspmx.l.google.com", Pref: 1}}
	ip := []netip.Addr{netip.MustParseAddr("192.0.2.25")}
	r := &dns.Static{
		MXs: map[string][]dns.MX{
			"gmail.com": {{Host: "gmail-smtp-in.l.google.com", Pref: 5}}, "one.example": google, "two.example": google,
			"other.example": {{Host: "mx.other.example", Pref: 10}}, "example.org": {{Host: "mx.example.org", Pref: 10}},
		},
		Hosts: map[string][]netip.Addr{
			"aspmx.l.google.com": ip, "gmail-smtp-in.l.google.com": ip, "mx.other.example": ip, "mx.example.org": ip,
		},
		Errors: map[string]*dns.Error{"unsure.example": dns.TemporaryError("mx", "unsure.example", "server failure")},
	}
	cat, err := provider.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	return NewDirectory(r, dns.NewFinder(r, dns.FinderOptions{}), cat, time.Minute)
}

// post queues a message and returns its ID.
func (w *world) post(from string, rcpts ...mail.Recipient) mail.ID {
	w.t.Helper()
	env := &mail.Envelope{From: from, Recipients: rcpts, FromHdr: mail.Domain(from)}
	draft, err := w.store.Create(env)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(draft, "From: <"+from+">\r\nSubject: s\r\n\r\nhello\r\n"); err != nil {
		w.t.Fatal(err)
	}
	if err := draft.Commit(w.t.Context(), []byte("Received: x\r\n")); err != nil {
		w.t.Fatal(err)
	}
	return env.ID
}

func to(addrs ...string) []mail.Recipient {
	out := make([]mail.Recipient, len(addrs))
	for i, a := range addrs {
		out[i].Addr = a
	}
	return out
}

// settled waits for the end of n attempts and returns their sum.
func (w *world) settled(n int) Settled {
	w.t.Helper()
	var sum Settled
	for range n {
		select {
		case s := <-w.ended:
			sum.Delivered += s.Delivered
			sum.Bounced += s.Bounced
			sum.Deferred += s.Deferred
			sum.Held += s.Held
			sum.Detour = sum.Detour || s.Detour
		case <-time.After(20 * time.Second):
			w.t.Fatalf("the attempt does not end; so far %+v, load %+v", sum, w.d.Load())
		}
	}
	return sum
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := slices.Clone(w.got)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("taken: %q, want %q", got, want)
	}
}

func (w *world) kinds(id mail.ID) []journal.Kind {
	w.t.Helper()
	events, err := w.journal.Message(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]journal.Kind, len(events))
	for i := range events {
		out[i] = events[i].Kind
	}
	return out
}

func (w *world) setScript(s script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = s
}
