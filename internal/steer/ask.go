package steer

import (
	"context"
	"hash/maphash"
	"time"

	"ukai/internal/dns"
	"ukai/internal/provider"
)

const (
	maxAsked = 4096             // domains that wait to be looked up; what is above it is asked about again with the next question
	askFor   = 15 * time.Second // how long one look-up may take
	again    = time.Minute      // when a domain is asked about again of which nothing could be found out
)

// provider returns the hash of a domain's provider, 0 for one that is not known yet, and has it looked up where that is due.
// It waits for nothing. domain is in lower case; it is only read.
func (s *Steer) provider(domain []byte, now time.Time) uint64 {
	h := maphash.Bytes(seed, domain)
	id, known, stale := s.cache.get(h, now)
	if !stale {
		return id
	}
	if !known {
		if m, ok := s.Providers.ByDomain(string(domain)); ok { // gmail.com needs no MX
			id = hashID(m.ID)
			s.cache.put(h, id, now.Add(s.opts.Keep))
			return id
		}
	}
	if len(s.ask) == cap(s.ask) {
		return id
	}
	s.cache.put(h, 0, now.Add(again)) // asked once, however many want to know meanwhile
	select {
	case s.ask <- string(domain):
	default:
	}
	return id
}

// asker looks domains up, one after the other.
func (s *Steer) asker(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case domain := <-s.ask:
			s.find(ctx, domain)
		}
	}
}

// find asks who receives for a domain and remembers the answer.
func (s *Steer) find(ctx context.Context, domain string) provider.ID {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	h := maphash.String(seed, domain)
	if m, ok := s.Providers.ByDomain(domain); ok {
		s.cache.put(h, hashID(m.ID), time.Now().Add(s.opts.Keep))
		return m.ID
	}
	id := s.Receives(ctx, domain)
	if id == "" {
		s.cache.put(h, 0, time.Now().Add(again))
		return ""
	}
	s.cache.put(h, hashID(id), time.Now().Add(s.opts.Keep))
	return id
}

// longestDomain is the most that a domain of a question may have: RFC 5321, section 4.5.3.1.2.
const longestDomain = 255

// domainOf writes the domain of a question into buf, in lower case and as it is asked for in the DNS. The question is an
// address or a domain. It is nil for what has no domain that mail is routed by: "*" (transport(5): asked at the start), "",
// a local part alone, an address literal (RFC 5321, section 4.1.3), the partial keys of Sendmail (".example.com", ".").
//
// What stands behind the last @ is the domain, whatever is before it: a quoted local part may have an @ (RFC 5321, section
// 4.1.2), a source route has several (appendix C), a domain none.
func domainOf(key []byte, buf []byte) []byte {
	at := -1
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '@' {
			at = i
			break
		}
	}
	d := key[at+1:]
	if len(d) > 0 && d[len(d)-1] == '.' {
		d = d[:len(d)-1]
	}
	if len(d) == 0 || len(d) > longestDomain || d[0] == '.' || d[0] == '[' || d[len(d)-1] == '.' {
		return nil
	}
	dot, eight := at >= 0, false
	buf = buf[:0]
	for _, c := range d {
		switch {
		case c == '.':
			if dot = true; buf[len(buf)-1] == '.' { // an empty label; the first octet is no dot
				return nil
			}
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= 0x80:
			eight = true
		case !domainLetter(c):
			return nil
		}
		buf = append(buf, c)
	}
	if !dot { // a local part alone
		return nil
	}
	if eight {
		name, err := dns.ASCII(string(d))
		if err != nil {
			return nil
		}
		buf = append(buf[:0], name...)
	}
	return buf
}

// domainLetter tells whether an octet of ASCII in lower case may stand in a domain.
func domainLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// fileDomain returns a domain as it may stand in a file of routes, where a blank, a colon, a star or an exclamation mark would
// mean something else. Outside ASCII it stays as the server has it: it compares what stands there.
func fileDomain(domain string) (string, bool) {
	buf := make([]byte, 0, longestDomain)
	ascii := domainOf(append([]byte{'@'}, domain...), buf)
	if ascii == nil {
		return "", false
	}
	if _, err := dns.ASCII(string(ascii)); err != nil { // an empty label, one that is too long
		return "", false
	}
	for i := range len(domain) {
		if domain[i] >= 0x80 {
			return trimLower(domain), true
		}
	}
	return string(ascii), true
}

// Learn looks up n domains at once, without waiting for a question: name gives the ith of them.
func (s *Steer) Learn(ctx context.Context, name func(i int) string, n int) {
	for i := range n {
		if ctx.Err() != nil {
			return
		}
		s.find(ctx, name(i))
	}
}
