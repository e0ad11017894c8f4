// Package servers keeps the book of the mail servers that are connected to ukai: Postfix, qmail, Exim and the like, which go on
// delivering by themselves and take the detour over ukai where a provider refuses their address.
//
// An entry says who the server is, how strongly it is steered, where its log and its files of routes are, and when it was last
// heard of. Its name is at the same time the name of its account (package account: it hands mail to ukai under it), of its map
// for live lookups (package steer), and of its paths where it has an address of its own (package watch).
//
// # On this machine, and on others
//
// A server on the machine of ukai has an empty Place.Host: ukai reads its log and writes its files of routes itself. A distant one
// is served by "ukai agent" beside it, which does both there and asks the ukai that knows all, the hub. Whoever asks in a server's
// name over the network, or tells what it met, gives the server's secret. Only a digest of it is kept. That is a plain SHA-256: a
// secret is made by NewSecret, with 130 bits of chance in it, and what cannot be guessed need not be slow to guess.
//
// # In memory
//
// The book is read for every lookup of every server, so it lives in memory, with a copy in the control database. Only the process
// that serves opens it; the command line asks that process. The time a server was last heard of is written down every half
// minute and at the end: a crash forgets half a minute of it.
package servers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/store"
)

// Errors that a caller branches on; they are the cause of what the methods return.
var (
	ErrUnknown = errors.New("no such server")
	ErrExists  = errors.New("the server exists")
)

// Server is an entry of the book. Its lists are shared and must not be changed.
type Server struct {
	Name string `json:"name"`
	// MTA and Mode are empty for a server that was announced and has not been connected yet.
	MTA   mtaconf.MTA  `json:"mta,omitempty"`
	Mode  mtaconf.Mode `json:"mode,omitempty"`
	Place Place        `json:"place"`
	// Egress is the egress of ukai whose address the server sends from; empty: it has paths of its own, under its name.
	Egress string `json:"egress,omitempty"`
	// Account is under which name it hands mail to ukai.
	Account string `json:"account,omitempty"`
	// Logs are where the server writes what became of each message, on its machine, with the root before them.
	Logs []string `json:"logs,omitempty"`
	// Routes are the files that say which mail takes the detour; none where it asks live, or is a mere client.
	Routes []mtaconf.RouteFile `json:"routes,omitempty"`
	// Live is set where the server asks for each recipient; Answer is what it is told of one whose mail takes the detour.
	Live    bool      `json:"live,omitempty"`
	Answer  string    `json:"answer,omitempty"`
	Created time.Time `json:"created"`
	// Contact is when the server was last heard of: a line of its log, a lookup, a poll of its agent; zero: never.
	Contact time.Time `json:"contact,omitzero"`
	Drift   Drift     `json:"drift,omitzero"`
}

// Place is where a server is installed.
type Place struct {
	Host string `json:"host,omitempty"` // empty: the machine of ukai
	// Addrs are what the world sees the server send from, where that is known; of a server with an egress they are the egress's.
	Addrs    []netip.Addr `json:"addrs,omitempty"`
	Root     string       `json:"root,omitempty"`     // a directory laid out as "/"; empty: "/"
	Dir      string       `json:"dir,omitempty"`      // its configuration, inside the root
	Instance string       `json:"instance,omitempty"` // of one among several
	Version  string       `json:"version,omitempty"`
}

// Drift is what somebody has changed in the server's configuration since ukai was connected.
type Drift struct {
	At    time.Time `json:"at,omitzero"`     // when it was looked for; zero: never
	Files []string  `json:"files,omitempty"` // that are not as they were written; none: all is as it was
}

// Joined tells whether the server was connected, and not announced only.
func (s *Server) Joined() bool { return s.MTA != "" }

// Distant tells whether the server is on another machine.
func (s *Server) Distant() bool { return s.Place.Host != "" }

// PathName is what stands in the place of the egress in the server's paths.
func (s *Server) PathName() string {
	if s.Egress != "" {
		return s.Egress
	}
	return s.Name
}

// maxName is what a name in the place of an egress has room for: see package watch.
const maxName = 64

// Name returns a name as the book has it, in lower case, or why it cannot be one. It stands in maps of Postfix, in file names
// and on command lines, and is kept plain.
func Name(name string) (string, error) {
	lower := strings.ToLower(name)
	if lower == "" || len(lower) > maxName || strings.ContainsFunc(lower, notNameLetter) || strings.ContainsRune(".-_", rune(lower[0])) {
		return "", i18n.Errorf("servers.error.name", "name", name, "longest", maxName)
	}
	return lower, nil
}

