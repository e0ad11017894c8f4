// Package suppress remembers recipients that do not exist, so that mail to them is refused at our own door.
//
// Providers count how much of a sender's mail goes to addresses that are not there: it is what a bought list looks like,
// and one of the few numbers that makes an address lose its reputation without any spam being sent. So an address that its
// server has called unknown is spared after a while. But the word is not taken at once, and not from everybody:
//
//   - Only a verdict that blames the recipient for not existing counts (Gone). A refusal of our address, our range, our domain, the
//     content or the pace says nothing about the recipient: in 2019 whole lists of customers were lost to systems that took
//     "550 5.7.1" for "no such user".
//   - It is confirmed by different messages, some time apart (Options.Confirmations, Options.Apart): a directory that is
//     down for an hour answers "unknown" too.
//   - Where one domain calls nearly everybody unknown, that is about the domain and not about recipients (crowd): nothing is
//     suppressed, and the log says so.
//   - A delivery clears it. Where a server takes everything and sends its reports afterwards, taking proves nothing: there the
//     absence of a report does.
//   - It ends by itself. After Options.Keep one message may try again.
//
// Only what was refused is kept, on the disk; a filter in memory answers for all other addresses, so that the common case costs
// two hashes. Changes are written in groups, like the journal's: a crash loses half a second of them, and no mail.
package suppress

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/store"
)

// Options say when a recipient is taken for gone. Zero fields take the defaults.
type Options struct {
	Confirmations int           // different messages that must have been refused; default 2
	Apart         time.Duration // least time from one that counts to the next; default 24 h
	Keep          time.Duration // how long a recipient stays suppressed; default 30 days
	Within        time.Duration // a refusal older than this no longer counts; default 30 days
	MaxEntries    int           // addresses that are kept; default 1,000,000. The oldest give way.
	Off           bool          // nothing is learned and nobody refused, but for what an admin has said
	Passive       bool          // it is learned, and nobody refused: observe mode
}

func (o *Options) defaults() {
	def := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.Apart, 24*time.Hour)
	def(&o.Keep, 30*24*time.Hour)
	def(&o.Within, 30*24*time.Hour)
	if o.Confirmations <= 0 {
		o.Confirmations = 2
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 1_000_000
	}
}

// trialLease is how long the one message that may try again has for its outcome, before another one may.
const trialLease = time.Hour

// Sighting is one message that was refused because the recipient does not exist.
type Sighting struct {
	At    time.Time `json:"at"`
	Msg   mail.ID   `json:"msg_id,omitzero"`
	Class string    `json:"class"`
	Text  string    `json:"text"`           // the reply
	Host  string    `json:"host,omitempty"` // who said it
	// Late is set when it came as a report, after the message had been taken.
	Late bool `json:"late,omitempty"`
}

// Forever is the end of an order that has none.
var Forever = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Entry is what is known of one address. It is never changed: a change makes another.
type Entry struct {
	Addr  string     `json:"address"` // lower case
	Seen  []Sighting `json:"seen,omitempty"`
	Since time.Time  `json:"since,omitzero"` // suppressed since; zero: not confirmed
	Until time.Time  `json:"until,omitzero"` // then one message may try again; zero: not suppressed
	Trial time.Time  `json:"trial,omitzero"` // when the last message was let through to try
	By    string     `json:"by,omitempty"`   // the admin who suppressed it by hand
	Why   string     `json:"why,omitempty"`  // and the reason given
	// Taken is the last message that was taken by a server that has sent reports late; no report about it has come yet.
	Taken   mail.ID   `json:"taken,omitzero"`
	TakenAt time.Time `json:"taken_at,omitzero"`
}

// Suppressed tells whether mail to the address is refused at a time.
func (e *Entry) Suppressed(now time.Time) bool { return e != nil && now.Before(e.Until) }

// Last returns the newest sighting; the zero value when there is none.
func (e *Entry) Last() Sighting {
	if len(e.Seen) == 0 {
		return Sighting{}
	}
	return e.Seen[len(e.Seen)-1]
}

// gone are the classes of classify that say that the recipient does not exist. A mailbox that is full, closed to us or
// disabled does exist; what another sender's list says ("suppressed") is hearsay.
var gone = map[string]bool{"user_unknown": true, "recipient_moved": true}

// known are the classes that only a server gives that knows its recipients.
var known = map[string]bool{"mailbox_full": true, "mailbox_disabled": true, "recipient_restricted": true}

// Gone tells whether a verdict says for good that the recipient does not exist.
func Gone(v *classify.Verdict) bool {
	return gone[v.Class] && v.Action == classify.Fail && v.Blame == classify.BlameRecipient && v.Scope == classify.ScopeRecipient
}

// Notice is what became of one recipient.
type Notice struct {
	At        time.Time
	Recipient string
	Msg       mail.ID
	Verdict   classify.Verdict
	Text      string
	Host      string
	Late      bool // it was told by a report
}

