package rehearse

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ukai/internal/peersim"
)

// mailing is a stream and what was sent of it.
type mailing struct {
	*Stream
	sent []peersim.Sent
}

// messageID returns what stands in the Message-ID header of a message.
func (m *mailing) messageID(s *peersim.Sent) string {
	n, err := strconv.Atoi(strings.TrimPrefix(s.ID, m.Name+"-"))
	if err != nil {
		panic("bug: the ID of a message without its number: " + s.ID)
	}
	return "<" + s.ID + "@" + m.Senders[n%len(m.Senders)] + ">"
}

// send starts the traffic. wait returns what was accepted, when ctx has ended and what was on its way is through.
func (st *stage) send(ctx context.Context, scale float64) (wait func() ([]mailing, error)) {
	all := make([]mailing, len(st.s.Streams))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i := range all {
		s := &st.s.Streams[i]
		all[i].Stream = s
		t := peersim.Traffic{
			To: st.main.addr().String(), Senders: s.Senders, Rcpts: st.rcpts(s), Rate: s.Rate * scale, Size: s.Size,
			Concurrency: 16, Prefix: s.Name + "-", Body: s.Body,
		}
		if s.Header != "" {
			t.Header = s.Header + "\r\n"
		}
		wg.Go(func() {
			r, err := peersim.Generate(ctx, t)
			if err == nil {
				all[i].sent = r.Accepted
			}
			errs[i] = err
		})
	}
	return func() ([]mailing, error) {
		wg.Wait()
		return all, errors.Join(errs...)
	}
}

// rcpts returns whom a stream goes to, in turn: providers by their share, evenly mixed, their domains in turn.
func (st *stage) rcpts(s *Stream) []string {
	type source struct {
		domains           []string
		share, owed, next int
	}
	var from []*source
	total := 0
	add := func(share int, domains []string) {
		from = append(from, &source{domains: domains, share: share})
		total += share
	}
	for i := range st.s.Providers {
		p := &st.s.Providers[i]
		var domains []string
		for _, g := range p.Groups {
			domains = append(domains, g.Domains...)
		}
		if len(s.To) == 0 && p.Share > 0 || slices.Contains(s.To, p.Name) {
			add(max(p.Share, 1), domains)
		}
	}
	for _, to := range s.To {
		if st.idOf[to] != "" { // a domain by itself
			add(1, []string{to})
		}
	}
	rounds := 0
	for _, f := range from {
		rounds = max(rounds, (len(f.domains)+f.share-1)/f.share)
	}
	var list []string
	for range rounds * total { // smooth weighted round robin: who is owed most is next
		best := from[0]
		for _, f := range from {
			if f.owed += f.share; f.owed > best.owed {
				best = f
			}
		}
		best.owed -= total
		to := best.domains[best.next%len(best.domains)]
		best.next++
		if s.User != "" {
			to = s.User + "@" + to
		}
		list = append(list, to)
	}
	return list
}
