package dns

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
)

// Static is a Resolver made of tables, for tests: a fake that is data. The zero value knows no name at all.
//
// Names are lower case, without trailing dot. A name that stands in any table exists: what the others do not say about it is
// "no records"; any other name is "no such domain". Equal preferences keep the order of the table. The tables must not
// change while questions are asked.
type Static struct {
	MXs   map[string][]MX
	Hosts map[string][]netip.Addr
	Texts map[string][]string
	Names map[netip.Addr][]string // for PTR
	// CNAMEs are followed first, by every question but PTR.
	CNAMEs map[string]string
	// Errors are returned instead of an answer: for "mx example.org" (a question), else for "example.org" (every question).
	Errors map[string]*Error

	mu    sync.Mutex
	calls map[string]int
}

// Calls returns how often a question was asked: op is "mx", "addr", "txt" or "ptr"; "" and a name count all of its questions.
func (s *Static) Calls(op, name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == "" {
		return s.calls[name]
	}
	return s.calls[op+" "+name]
}

// TemporaryError is what a Static returns, or any test, where nothing can be found out.
func TemporaryError(op, name, reason string) *Error {
	return &Error{Op: op, Name: name, Reason: reason, Temporary: true, Status: statusDirectory}
}

// MX implements Resolver.
func (s *Static) MX(ctx context.Context, domain string) ([]MX, error) {
	name, err := s.begin(ctx, "mx", domain)
	if err != nil {
		return nil, err
	}
	mx := slices.Clone(s.MXs[name])
	slices.SortStableFunc(mx, func(a, b MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return mx, s.missing("mx", name, len(mx))
}

// Addrs implements Resolver.
func (s *Static) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	name, err := s.begin(ctx, "addr", host)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.Hosts[name]), s.missing("addr", name, len(s.Hosts[name]))
}

// TXT implements Resolver.
func (s *Static) TXT(ctx context.Context, name string) ([]string, error) {
	name, err := s.begin(ctx, "txt", name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.Texts[name]), s.missing("txt", name, len(s.Texts[name]))
}

// PTR implements Resolver.
func (s *Static) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	name := ip.String()
	if err := s.count(ctx, "ptr", name); err != nil {
		return nil, err
	}
	if len(s.Names[ip]) == 0 {
		return nil, &Error{Op: "ptr", Name: name, Reason: "no such domain", NotFound: true, NXDomain: true, Status: statusNoDomain}
	}
	return slices.Clone(s.Names[ip]), nil
}

// begin counts a question and returns the name that its CNAMEs lead to.
func (s *Static) begin(ctx context.Context, op, name string) (string, error) {
	name, err := ASCII(name)
	if err != nil {
		return "", badName(op, name)
	}
	if err := s.count(ctx, op, name); err != nil {
		return "", err
	}
	for range maxChain {
		alias, ok := s.CNAMEs[name]
		if !ok {
			return name, nil
		}
		name = alias
	}
	return "", TemporaryError(op, name, "CNAME loop")
}

func (s *Static) count(ctx context.Context, op, name string) error {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = make(map[string]int)
	}
	s.calls[name]++
	s.calls[op+" "+name]++
	s.mu.Unlock()
	if ctx.Err() != nil {
		return TemporaryError(op, name, "timeout")
	}
	e := cmp.Or(s.Errors[op+" "+name], s.Errors[name])
	if e == nil {
		return nil
	}
	e2 := *e
	e2.Op, e2.Name = op, name
	return &e2
}

// missing returns the error for a question that n records answer.
func (s *Static) missing(op, name string, n int) error {
	if n > 0 {
		return nil
	}
	_, mx := s.MXs[name]
	_, host := s.Hosts[name]
	_, text := s.Texts[name]
	e := &Error{Op: op, Name: name, Reason: "no records", NotFound: true, Status: statusNoRoute}
	if !mx && !host && !text {
		e.Reason, e.NXDomain, e.Status = "no such domain", true, statusNoDomain
	}
	return e
}
