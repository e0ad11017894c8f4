package queue

import (
	"slices"
	"strings"

	"ukai/internal/mail"
)

// matchesEnvelope tells whether a message can be among those that f selects; its deliveries decide the rest.
func (f *Filter) matchesEnvelope(env *mail.Envelope) bool {
	if len(f.IDs) > 0 && !slices.Contains(f.IDs, env.ID) {
		return false
	}
	return matchesAddress(f.Sender, env.From) && (f.Account == "" || f.Account == env.Account)
}

// matchesDelivery tells whether f selects a delivery of a message whose envelope matches. rcpts are its open recipients.
func (f *Filter) matchesDelivery(env *mail.Envelope, domain string, rcpts []int, s *DeliveryState) bool {
	if f.Domain != "" && !strings.EqualFold(f.Domain, domain) || f.Held != nil && *f.Held != s.Held || f.Tag != "" && f.Tag != s.Tag {
		return false
	}
	return f.Recipient == "" || slices.ContainsFunc(rcpts, func(r int) bool {
		return r < len(env.Recipients) && matchesAddress(f.Recipient, env.Recipients[r].Addr)
	})
}

// matchesAddress compares an address with a whole one or with "@domain".
func matchesAddress(want, addr string) bool {
	switch {
	case want == "":
		return true
	case want[0] == '@':
		return len(addr) >= len(want) && strings.EqualFold(addr[len(addr)-len(want):], want)
	}
	return strings.EqualFold(want, addr)
}

// selected returns which deliveries of a view f selects, by their place in it.
func (f *Filter) selected(v *view, l *loaded) []int {
	if !f.matchesEnvelope(l.env) {
		return nil
	}
	var which []int
	for i := range v.dels {
		dv := &v.dels[i]
		if l.states[i].closed {
			continue
		}
		rcpts := l.states[i].open
		if l.states[i].all {
			rcpts = l.groups[dv.n].rcpts
		}
		if f.matchesDelivery(l.env, dv.domain, rcpts, &l.states[i].DeliveryState) {
			which = append(which, i)
		}
	}
	return which
}
