package rehearse

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ukai/internal/api"
	"ukai/internal/health"
	"ukai/internal/mail"
	"ukai/internal/peersim"
)

// ledger is what the simulated world knows of each message.
type ledger struct {
	recs    map[[2]string]*peersim.Record
	refused map[string]time.Time // by ID: the first refusal, at whatever phase
	bounced map[string]time.Time // by ID: when the sender was told
	held    map[string]bool      // by ID: in a queue at the end
	// preferred is the source address of the preferred way.
	preferred netip.Addr
}

func readLedger(records []peersim.Record) *ledger {
	l := &ledger{recs: map[[2]string]*peersim.Record{}, refused: map[string]time.Time{}, bounced: map[string]time.Time{}}
	for _, r := range records {
		if r.Bounce || r.Provider == sendersName {
			if r.Delivered > 0 {
				l.bounced[r.ID] = r.First
			}
			continue
		}
		l.recs[[2]string{r.ID, r.Rcpt}] = &r
		if first, ok := l.refused[r.ID]; r.Refused > 0 && (!ok || r.FirstRefused.Before(first)) {
			l.refused[r.ID] = r.FirstRefused
		}
	}
	return l
}

// account writes into the report what became of every message.
func (st *stage) account(ctx context.Context, r *Report, all []mailing) error {
	held, err := st.held(ctx)
	if err != nil {
		return err
	}
	l := readLedger(st.w.Records())
	l.held, l.preferred = held, st.s.Egresses[0].source
	domains := map[string]bool{}
	var saved, told []time.Duration
	for _, m := range all {
		for i := range m.sent {
			s := &m.sent[i]
			domains[mail.Domain(s.Rcpt)] = true
			rec := l.recs[[2]string{s.ID, s.Rcpt}]
			l.count(r, s, m.Fate)
			if r.Example == "" && rec != nil && rec.Refused > 0 && l.detoured(rec) {
				r.Example = m.messageID(s)
			}
			if rec != nil && rec.Delivered > 0 && !l.refused[s.ID].IsZero() {
				saved = append(saved, max(rec.First.Sub(l.refused[s.ID]), 0))
			}
			if at, ok := l.bounced[s.ID]; ok {
				told = append(told, max(at.Sub(s.At), 0))
			}
		}
	}
	r.Domains = len(domains)
	r.RefusalToDelivery, r.AcceptedToBounce = spreadOf(saved), spreadOf(told)
	sum := st.w.Sum()
	r.Refusals, r.Complaints = sum.Refusals, sum.Complaints
	st.accountPaths(r, all)
	return nil
}

// count puts one message where it belongs.
func (l *ledger) count(r *Report, s *peersim.Sent, fate string) {
	n := &r.Messages
	n.Accepted++
	rec := l.recs[[2]string{s.ID, s.Rcpt}]
	_, bounced := l.bounced[s.ID]
	delivered := rec != nil && rec.Delivered > 0
	switch {
	case delivered:
		n.Delivered++
		if rec.Delivered > 1 && !s.Doubtful {
			n.Duplicated++
		}
		if rec.Changed || rec.Digest != s.Digest {
			n.Changed++
		}
		if l.detoured(rec) {
			r.Detours++
		}
	case bounced:
		n.Bounced++
	case l.held[s.ID]:
		n.Held++
	default:
		n.Lost++
	}
	if delivered && (bounced || fate == fateBounced) || bounced && fate == fateDelivered {
		n.Misjudged++
	}
}

// detoured tells whether a message arrived by another way than the preferred one.
func (l *ledger) detoured(r *peersim.Record) bool {
	return r.Delivered > 0 && r.Source != l.preferred
}

// held returns the IDs of the traffic's messages that are in a queue.
func (st *stage) held(ctx context.Context) (map[string]bool, error) {
	ids := map[string]bool{}
	for _, n := range st.nodes {
		if n.app == nil {
			continue
		}
		sel := &api.Selection{Limit: 10_000}
		for {
			list, err := n.client.Queue(ctx, sel)
			if err != nil {
				return nil, err
			}
			for i := range list {
				_, id, _ := strings.Cut(mail.Local(list[i].From), "+")
				ids[id] = true
			}
			if len(list) < sel.Limit {
				break
			}
			sel.After = list[len(list)-1].ID
		}
	}
	return ids, nil
}

// accountPaths writes into the report what became of the paths.
func (st *stage) accountPaths(r *Report, all []mailing) {
	r.Returned = st.returned()
	r.Paths = []Path{}
	var total Attempts
	w := st.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for key, t := range w.tracksLocked() {
		if len(t.shut) == 0 {
			continue
		}
		p := Path{Egress: key.Egress, Provider: key.Provider, State: t.state.String(), Carries: t.state == health.Healthy && st.carriesLocked(key, t.healthy)}
		for _, s := range t.shut {
			end := s.to
			if end.IsZero() {
				end = now
			}
			p.Shut += ms(end.Sub(s.from))
			p.Attempts.Attempts += w.attemptsLocked(key, s)
			p.Attempts.Mail += st.mailFor(key.Provider, s, all)
		}
		p.Attempts.ratio()
		if end := w.forgiven[st.providerOf[key.Provider]]; t.state == health.Healthy && !end.IsZero() {
			p.TimeToReturn = ms(max(t.healthy.Sub(end), 0))
		}
		r.Paths = append(r.Paths, p)
		total.Attempts += p.Attempts.Attempts
		total.Mail += p.Attempts.Mail
		if key.Egress == st.s.Egresses[0].Name {
			r.TimeToReturn = max(r.TimeToReturn, p.TimeToReturn)
		}
	}
	total.ratio()
	r.AttemptsOnBlockedPath, r.MailWhileBlocked, r.BlockedShare = total.Attempts, total.Mail, total.Ratio
	slices.SortFunc(r.Paths, func(a, b Path) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Egress, b.Egress))
	})
}

// attemptsLocked counts the attempts over a path that began while it was shut.
func (w *watcher) attemptsLocked(key health.Key, s shut) int {
	n := 0
	for i := range w.attempts {
		if w.attempts[i].key == key && s.holds(w.attempts[i].start) {
			n++
		}
	}
	return n
}

// mailFor counts the messages for a provider that were taken in during a time.
func (st *stage) mailFor(id string, s shut, all []mailing) int {
	n := 0
	for _, m := range all {
		for i := range m.sent {
			if st.idOf[mail.Domain(m.sent[i].Rcpt)] == id && s.holds(m.sent[i].At) {
				n++
			}
		}
	}
	return n
}

func (a *Attempts) ratio() {
	if a.Attempts > 0 {
		a.Ratio = float64(a.Attempts) / float64(max(a.Mail, 1))
	}
}

func spreadOf(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	return Spread{P50: ms(all[len(all)/2]), Max: ms(all[len(all)-1]), N: len(all)}
}
