// Package intake takes mail over from the SMTP server: it decides whether this client may send this mail, and if so adds
// the trace field, has the message signed and commits it to the queue.
//
// Who may send is a matter of three things: the listener (which networks relay, whether accounts log in), the account (its
// sender domains, its limits, whether it is suspended), and the rate. Nobody else may: ukai is for sending, it delivers to
// no mailbox, so mail from a stranger is refused whatever its recipient is. The one exception is a report about mail of ours that
// comes to the bounce address: see Reports.
package intake

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"

	"ukai/internal/account"
	"ukai/internal/dkim"
	"ukai/internal/guard"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/smtpserver"
	"ukai/internal/suppress"
)

// Options are the settings that stay. Zero fields take the defaults.
type Options struct {
	Hostname string // in Received
	// MaxHops is how many Received fields a message may have; default 50. RFC 5321, section 6.3, wants at least 100 for
	// general use; a relay for outgoing mail sees a handful, and each hop of a loop costs everybody.
	MaxHops int
	// OnAccepted, if not nil, is called for each message taken in, with the listener's name.
	OnAccepted func(listener string)
}

// Parts are what an Intake works with.
type Parts struct {
	Store    queue.Store
	Journal  *journal.Journal
	Accounts *account.Book
	Guard    *guard.Guard
	Suppress *suppress.Book // recipients to be refused; may be nil
	Log      *slog.Logger
}

// Policy says who may relay by a listener.
type Policy struct {
	Relay        guard.Relay // may send without logging in
	Accounts     bool        // accounts may send
	AccountsOnly bool        // nobody else may, whatever Relay says
	Submission   bool        // add Date and Message-ID where they are missing (RFC 6409, section 8)
	Reports      bool        // anybody may hand in reports to the bounce address: see Reports
}

// Intake decides and takes over. It implements smtpserver.Handler and smtpserver.Authenticator; it is safe for concurrent use.
type Intake struct {
	store    queue.Store
	journal  *journal.Journal
	accounts *account.Book
	guard    *guard.Guard
	log      *slog.Logger
	opts     Options
	rules    atomic.Pointer[rules]
	reports  atomic.Pointer[Reports]
	suppress *suppress.Book
	quota    quota
}

// rules is what a reload replaces as one.
type rules struct {
	policies map[string]Policy // by listener
	signer   *dkim.Signer      // may be nil
}

// New makes an Intake that refuses everybody until Configure is called.
func New(p Parts, o Options) *Intake {
	if o.MaxHops == 0 {
		o.MaxHops = 50
	}
	in := &Intake{store: p.Store, journal: p.Journal, accounts: p.Accounts, guard: p.Guard, suppress: p.Suppress, log: p.Log, opts: o}
	in.rules.Store(&rules{})
	return in
}

// Configure sets who may relay by which listener, and the keys that sign; signer may be nil.
func (in *Intake) Configure(policies map[string]Policy, signer *dkim.Signer) {
	in.rules.Store(&rules{policies: policies, signer: signer})
}

// Begin implements smtpserver.Handler.
func (in *Intake) Begin(ctx context.Context, s *smtpserver.Session, env *mail.Envelope) (smtpserver.Content, *mail.Reply) {
	if c, reply, ours := in.begin(ctx, s, env); ours {
		return c, reply
	}
	r := in.rules.Load()
	env.Client, env.Helo, env.Account = s.Client.Addr().Unmap(), s.Helo, s.Account
	draft, err := in.store.Create(env)
	if err != nil {
		reply := (&content{in: in}).refusal(err)
		return nil, &reply
	}
	c := &content{in: in, env: env, draft: draft, listener: s.Listener, complete: r.policies[s.Listener].Submission,
		head: received(s, env, in.opts.Hostname, env.Accepted)}
	if r.signer != nil {
		c.sign = r.signer.Begin()
	}
	return c, nil
}

// Password implements smtpserver.Authenticator.
func (in *Intake) Password(ctx context.Context, name, password string) (string, bool, error) {
	return in.accounts.Password(ctx, name, password)
}

// Scram implements smtpserver.Authenticator.
func (in *Intake) Scram(ctx context.Context, name string) (smtpserver.ScramKeys, error) {
	return in.accounts.Scram(ctx, name)
}

// Certificate implements smtpserver.Authenticator.
func (in *Intake) Certificate(ctx context.Context, state *tls.ConnectionState) string {
	return in.accounts.Certificate(ctx, state)
}

var _ smtpserver.Handler = (*Intake)(nil)
var _ smtpserver.Authenticator = (*Intake)(nil)
