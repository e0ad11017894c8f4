// Package guard answers one question: may this account, or this client of a trusted network, send this, at this moment?
//
// A relay whose password was stolen, or whose neighbour in the office has caught something, gets its addresses listed for
// everybody behind it. The bounds here keep such an accident small: who may speak for which domain, from where, and how much.
// They stand before the queue: what is over them never sees a way out.
//
// Rates are kept by GCRA (the generic cell rate algorithm of ATM traffic management, ITU-T I.371): for each sender one instant,
// the time at which its budget will be whole again. Each message moves it on by 1/n of the period; it may not run ahead of the
// clock by more than the period. So n can go at once, after a pause, and then n per period evenly, without a window whose edge could be
// played with. Nothing of it is kept over a restart: everybody begins with a whole budget.
package guard

import (
	"net/netip"
	"sync"
	"time"

	"ukai/internal/account"
	"ukai/internal/mail"
)

// Options of a Guard. Zero means no limit.
type Options struct {
	// Network limits each client address (each IPv6 /64) that is admitted by its network, without an account.
	Network account.Limits
}

// Request is what is asked about: a sender who wants to begin a message, or to add a recipient to it.
type Request struct {
	Account *account.Account // nil: admitted by network
	Client  netip.Addr
	Sender  string // the reverse-path without brackets; empty for a bounce
}

// Guard counts what is sent and compares it with what may be. It is safe for concurrent use.
type Guard struct {
	mu      sync.Mutex
	opts    Options         // guarded by mu
	budgets map[key]*budget // guarded by mu
	swept   time.Time       // guarded by mu
}

// key is who has a budget: an account by name, or a client by its network.
type key struct {
	account string
	client  netip.Prefix
}

// budget is when each of the two allowances will be whole again; a time in the past means that it is.
type budget struct{ messages, recipients time.Time }

// The periods of account.Limits.
const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// New makes a Guard.
func New(opts Options) *Guard {
	return &Guard{opts: opts, budgets: make(map[key]*budget)}
}

// SetOptions changes the limits from now on; what was counted stays.
func (g *Guard) SetOptions(opts Options) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opts = opts
}

// Check decides about MAIL: may this sender begin a message? A yes takes one message from its budget.
func (g *Guard) Check(now time.Time, r Request) Decision {
	if a := r.Account; a != nil {
		switch {
		case !a.Suspended.IsZero():
			return Decision{Reason: Suspended}
		case !a.MayComeFrom(r.Client):
			return Decision{Reason: ForeignNetwork}
		case r.Sender != "" && !a.MaySendFor(mail.Domain(r.Sender)):
			// The null sender belongs to no domain: a mail server behind us must be able to bounce (RFC 5321, section 4.5.5).
			return Decision{Reason: ForeignSender}
		}
	}
	return g.take(now, r, TooManyMessages)
}

// Recipient decides about RCPT. A yes takes one recipient from the sender's budget; it is counted whether or not the message comes.
func (g *Guard) Recipient(now time.Time, r Request) Decision {
	return g.take(now, r, TooManyRecipients)
}

// take takes one from a budget, or says when there will be one; what names the budget and is the reason for a no.
func (g *Guard) take(now time.Time, r Request, what Reason) Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	limits := g.opts.Network
	if r.Account != nil {
		limits = r.Account.Limits
	}
	n, period := limits.MessagesPerHour, hour
	if what == TooManyRecipients {
		n, period = limits.RecipientsPerDay, day
	}
	if n <= 0 {
		return Decision{}
	}
	b := g.budgetLocked(now, r)
	whole := &b.messages
	if what == TooManyRecipients {
		whole = &b.recipients
	}
	// A clock that was set back must not lock anybody out for longer than the period.
	next := *whole
	if next.Before(now) || next.Sub(now) > period {
		next = now
	}
	next = next.Add(period / time.Duration(n))
	if over := next.Sub(now) - period; over > 0 {
		return Decision{Reason: what, RetryAfter: over}
	}
	*whole = next
	return Decision{}
}

// budgetLocked finds the budget of a sender, and once an hour forgets those that are whole.
func (g *Guard) budgetLocked(now time.Time, r Request) *budget {
	k := key{client: clientNetwork(r.Client)}
	if r.Account != nil {
		k = key{account: r.Account.Name}
	}
	if b := g.budgets[k]; b != nil {
		return b
	}
	if now.Sub(g.swept) > hour {
		g.swept = now
		for k, b := range g.budgets {
			if b.messages.Before(now) && b.recipients.Before(now) {
				delete(g.budgets, k)
			}
		}
	}
	b := &budget{}
	g.budgets[k] = b
	return b
}

// clientNetwork is what counts as one client: an IPv4 address, an IPv6 /64.
func clientNetwork(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Prefix for no address: a Unix socket
	return p
}
