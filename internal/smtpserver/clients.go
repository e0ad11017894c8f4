package smtpserver

import (
	"net/netip"
	"sync"
	"time"
)

// clientMemory is how long a client that has left is remembered for its failed logins.
const clientMemory = 10 * time.Minute

// maxAuthDelay is the longest pause before the answer to a failed login.
const maxAuthDelay = 16 * time.Second

// clients counts who is connected. It is safe for concurrent use.
type clients struct {
	mu    sync.Mutex
	total int
	table map[netip.Prefix]*client
	swept time.Time
}

// client is one IPv4 address or IPv6 /64.
type client struct {
	sessions int
	// full is when the burst of connections will be whole again (GCRA: a connection moves it on by one interval).
	full     time.Time
	failures int // failed logins
	failedAt time.Time
}

func clientKey(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64 // what one customer gets; an address of its own costs nothing there
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: a Unix socket
	}
	return p
}

func exempt(a netip.Addr, nets []netip.Prefix) bool {
	for _, p := range nets {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// admit takes a place for a client, or returns the reply that turns it away.
func (c *clients) admit(now time.Time, addr netip.Addr, l *ClientLimits) string {
	key, free := clientKey(addr), !addr.IsValid() || exempt(addr, l.Exempt)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= l.Total {
		return replyTooManySessions
	}
	cl := c.clientLocked(now, key)
	if !free {
		if cl.sessions >= l.Connections {
			return replyTooManyOfClient
		}
		interval := time.Minute / time.Duration(min(l.PerMinute, int(time.Minute)))
		full := cl.full
		if full.Before(now) {
			full = now
		}
		if full = full.Add(interval); full.Sub(now) > time.Minute {
			return replyTooFast
		}
		cl.full = full
	}
	c.total++
	cl.sessions++
	return ""
}

func (c *clients) release(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if cl := c.table[clientKey(addr)]; cl != nil {
		cl.sessions--
	}
}

// authFailed notes a failed login and returns how long its answer has to wait: twice as long each time.
func (c *clients) authFailed(now time.Time, addr netip.Addr) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.clientLocked(now, clientKey(addr))
	if now.Sub(cl.failedAt) > clientMemory {
		cl.failures = 0
	}
	cl.failures++
	cl.failedAt = now
	return min(time.Second<<min(cl.failures-1, 10), maxAuthDelay)
}

// clientLocked returns the entry of a client, and forgets now and then those that have nothing to be remembered for.
func (c *clients) clientLocked(now time.Time, key netip.Prefix) *client {
	if c.table == nil {
		c.table = make(map[netip.Prefix]*client)
	}
	cl := c.table[key]
	if cl != nil {
		return cl
	}
	if now.Sub(c.swept) > clientMemory/10 {
		c.swept = now
		for k, old := range c.table {
			if old.sessions == 0 && old.full.Before(now) && now.Sub(old.failedAt) > clientMemory {
				delete(c.table, k)
			}
		}
	}
	cl = &client{}
	c.table[key] = cl
	return cl
}