// Book keeps the entries. It is safe for concurrent use.
type Book struct {
	db  *store.DB
	log *slog.Logger

	mu     sync.Mutex // guards the fields below; not held while the database is asked
	opts   Options
	filter filter
	crowds crowds
	dirty  map[string]*Entry // not written yet; nil: removed
	gen    uint64            // grows with each change and each write

	flushMu sync.Mutex // one write at a time
}

// Open prepares the tables in db.
func Open(ctx context.Context, db *store.DB, opts Options, log *slog.Logger) (*Book, error) {
	opts.defaults()
	if err := db.Migrate(ctx, "suppress", migrations...); err != nil {
		return nil, err
	}
	b := &Book{db: db, log: log, opts: opts, dirty: make(map[string]*Entry)}
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// SetOptions changes the options from now on. Who is suppressed stays so for the time that was set then.
func (b *Book) SetOptions(opts Options) {
	opts.defaults()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opts = opts
}

// Run writes changes and forgets what is over until ctx ends, then writes the rest.
func (b *Book) Run(ctx context.Context) error {
	flush := time.NewTicker(500 * time.Millisecond)
	defer flush.Stop()
	prune := time.NewTicker(time.Hour)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.Sync(context.WithoutCancel(ctx))
		case now := <-prune.C:
			if err := b.Prune(ctx, now); err != nil {
				b.log.Warn("suppressed recipients not pruned", "error", err)
			}
		case <-flush.C:
			if err := b.Sync(ctx); err != nil && ctx.Err() == nil {
				b.log.Error("suppressed recipients not written", "error", err)
			}
		}
	}
}

// fold makes addresses that are delivered alike equal. RFC 5321, section 2.4, lets a server tell the case of a local part apart; no
// provider does, and a list has the same person in both.
func fold(addr string) string { return strings.ToLower(addr) }

// Admit says whether a new message to addr may be taken: nil means yes. Once the time is over it lets one message through.
func (b *Book) Admit(ctx context.Context, addr string, now time.Time) (*Entry, error) {
	e, err := b.acting(ctx, addr)
	if e == nil || e.Until.IsZero() || err != nil {
		return nil, err
	}
	if e.Suppressed(now) {
		return e, nil
	}
	barred := e
	err = b.change(ctx, fold(addr), func(e *Entry) *Entry {
		if barred = e; e == nil || e.Until.IsZero() || e.Suppressed(now) || now.Sub(e.Trial) < trialLease {
			return e
		}
		next := *e
		next.Trial, barred = now, nil
		return &next
	})
	if barred != nil && barred.Until.IsZero() {
		barred = nil
	}
	return barred, err
}

// Barred returns the entry of an address that is suppressed, else nil. It lets nobody try.
func (b *Book) Barred(ctx context.Context, addr string, now time.Time) (*Entry, error) {
	e, err := b.acting(ctx, addr)
	if err != nil || !e.Suppressed(now) {
		return nil, err
	}
	return e, nil
}

// acting finds an entry that may have consequences.
func (b *Book) acting(ctx context.Context, addr string) (*Entry, error) {
	e, _, err := b.find(ctx, fold(addr))
	if e == nil || err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opts.Passive || b.opts.Off && e.By == "" {
		return nil, nil
	}
	return e, nil
}

// find returns what is known of an address, nil for nothing, and the generation of that knowledge.
func (b *Book) find(ctx context.Context, addr string) (*Entry, uint64, error) {
	b.mu.Lock()
	e, ok := b.dirty[addr]
	gen, maybe := b.gen, b.filter.has(hash(addr))
	b.mu.Unlock()
	if ok || !maybe {
		return e, gen, nil
	}
	e, err := b.read(ctx, addr)
	return e, gen, err
}

// change replaces an entry by what f makes of it; nil stands for no entry. f may be called more than once.
func (b *Book) change(ctx context.Context, addr string, f func(*Entry) *Entry) error {
	for {
		e, gen, err := b.find(ctx, addr)
		if err != nil {
			return err
		}
		b.mu.Lock()
		if b.gen != gen { // somebody was faster
			b.mu.Unlock()
			continue
		}
		if next := f(e); next != e {
			b.gen++
			b.dirty[addr] = next
			b.filter.add(hash(addr))
		}
		b.mu.Unlock()
		return nil
	}
}

// English says on one line of ASCII why and until when an address is suppressed: for replies and reports.
func (e *Entry) English() string {
	var b strings.Builder
	b.WriteString("recipient suppressed since " + e.Since.UTC().Format(time.DateOnly))
	switch last := e.Last(); {
	case e.By != "" && e.Why != "":
		b.WriteString(" by the administrator: " + e.Why)
	case e.By != "":
		b.WriteString(" by the administrator")
	case last.Text != "":
		b.WriteString(", its server said: " + last.Text[:min(len(last.Text), 250)]) // a reply has 512 octets (RFC 5321, section 4.5.3.1.5)
	}
	if e.Until.Before(Forever) {
		b.WriteString("; may be tried again after " + e.Until.UTC().Format(time.DateOnly))
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, b.String())
}
