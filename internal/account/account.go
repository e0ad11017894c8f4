// Package account keeps the book of who may submit mail: by password, by client certificate.
//
// An account is a name with what it may do: which sender domains it may use, from which networks, how much per hour and day.
// An account that names no sender domain may send for none; "*" is every domain and has to be said. Whether a given message is
// within these bounds is decided by package guard.
//
// A password is kept in two forms, neither of which it follows from. For PLAIN and LOGIN, where the client hands it over, there
// is an argon2id hash (RFC 9106), slow and memory-hungry on purpose: whoever steals the database must pay that price for each
// guess. For SCRAM-SHA-256, where the client only proves that it knows the password, there are the keys of RFC 5802.
//
// The book is a table of the control database. The command line changes it from another process while ukai serves: every
// login and every order reads the table, and what Current remembers is half a second old at most.
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/sasl"
	"ukai/internal/store"
)

// Errors that a caller branches on; they are the cause of what the methods return.
var (
	ErrUnknown = errors.New("no such account")
	ErrExists  = errors.New("the account exists")
	// ErrBusy means that too many passwords are being checked: the client may try again.
	ErrBusy = errors.New("too many logins at a time")
)

// AnyDomain among an account's domains lets it send for every domain.
const AnyDomain = "*"

// Account is an entry of the book. It is shared and must not be changed.
type Account struct {
	Name string `json:"name"`
	// Domains are the sender domains, lower case: "example.org" is that one, "*.example.org" all below it, "*" any.
	Domains []string `json:"domains"`
	// Networks are where the client may come from; none means from anywhere.
	Networks []netip.Prefix `json:"networks,omitempty"`
	Limits   Limits         `json:"limits"`
	// Certificate is the SHA-256 fingerprint of a client certificate in 64 hexadecimal digits, or empty.
	Certificate string    `json:"certificate,omitempty"`
	HasPassword bool      `json:"has_password"`
	Suspended   time.Time `json:"suspended,omitzero"` // since when; zero: it is not
	Reason      string    `json:"reason,omitempty"`   // why it is suspended, in the admin's words
	Created     time.Time `json:"created"`
}

// Limits are how much an account may send. Zero means no limit.
type Limits struct {
	MessagesPerHour  int `json:"messages_per_hour"`
	RecipientsPerDay int `json:"recipients_per_day"`
}

// MaySendFor tells whether a sender domain is one of the account's. It is compared without case; an internationalised name and
// its xn-- form are two names here.
func (a *Account) MaySendFor(domain string) bool {
	domain = strings.ToLower(domain)
	for _, d := range a.Domains {
		if d == AnyDomain || d == domain {
			return true
		}
		if below, ok := strings.CutPrefix(d, "*"); ok && strings.HasSuffix(domain, below) && len(domain) > len(below) {
			return true
		}
	}
	return false
}

// MayComeFrom tells whether a client address is within the account's networks.
func (a *Account) MayComeFrom(client netip.Addr) bool {
	if len(a.Networks) == 0 {
		return true
	}
	client = client.Unmap()
	return slices.ContainsFunc(a.Networks, func(p netip.Prefix) bool { return p.Contains(client) })
}

// Options of a Book. Zero values mean the defaults.
type Options struct {
	// Checks is how many passwords are checked at a time; each takes 19 MiB and some 20 ms of a processor. Default: 2.
	Checks int
	// Remember is how long a password that was right is known to be right without a check. Default: 5 min.
	Remember time.Duration
	Now      func() time.Time // default: time.Now
}

// Book keeps the accounts. It is safe for concurrent use.
type Book struct {
	db     *store.DB
	opts   Options
	secret []byte        // makes up keys for unknown names; kept in the database, so that they stay the same
	key    []byte        // of this process: what passwords are remembered under
	slots  chan struct{} // capacity: checks at a time

	mu      sync.Mutex
	right   map[[32]byte]time.Time // guarded by mu: passwords found right, until when
	current map[string]seen        // guarded by mu
}

// seen is an account as it was at a time; nil for a name that is not in the book.
type seen struct {
	account *Account
	at      time.Time
}

// currentFor is how long Current believes what it read.
const currentFor = 500 * time.Millisecond