func notNameLetter(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

// NewSecret makes up a secret: 26 letters and digits.
func NewSecret() string { return rand.Text() }

// digest is what is kept of a secret.
type digest [sha256.Size]byte

// entry is a server with what is not told of it.
type entry struct {
	server Server
	secret digest
	stale  bool // its contact is not written down
}

// Options of a Book. Zero values mean the defaults.
type Options struct {
	Now func() time.Time // default: time.Now
	// OnChange, if not nil, is called after servers were added, changed or removed, by whoever did it: it must be quick, and may
	// ask the book. Contact and drift are no changes.
	OnChange func()
}

// Book keeps the servers. It is safe for concurrent use.
type Book struct {
	db   *store.DB
	opts Options

	order sync.Mutex // held by whoever changes the table, so that memory and table have the changes in one order; before mu
	mu    sync.RWMutex
	all   map[string]*entry // guarded by mu
}

// Open opens the book in the control database and brings its table up to date.
func Open(ctx context.Context, db *store.DB, o Options) (*Book, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := db.Migrate(ctx, "servers", migrations...); err != nil {
		return nil, err
	}
	all, err := load(ctx, db)
	if err != nil {
		return nil, err
	}
	return &Book{db: db, opts: o, all: all}, nil
}

// Add enters a server under a secret. Created is set here.
func (b *Book) Add(ctx context.Context, s Server, secret string) error {
	name, err := Name(s.Name)
	if err != nil {
		return err
	}
	b.order.Lock()
	defer b.order.Unlock()
	if _, ok := b.find(name); ok {
		return i18n.Errorf("servers.error.exists", "name", name, "cause", ErrExists)
	}
	s.Name, s.Created = name, b.opts.Now()
	return b.put(ctx, &entry{server: s, secret: sha256.Sum256([]byte(secret))})
}

// Update changes a server; its name and when it was entered stay.
func (b *Book) Update(ctx context.Context, name string, change func(*Server)) error {
	return b.edit(ctx, name, func(e *entry) {
		was := e.server
		change(&e.server)
		e.server.Name, e.server.Created = was.Name, was.Created
	})
}

// SetSecret gives a server another secret: the one of before is worth nothing from then on.
func (b *Book) SetSecret(ctx context.Context, name, secret string) error {
	return b.edit(ctx, name, func(e *entry) { e.secret = sha256.Sum256([]byte(secret)) })
}

// edit replaces an entry by a changed copy: who has got the one of before goes on reading it.
func (b *Book) edit(ctx context.Context, name string, change func(*entry)) error {
	b.order.Lock()
	defer b.order.Unlock()
	e, ok := b.find(name)
	if !ok {
		return unknown(name)
	}
	change(&e)
	return b.put(ctx, &e)
}

// put writes an entry down, then lets it be seen.
func (b *Book) put(ctx context.Context, e *entry) error {
	e.server.Logs, e.server.Routes = slices.Clone(e.server.Logs), slices.Clone(e.server.Routes)
	e.stale = false
	if err := b.save(ctx, e); err != nil {
		return err
	}
	b.mu.Lock()
	if was, ok := b.all[e.server.Name]; ok && was.server.Contact.After(e.server.Contact) { // touched meanwhile
		e.server.Contact, e.stale = was.server.Contact, true
	}
	b.all[e.server.Name] = e
	b.mu.Unlock()
	b.changed()
	return nil
}

// Remove forgets a server, with its secret.
func (b *Book) Remove(ctx context.Context, name string) error {
	b.order.Lock()
	defer b.order.Unlock()
	e, ok := b.find(name)
	if !ok {
		return unknown(name)
	}
	if err := b.erase(ctx, e.server.Name); err != nil {
		return err
	}
	b.mu.Lock()
	delete(b.all, e.server.Name)
	b.mu.Unlock()
	b.changed()
	return nil
}

func (b *Book) changed() {
	if b.opts.OnChange != nil {
		b.opts.OnChange()
	}
}

func (b *Book) find(name string) (entry, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e, ok := b.all[strings.ToLower(name)]
	if !ok {
		return entry{}, false
	}
	return *e, true
}

// Get returns a server; ErrUnknown for a name that is not in the book.
func (b *Book) Get(name string) (Server, error) {
	e, ok := b.find(name)
	if !ok {
		return Server{}, unknown(name)
	}
	return e.server, nil
}

// List returns all servers by name.
func (b *Book) List() []Server {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]Server, 0, len(b.all))
	for _, e := range b.all {
		list = append(list, e.server)
	}
	slices.SortFunc(list, func(x, y Server) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// Check tells whether a secret is a server's. It takes as long for a name that nobody has.
func (b *Book) Check(name, secret string) bool {
	e, ok := b.find(name)
	got := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(got[:], e.secret[:]) == 1 && ok
}

// Touch notes that a server was heard of. A name that nobody has, and a time before the last one, are let go.
func (b *Book) Touch(name string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.all[strings.ToLower(name)]
	if !ok || !at.After(e.server.Contact) {
		return
	}
	e.server.Contact, e.stale = at, true
}

// SetDrift notes what was found changed in a server's configuration.
func (b *Book) SetDrift(name string, d Drift) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.all[strings.ToLower(name)]
	if !ok {
		return
	}
	d.Files = slices.Clone(d.Files)
	e.server.Drift, e.stale = d, true
}

func unknown(name string) error {
	return i18n.Errorf("servers.error.unknown", "name", name, "cause", ErrUnknown)
}
