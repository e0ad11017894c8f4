// Package peersim plays the rest of the world on loopback: mailbox providers that take or refuse mail by a script, the name
// server that leads to them, and the people who write.
//
// An incident like that of 2019 cannot be waited for, and nobody may try it out on a real provider. Here a provider is data: its
// MX hosts, the domains behind them, and rules in an order ("from 10:00 on, at the end of DATA, mail from this source is refused
// with this text"). Rules know where a connection comes from, how far the dialogue is, who writes to whom, what time it is in
// the story and how much came before; they accept, refuse with any text, greylist, stall or hang up. They can be changed while
// the world runs.
//
// Every delivery and every refusal is written into a ledger, small enough for a million messages: which message, to whom, how
// often, from which address, when, and a digest of its content. With it a test can prove that each message arrived exactly once
// and unchanged.
//
// The receiving side shares no code with package smtpserver on purpose: it is the witness, and a witness must not have the same
// blind spot as the one it judges. What a client does against the protocol (a bare LF, a line too long, 8-bit content that was
// not announced) is noted as a complaint.
package peersim

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options describe a world.
type Options struct {
	Providers []Provider
	// Zone holds DNS records besides those that the providers bring along.
	Zone Zone
	// Port is where every provider listens, each on an address of its own; 0 chooses one that is free on all of them.
	Port uint16
	// DNS is the address of the name server; empty: 127.0.0.1 and a free port.
	DNS string
	// Speed is how many seconds of the story pass in one second; 0 means 1. It holds for the times of rules.
	Speed float64
	// Seed makes rules with a Chance decide the same way each time.
	Seed uint64
	// Shown is how providers see (and quote) a source address, where it is not itself: a public address for a loopback one.
	Shown map[netip.Addr]netip.Addr
	// Watch is told every delivery and every refusal, from many goroutines at once; it must not block.
	Watch func(Event)
	// Keep is how many octets of each content Watch gets to see; 0: none.
	Keep int
}

// World is a running simulation. All methods are safe for concurrent use.
type World struct {
	opts      Options
	clock     clock
	port      uint16
	providers []*provider
	byName    map[string]*provider
	ledger    *ledger
	dns       *nameServer
	tls       *identity

	done  chan struct{}
	wg    sync.WaitGroup
	close sync.Once
}

// Start opens every listener; when it returns, the world answers.
func Start(opts Options) (*World, error) {
	w := &World{opts: opts, ledger: newLedger(), byName: make(map[string]*provider), done: make(chan struct{})}
	w.clock.speed = opts.Speed
	if w.clock.speed <= 0 {
		w.clock.speed = 1
	}
	w.clock.begin()
	for i := range opts.Providers {
		p, err := newProvider(w, i)
		if err != nil {
			return nil, err
		}
		if w.byName[p.conf.Name] != nil {
			return nil, fmt.Errorf("provider %q is described twice", p.conf.Name)
		}
		w.providers = append(w.providers, p)
		w.byName[p.conf.Name] = p
	}
	var err error
	if w.tls, err = newIdentity(w.hosts()); err != nil {
		return nil, err
	}
	if err := w.listen(); err != nil {
		return nil, err
	}
	if w.dns, err = startNameServer(w); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// hosts returns the names of all MX hosts.
func (w *World) hosts() []string {
	var all []string
	for _, p := range w.providers {
		for _, g := range p.conf.Groups {
			all = append(all, g.MX...)
		}
	}
	return all
}

// portTries is how often a port that is free on one address may turn out to be taken on another.
const portTries = 20

// listen opens all providers on one port.
func (w *World) listen() error {
	tries := portTries
	if w.opts.Port != 0 {
		tries = 1
	}
	var err error
	for range tries {
		w.port = w.opts.Port
		if err = w.tryListen(); err == nil {
			for _, p := range w.providers {
				p.serve()
			}
			return nil
		}
		for _, p := range w.providers {
			p.shut()
		}
	}
	return err
}

func (w *World) tryListen() error {
	for _, p := range w.providers {
		if err := p.open(); err != nil {
			return err
		}
		if w.port == 0 && len(p.listeners) > 0 {
			w.port = p.listeners[0].addr.Port()
		}
	}
	return nil
}

// Close ends every connection and waits for everything that runs.
func (w *World) Close() {
	w.close.Do(func() {
		close(w.done)
		for _, p := range w.providers {
			p.shut()
			p.hangUp()
		}
		if w.dns != nil {
			w.dns.shut()
		}
	})
	w.wg.Wait()
}

// Port returns the port that all providers share.
func (w *World) Port() uint16 { return w.port }

// DNS returns the address of the name server, for UDP and TCP.
func (w *World) DNS() string { return w.dns.addr }

// Addr returns where a provider listens first; the zero AddrPort for a provider that is not there.
func (w *World) Addr(provider string) netip.AddrPort {
	p := w.byName[provider]
	if p == nil || len(p.conf.Listen) == 0 {
		return netip.AddrPort{}
	}
	return p.addr(0)
}

// Elapsed returns how much of the story has passed.
func (w *World) Elapsed() time.Duration { return w.clock.elapsed() }

// Begin sets the story back to its start, so that the time it took to set everything up does not count.
func (w *World) Begin() { w.clock.begin() }

// errUnknown is returned for a provider that the world has not.
var errUnknown = errors.New("no such provider")

// SetRules replaces the script of a provider; connections that are open follow it from their next command on. Counters and the
// memory of greylisting start anew.
func (w *World) SetRules(provider string, rules []Rule) error {
	p := w.byName[provider]
	if p == nil {
		return fmt.Errorf("set rules of %q: %w", provider, errUnknown)
	}
	s, err := compile(rules, w.opts.Seed)
	if err != nil {
		return fmt.Errorf("provider %q: %w", provider, err)
	}
	p.script.Store(s)
	return nil
}

// SetUp takes a provider off the net (connections are refused, open ones end) or brings it back.
func (w *World) SetUp(provider string, up bool) error {
	p := w.byName[provider]
	if p == nil {
		return fmt.Errorf("switch %q: %w", provider, errUnknown)
	}
	if !up {
		p.shut()
		p.hangUp()
		return nil
	}
	if err := p.open(); err != nil {
		p.shut()
		return err
	}
	p.serve()
	return nil
}

// Wait returns when at least n different pairs of message and recipient have been delivered, or with ctx's error.
func (w *World) Wait(ctx context.Context, n int) error {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for w.Sum().Delivered < n {
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d deliveries, there are %d: %w", n, w.Sum().Delivered, ctx.Err())
		}
	}
	return nil
}

// clock is the time of the story.
type clock struct {
	speed float64
	start atomic.Pointer[time.Time]
}

func (c *clock) begin() {
	now := time.Now()
	c.start.Store(&now)
}

func (c *clock) elapsed() time.Duration {
	return time.Duration(float64(time.Since(*c.start.Load())) * c.speed)
}

// real returns how long a time of the story really takes.
func (c *clock) real(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed) }