// Open opens the book in the control database and brings its tables up to date.
func Open(ctx context.Context, db *store.DB, opts Options) (*Book, error) {
	if opts.Checks <= 0 {
		opts.Checks = 2
	}
	if opts.Remember <= 0 {
		opts.Remember = 5 * time.Minute
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	b := &Book{db: db, opts: opts, key: random(32), slots: make(chan struct{}, opts.Checks),
		right: make(map[[32]byte]time.Time), current: make(map[string]seen)}
	if err := db.Migrate(ctx, "account", migrations...); err != nil {
		return nil, err
	}
	var err error
	if b.secret, err = b.keepSecret(ctx, random(32)); err != nil {
		return nil, err
	}
	return b, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the program instead
	return b
}

// Add makes an account. Name, Domains, Networks, Limits and Certificate are taken from a; the password may be empty for an
// account that logs in by certificate only.
func (b *Book) Add(ctx context.Context, a Account, password string) error {
	name, err := Name(a.Name)
	if err != nil {
		return err
	}
	a.Name = name
	if a.Domains, err = Domains(a.Domains); err != nil {
		return err
	}
	if err := checkLimits(a.Limits); err != nil {
		return err
	}
	if a.Certificate, err = Fingerprint(a.Certificate); err != nil {
		return err
	}
	var s secrets
	if password != "" {
		if s, err = b.derive(ctx, password); err != nil {
			return err
		}
	}
	a.Created = b.opts.Now()
	err = b.insert(ctx, &a, &s)
	b.forget(name)
	return err
}

// SetPassword changes the password of an account; an empty one leaves it without.
func (b *Book) SetPassword(ctx context.Context, name, password string) error {
	var s secrets
	var err error
	if password != "" {
		if s, err = b.derive(ctx, password); err != nil {
			return err
		}
	}
	return b.change(ctx, name, "hash = ?, scram_salt = ?, scram_iterations = ?, scram_stored = ?, scram_server = ?",
		s.hash, s.scram.Salt, s.scram.Iterations, s.scram.StoredKey, s.scram.ServerKey)
}

// SetLimit changes how much an account may send.
func (b *Book) SetLimit(ctx context.Context, name string, l Limits) error {
	if err := checkLimits(l); err != nil {
		return err
	}
	return b.change(ctx, name, "messages_per_hour = ?, recipients_per_day = ?", l.MessagesPerHour, l.RecipientsPerDay)
}

// SetDomains changes which sender domains an account may use.
func (b *Book) SetDomains(ctx context.Context, name string, domains []string) error {
	domains, err := Domains(domains)
	if err != nil {
		return err
	}
	return b.change(ctx, name, "domains = ?", joinDomains(domains))
}

// SetNetworks changes where an account's clients may come from.
func (b *Book) SetNetworks(ctx context.Context, name string, networks []netip.Prefix) error {
	return b.change(ctx, name, "networks = ?", joinNetworks(networks))
}

// Suspend stops an account from sending, until Resume. The reason is for people who ask why.
func (b *Book) Suspend(ctx context.Context, name, reason string) error {
	return b.change(ctx, name, "suspended = ?, reason = ?", b.opts.Now().Unix(), reason)
}

// Resume lets a suspended account send again.
func (b *Book) Resume(ctx context.Context, name string) error {
	return b.change(ctx, name, "suspended = 0, reason = ''")
}

// Current returns an account as it is, or was half a second ago at most; ErrUnknown for a name that is not in the book (any more).
// It is for the mail path, which asks for every message.
func (b *Book) Current(ctx context.Context, name string) (*Account, error) {
	lower, err := Name(name)
	if err != nil {
		return nil, unknown(name)
	}
	now := b.opts.Now()
	b.mu.Lock()
	s, ok := b.current[lower]
	b.mu.Unlock()
	if age := now.Sub(s.at); !ok || age < 0 || age >= currentFor {
		s = seen{at: now}
		if s.account, err = b.Get(ctx, lower); err != nil && !errors.Is(err, ErrUnknown) {
			return nil, err
		}
		b.see(lower, s)
	}
	if s.account == nil {
		return nil, unknown(name)
	}
	return s.account, nil
}

func (b *Book) see(name string, s seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.current) >= maxRemembered {
		clear(b.current)
	}
	b.current[name] = s
}

// forget makes the next question about an account go to the database.
func (b *Book) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.current, name)
}

func unknown(name string) error {
	return i18n.Errorf("account.error.unknown", "name", name, "cause", ErrUnknown)
}

// secrets is what is kept of a password.
type secrets struct {
	hash  string
	scram sasl.Keys
}
