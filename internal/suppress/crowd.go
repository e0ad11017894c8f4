package suppress

import (
	"container/list"
	"slices"
	"time"

	"ukai/internal/mail"
)

// A gateway whose directory is broken says "user unknown" to everybody. How many recipients of a domain were called unknown, and how
// many were not, tells it apart from a list with a few dead addresses in it.
const (
	crowdWindow  = 3 * 24 * time.Hour // longer than a broken directory stays unnoticed over a weekend
	crowdLeast   = 5                  // recipients called unknown, below which nothing can be said
	crowdPercent = 80
	crowdSample  = 32   // recipients of each kind that are told apart
	crowdDomains = 8192 // domains that are watched at once: about 5 MB
)

// sample is a set of recipients, by hash, that stops growing when it is large enough to judge by.
type sample []uint32

func (s *sample) add(h uint32) {
	if len(*s) < crowdSample && !slices.Contains(*s, h) {
		*s = append(*s, h)
	}
}

func (s *sample) drop(h uint32) {
	if i := slices.Index(*s, h); i >= 0 {
		*s = slices.Delete(*s, i, i+1)
	}
}

// half is what was seen in one half of the window.
type half struct{ unknown, known sample }

// crowd is a domain that is watched.
type crowd struct {
	domain    string
	began     time.Time // of now
	now, past half
	told      time.Time // when the log last said that it calls everybody unknown
}

// crowds are the domains watched, the one that was looked at last in front. The zero value is ready.
type crowds struct {
	order  list.List // of *crowd
	byName map[string]*list.Element
}

// count notes a recipient and tells whether its domain calls nearly everybody unknown.
func (c *crowds) count(addr string, unknown bool, at time.Time) bool {
	w := c.of(mail.Domain(addr))
	if age := at.Sub(w.began); age >= crowdWindow/2 {
		w.past, w.now = w.now, half{}
		if w.began = at; age >= crowdWindow {
			w.past = half{}
		}
	}
	h := uint32(hash(addr))
	if !unknown {
		w.now.known.add(h)
		w.now.unknown.drop(h)
		w.past.unknown.drop(h)
		return false
	}
	w.now.unknown.add(h)
	return w.odd()
}

func (w *crowd) odd() bool {
	both := func(a, b sample) int {
		n := len(a)
		for _, h := range b {
			if !slices.Contains(a, h) {
				n++
			}
		}
		return n
	}
	unknown, known := both(w.now.unknown, w.past.unknown), both(w.now.known, w.past.known)
	return unknown >= crowdLeast && unknown*100 >= crowdPercent*(unknown+known)
}

// of returns the crowd of a domain; the one that was not looked at for longest gives way to a new one.
func (c *crowds) of(domain string) *crowd {
	if at := c.byName[domain]; at != nil {
		c.order.MoveToFront(at)
		return at.Value.(*crowd)
	}
	if c.byName == nil {
		c.byName = make(map[string]*list.Element)
	}
	if c.order.Len() >= crowdDomains {
		oldest := c.order.Back()
		delete(c.byName, oldest.Value.(*crowd).domain)
		c.order.Remove(oldest)
	}
	w := &crowd{domain: domain}
	c.byName[domain] = c.order.PushFront(w)
	return w
}

// tell is true the first time in a window that a domain is to be spoken of.
func (c *crowds) tell(domain string, at time.Time) bool {
	w := c.of(domain)
	if !w.told.IsZero() && at.Sub(w.told) < crowdWindow {
		return false
	}
	w.told = at
	return true
}
