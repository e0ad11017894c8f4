package cases

import (
	"strings"
	"time"
)

// Order is what a person says about a case.
type Order struct {
	By    string
	Note  string
	Fixed string // what has been mended
	At    time.Time
}

func short(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxNote {
		s = strings.ToValidUTF8(s[:maxNote], "")
	}
	return s
}

// Done notes that a person has asked. ok is false when there is no such case, or nothing to ask for: it is over, or nobody can.
func (b *Book) Done(id int64, o Order) (ok bool) {
	return b.order(id, func(c *Case) bool {
		if c.State == Over || c.State == Waiting {
			return false
		}
		if len(c.Requests) == maxRequests {
			c.Requests = c.Requests[1:]
		}
		b.fixed(c, o)
		c.Requests = append(c.Requests, Request{At: o.At, By: o.By, Note: short(o.Note)})
		c.say(o.At, "cases.event.asked", "by", o.By, "note", short(o.Note))
		b.judge(c, o.At)
		return true
	})
}

// Fixed notes what a person has mended. ok is false when there is no such case, it is over, or nothing was said.
func (b *Book) Fixed(id int64, o Order) (ok bool) {
	return b.order(id, func(c *Case) bool {
		if c.State == Over || short(o.Fixed) == "" {
			return false
		}
		b.fixed(c, o)
		c.Checked = time.Time{} // it may be what was missing
		return true
	})
}

func (b *Book) fixed(c *Case, o Order) {
	what := short(o.Fixed)
	if what == "" {
		return
	}
	if len(c.Fixes) == maxFixes {
		c.Fixes = c.Fixes[1:]
	}
	c.Fixes = append(c.Fixes, Fix{At: o.At, By: o.By, What: what})
	c.say(o.At, "cases.event.fixed", "by", o.By, "what", what)
}

// Reopen takes back that somebody has asked (the answer was no, or it was a mistake), or opens a case that is over. ok is false
// when there is no such case, or it is open.
func (b *Book) Reopen(id int64, o Order) (ok bool) {
	return b.order(id, func(c *Case) bool {
		if c.State != Over && c.lastRequest() == nil {
			return false
		}
		over := c.State == Over
		b.open(c, o.At, "cases.event.reopened_by", "by", o.By, "note", short(o.Note))
		c.Held = over
		return true
	})
}

func (b *Book) order(id int64, f func(c *Case) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.find(id)
	if c == nil || !f(c) {
		return false
	}
	b.dirty[c.ID] = true
	return true
}
