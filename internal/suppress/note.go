package suppress

import (
	"context"
	"slices"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
)

// maxSeen is how many sightings an entry keeps, maxText how much of each reply, in octets.
const (
	maxSeen = 10
	maxText = 500
)

// Note takes in what became of a recipient. Most of what happens to mail says nothing about whether the recipient exists, and is let
// pass.
func (b *Book) Note(ctx context.Context, n *Notice) error {
	addr := fold(n.Recipient)
	b.mu.Lock()
	off := b.opts.Off
	b.mu.Unlock()
	switch {
	case off || mail.Domain(addr) == "":
		return nil
	case n.Verdict.Action == classify.Deliver:
		b.count(addr, false, n.At)
		return b.delivered(ctx, addr, n)
	case Gone(&n.Verdict):
		if b.count(addr, true, n.At) {
			return b.doubt(ctx, mail.Domain(addr), n)
		}
		return b.refused(ctx, addr, n)
	case known[n.Verdict.Class]:
		b.count(addr, false, n.At)
	}
	return nil
}

// count tells whether the domain calls nearly everybody unknown.
func (b *Book) count(addr string, unknown bool, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.crowds.count(addr, unknown, at)
}

// delivered clears an address. With an entry made from late reports it waits whether one comes about this message too.
func (b *Book) delivered(ctx context.Context, addr string, n *Notice) error {
	if e, _, err := b.find(ctx, addr); e == nil || err != nil {
		return err
	}
	return b.change(ctx, addr, func(e *Entry) *Entry {
		switch {
		case e == nil || e.By != "":
			return e
		case n.Late: // a report of success: it lies in the mailbox
			return nil
		case !slices.ContainsFunc(e.Seen, func(s Sighting) bool { return s.Late }):
			return nil
		case e.Taken != 0 && n.At.Sub(e.TakenAt) >= b.opts.Apart:
			return nil
		case e.Taken != 0:
			return e
		}
		next := *e
		next.Taken, next.TakenAt = n.Msg, n.At
		return &next
	})
}

// refused adds a sighting, and suppresses the address when there are enough.
func (b *Book) refused(ctx context.Context, addr string, n *Notice) error {
	var confirmed *Entry
	err := b.change(ctx, addr, func(e *Entry) *Entry {
		confirmed = nil
		next := b.sighted(e, addr, n)
		if next != nil && next != e && !next.Until.IsZero() && (e == nil || !next.Until.Equal(e.Until)) {
			confirmed = next
		}
		return next
	})
	if confirmed != nil {
		b.log.Info("recipient suppressed", "recipient", addr, "messages", len(confirmed.Seen), "until", confirmed.Until, "text", n.Text)
	}
	return err
}

// sighted returns an entry with one more sighting, or the same where it does not count.
func (b *Book) sighted(e *Entry, addr string, n *Notice) *Entry {
	next := Entry{Addr: addr}
	if e != nil {
		next = *e
	}
	if next.Taken == n.Msg && n.Late {
		next.Taken, next.TakenAt = 0, time.Time{}
	}
	if next.By != "" || next.Suppressed(n.At) || slices.ContainsFunc(next.Seen, func(s Sighting) bool { return s.Msg == n.Msg }) {
		return unlessSame(e, &next)
	}
	again := !next.Until.IsZero() // its time was over, and the message that tried was refused like those before
	if !again {
		next.Seen = recent(next.Seen, n.At.Add(-b.opts.Within))
		if slices.ContainsFunc(next.Seen, func(s Sighting) bool { return n.At.Sub(s.At).Abs() < b.opts.Apart }) {
			return unlessSame(e, &next)
		}
	}
	text := n.Text[:min(len(n.Text), maxText)]
	next.Seen = append(slices.Clone(next.Seen), Sighting{At: n.At, Msg: n.Msg, Class: n.Verdict.Class, Text: text, Host: n.Host, Late: n.Late})
	next.Seen = next.Seen[max(0, len(next.Seen)-maxSeen):]
	if again || len(next.Seen) >= b.opts.Confirmations {
		next.Since, next.Until, next.Trial = n.At, n.At.Add(b.opts.Keep), time.Time{}
	}
	return &next
}

// unlessSame keeps an entry from being written where nothing has changed.
func unlessSame(e, next *Entry) *Entry {
	if e == nil || e.Taken == next.Taken && len(e.Seen) == len(next.Seen) {
		return e
	}
	return next
}

func recent(seen []Sighting, since time.Time) []Sighting {
	return slices.DeleteFunc(slices.Clone(seen), func(s Sighting) bool { return s.At.Before(since) })
}

// doubt forgets what a domain has said of its recipients: it says the same to everybody.
func (b *Book) doubt(ctx context.Context, domain string, n *Notice) error {
	b.mu.Lock()
	first := b.crowds.tell(domain, n.At)
	b.mu.Unlock()
	if !first {
		return nil
	}
	forgotten, err := b.forget(ctx, domain, n.At.Add(-crowdWindow))
	b.log.Warn("a domain calls nearly all its recipients unknown: none of them is suppressed for it", "domain", domain, "host", n.Host, "text", n.Text, "forgotten", forgotten)
	return err
}

// Add suppresses an address by hand until a time, whatever servers say about it.
func (b *Book) Add(ctx context.Context, e Entry) error {
	e.Addr = fold(e.Addr)
	if e.By == "" {
		e.By = "admin"
	}
	return b.change(ctx, e.Addr, func(old *Entry) *Entry {
		next := e
		if old != nil {
			next.Seen = old.Seen
		}
		return &next
	})
}

// Remove forgets an address; it tells whether anything was known of it.
func (b *Book) Remove(ctx context.Context, addr string) (bool, error) {
	there := false
	err := b.change(ctx, fold(addr), func(e *Entry) *Entry {
		there = e != nil
		return nil
	})
	return there, err
}

// Get returns what is known of an address, nil for nothing.
func (b *Book) Get(ctx context.Context, addr string) (*Entry, error) {
	e, _, err := b.find(ctx, fold(addr))
	return e, err
}
