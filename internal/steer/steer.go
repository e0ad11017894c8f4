// Package steer tells mail servers that stay which mail takes the detour over ukai, by live lookups and by files of routes.
//
// A server that delivers by itself asks a table where the mail for a recipient goes: Postfix its transport_maps, Sendmail its
// mailertable, Exim a router, qmail control/smtproutes. Such a table knows domains; what is blocked is a path, an egress as
// seen by one provider, and thousands of domains may receive at that provider. This package stands between the two: it knows
// the provider of each domain that a server writes to, and looks at the path from the server's address to it.
//
// # What is decided
//
// A healthy path changes nothing: the server delivers as before. Nor does a suspect one, where the server has a safety net
// (Server.Net); without one each further refusal would be a bounce, and its mail takes the detour from the first refusal on.
// Over a path that is shut, or was shut by hand, no mail goes. A path that recovers carries its share, chosen by recipient (in a file by domain), so that
// the same question gets the same answer until the share grows. In the mode "observe" nothing is changed at all.
//
// A domain that nobody has asked about is answered "no change" at once and looked up in the background: the resolver of
// Postfix serves the whole queue with one process and waits for each answer (resolve_clnt(3)), so a slow name server behind a
// lookup would stop all mail. The wrong answer costs one refusal, which the server's safety net catches.
//
// # How a blocked path opens again
//
// Where a server shares the address of an egress of ukai, the probes of ukai open the path for both. A server with an address
// of its own has to be its own probe: when one is due, one recipient (in a file: one domain) takes the former route for a
// while, and what becomes of it is read in the server's log. That is done only where a refusal does no harm, because a safety
// net is behind it (Server.Net). Elsewhere the path stays shut until somebody clears it by hand.
//
// # Live lookups
//
// One listener (Listen) speaks four small protocols, told apart by the first octet of a connection. It listens on loopback or on
// a unix socket only, since whoever reaches it may ask who is blocked.
//
//	netstring  "LEN:NAME KEY,"                    socketmap_table(5) of Postfix, K map "socket" of Sendmail
//	           -> "LEN:OK ROUTE," or "LEN:NOTFOUND ,"
//	           "LEN:NAME/status KEY,"             the same for smtp_delivery_status_filter: what became of a recipient
//	           "LEN:observe NAME SECRET JSON,"    an outcome that a wrapper saw (Told as JSON)
//	           -> "LEN:OK ," or "LEN:PERM reason,"
//	line       "get KEY\n"                        tcp_table(5) of Postfix, %XX-encoded
//	           -> "200 ROUTE\n" or "500 none\n"
//	line       "exim NAME KEY\n"                  ${readsocket} of Exim; KEY is an address or a domain
//	           -> ROUTE, or nothing, then the connection is closed
//
// NAME is a server's name, "-" the default server (Options.Default); ROUTE is Server.Answer with "{domain}" replaced. A server does not speak to the listener directly
// where a ukai that is down would then hold up its mail: it starts "ukai lookup" (Forward), which answers "not found" when ukai
// does not.
//
// # The door
//
// Where a server hands mail to ukai, a ukai that hangs would hold up whoever waits for its greeting. So a server may be given a
// door (Door, "ukai door") that it starts itself for each session: it passes on what is said once ukai greets.
//
// # Files of routes
//
// A file is written anew when a path changes or a domain is first seen at a provider that is shut: into a temporary file beside
// it, synced, renamed. While nothing changes nothing is written. A file that cannot be written stays as it was, which is told
// and tried again.
package steer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/health"
	"ukai/internal/mtaconf"
	"ukai/internal/outcome"
	"ukai/internal/provider"
	"ukai/internal/store"
)

// Server is a mail server that is steered.
type Server struct {
	Name string
	// Egress is the egress of ukai whose address the server sends from; empty: it has paths of its own, under its name.
	Egress string
	// Net is set where a refusal does no harm, because the server takes a refused message to the detour by itself.
	Net bool
	// Answer is the answer of a lookup for mail that takes the detour; "{domain}" in it is the recipient's domain.
	Answer string
	// Root is where the server is installed, as in mtaconf.System; Files are its files of routes, inside the root.
	Root  string
	Files []mtaconf.RouteFile
	// Distant: the files are on another machine. Somebody else writes them, by Detours and WriteRoutes.
	Distant bool
}

// path is what stands in the place of the egress in the server's paths.
func (s *Server) path() string {
	if s.Egress != "" {
		return s.Egress
	}
	return s.Name
}

// Told is what became of one recipient, as a server or a wrapper beside it tells. As JSON it is what "observe" takes.
type Told struct {
	Server    string          `json:"-"`
	Outcome   outcome.Outcome `json:"outcome"` // At zero: just then; Egress and Provider are found out
	Recipient string          `json:"recipient,omitempty"`
	Sender    string          `json:"sender,omitempty"`
	MessageID string          `json:"message_id,omitempty"`
}

// Parts are what the package works with.
type Parts struct {
	Health    *health.Book
	Providers *provider.Catalogue
	// Receives asks who receives for a domain; "" when nobody does or nobody knows. It is called by a few goroutines, with a
	// deadline in ctx.
	Receives func(ctx context.Context, domain string) provider.ID
	// Check tells whether a secret is a server's.
	Check func(server, secret string) bool
	// Observe takes what a server tells, and says whether that is a refusal for the reputation of the address. It is called by
	// the goroutine of a connection, which it holds up.
	Observe func(t *Told) (reputation bool)
	// Heard, if not nil, is told of each server that asks or tells something, at most once a second for each.
	Heard func(server string, at time.Time)
	DB    *store.DB // where the domains are kept
	Log   *slog.Logger
}

// Options are the settings. Zero values mean the defaults.
type Options struct {
	// Observe: nothing is steered.
	Observe bool
	// NoFiles: no file is written.
	NoFiles bool
	// Default is the server that questions without a name (tcp_table) are answered for; empty: the only one there is.
	Default string
	// Domains is how many domains are remembered with their provider, 40 octets each; 0: 1,048,576.
	Domains int
	// Keep is how long an answer about a domain is used before it is asked again, in the background; 0: 30 min. One that could
	// not be found out is asked again after a minute.
	Keep time.Duration
	// Askers is how many domains are looked up at a time; 0: 16.
	Askers int
	// Known is how many domains of one server are kept for its files; 0: 500,000.
	Known int
	// Forget is how long a domain that nobody writes to is kept; 0: 90 d.
	Forget time.Duration
	// Settle is how long changes are gathered before files are written; 0: 200 ms.
	Settle time.Duration
}

const day = 24 * time.Hour

// or returns v, or d where v is zero.
func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Steer decides for all servers. It is safe for concurrent use.
type Steer struct {
	Parts
	opts    Options
	observe atomic.Bool
	noFiles atomic.Bool
	byName  atomic.Pointer[map[string]*server]
	only    atomic.Pointer[server] // whom questions without a name are about; nil: nobody

	cache   *cache
	ask     chan string // domains to be looked up
	unwell  unwell
	dirty   chan struct{} // capacity 1: files may have to be written
	flushMu sync.Mutex    // held while domains are written to the database
	setMu   sync.Mutex    // held by Set and Configure; before server.mu

	mu     sync.Mutex // guards the field below
	choice string     // Options.Default
}

// server is a Server with what is known of it.
type server struct {
	atomic.Pointer[Server]
	name string
	counts
	domains domains
	trial   trials
	files   fileStates
}

// Open returns a Steer that knows no server. What was learned about their domains is in p.DB.
func Open(ctx context.Context, p Parts, o Options) (*Steer, error) {
	if err := p.DB.Migrate(ctx, "steer", migrations...); err != nil {
		return nil, err
	}
	o.Domains, o.Keep, o.Askers = or(o.Domains, 1<<20), or(o.Keep, 30*time.Minute), or(o.Askers, 16)
	o.Known, o.Forget, o.Settle = or(o.Known, 500_000), or(o.Forget, 90*day), or(o.Settle, 200*time.Millisecond)
	s := &Steer{Parts: p, opts: o, cache: newCache(o.Domains), ask: make(chan string, maxAsked), dirty: make(chan struct{}, 1), choice: o.Default}
	s.byName.Store(&map[string]*server{})
	s.Configure(o)
	s.unwell.fill(p.Health, time.Now())
	return s, nil
}

// Configure takes over Observe, NoFiles and Default; the other options stay as they were.
func (s *Steer) Configure(o Options) {
	s.setMu.Lock()
	defer s.setMu.Unlock()
	s.observe.Store(o.Observe)
	s.noFiles.Store(o.NoFiles)
	s.mu.Lock()
	s.choice = o.Default
	s.mu.Unlock()
	s.choose(*s.byName.Load())
	s.touch()
}

// Set replaces the servers. What is known of one that stays is kept, what was learned of one that is gone is removed.
func (s *Steer) Set(ctx context.Context, list []Server) error {
	s.setMu.Lock()
	defer s.setMu.Unlock()
	old, all := *s.byName.Load(), make(map[string]*server, len(list))
	for i := range list {
		srv := list[i]
		have := old[srv.Name]
		if have == nil {
			have = &server{name: srv.Name}
			if err := s.load(ctx, have); err != nil {
				return err
			}
		}
		have.Store(&srv)
		all[srv.Name] = have
	}
	s.byName.Store(&all)
	s.choose(all)
	s.touch()
	var errs []error
	for name := range old {
		if all[name] == nil { // nobody writes its domains down any more: see Sync
			errs = append(errs, s.forgetServer(ctx, name))
		}
	}
	return errors.Join(errs...)
}

// choose finds the server of questions without a name.
func (s *Steer) choose(all map[string]*server) {
	s.mu.Lock()
	name := s.choice
	s.mu.Unlock()
	only := all[name]
	if name == "" && len(all) == 1 {
		for _, only = range all {
			break
		}
	}
	s.only.Store(only)
}

// touch has the files looked at soon.
func (s *Steer) touch() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// Changed takes a change of a path. It fits health.Options.OnChange: it waits for nothing.
func (s *Steer) Changed(c health.Change) {
	s.unwell.note(c.Key, c.To)
	s.touch()
}

// Seen notes that a server wrote to a domain at a provider. Names of servers that are not steered are let go.
func (s *Steer) Seen(name, domain string, id provider.ID, at time.Time) {
	srv := (*s.byName.Load())[name]
	if srv == nil {
		return
	}
	domain, ok := fileDomain(domain)
	if !ok || id == "" {
		return
	}
	if srv.domains.note(domain, id, at, s.opts.Known) && s.unwell.has(srv.Load().path(), hashID(id)) {
		s.touch()
	}
}

// Run looks domains up, writes files and keeps what was learned, until ctx ends.
func (s *Steer) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range s.opts.Askers {
		all.Go(func() { s.asker(ctx) })
	}
	all.Go(func() { s.keepFiles(ctx) })
	all.Go(func() { s.keepDomains(ctx) })
	all.Wait()
	return nil
}
