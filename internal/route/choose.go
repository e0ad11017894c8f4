package route

import (
	"time"

	"ukai/internal/mail"
)

// Choose decides one message to one provider. It reads each eligible path at most once (one to stay with at most twice),
// allocates nothing and keeps nothing of req.
func (t *Table) Choose(req *Request, v View, now time.Time) Decision {
	i := t.pool(req.Account, req.Sender)
	if i < 0 {
		return nowhere(NoPool)
	}
	allowed := t.enabled & t.providers.domain(req.Provider) & t.senders.domain(req.Sender)
	s := survey{table: t, pool: t.Pools[i].Egresses, req: req, now: now}
	if d, ok := s.stay(req.Stay&allowed&^req.Unfit, allowed&^req.Unfit, v); ok {
		return d
	}
	s.look(allowed&^req.Unfit, v)
	if s.preferred < 0 {
		for _, e := range s.pool {
			if allowed&(1<<e) != 0 {
				return nowhere(NotFit)
			}
		}
		return nowhere(NotAllowed)
	}
	d := s.decide()
	d.Preferred = s.pool[s.preferred]
	d.Would = d.Egress
	if t.Mode == Observe {
		s.observe(&d)
	}
	return d
}

// stay chooses the way that asked for the message to come back, if it can be used. In observe mode mail has only one way anyhow.
func (s *survey) stay(with, fit uint64, v View) (Decision, bool) {
	if with == 0 || s.table.Mode == Observe {
		return Decision{}, false
	}
	first := -1
	for place, e := range s.pool {
		if fit&(1<<e) == 0 {
			continue
		}
		if first < 0 {
			first = place
		}
		if with&(1<<e) == 0 {
			continue
		}
		egress := &s.table.Egresses[e]
		p := v.Path(egress.Name, s.req.Provider)
		if st, _ := s.judge(egress, &p, s.req.Tried&(1<<e) != 0); st == open || st == doubtful || st == resting {
			return Decision{Kind: Send, Egress: e, Preferred: s.pool[first], Detour: place != first, Reason: Staying, Would: e}, true
		}
	}
	return Decision{}, false
}

func nowhere(why Reason) Decision {
	return Decision{Kind: None, Egress: -1, Preferred: -1, Would: -1, Reason: why}
}

// decide applies the rules from the third on.
func (s *survey) decide() Decision {
	switch s.stand {
	case open:
		if s.recovering {
			return s.send(s.preferred, InShare)
		}
		return s.send(s.preferred, Preferred)
	case doubtful:
		return s.send(s.preferred, Doubted)
	case paced:
		return Decision{Kind: Slow, Egress: -1, Until: s.spread(s.slow), Reason: SlowRate}
	}
	detour := s.first[open]
	if detour < 0 {
		detour = s.first[doubtful]
	}
	switch rest := s.first[resting]; {
	case detour >= 0 && s.probe >= 0 && s.probe < detour:
		return s.sendProbe(ProbeDue)
	case detour >= 0:
		return s.send(detour, s.whyDetour())
	case rest >= 0 && s.req.Class != mail.Bulk:
		return s.send(rest, OnlyRecovering)
	case s.probe >= 0 && !s.probing:
		return s.sendProbe(ProbeAlone)
	}
	return s.wait()
}

func (s *survey) send(place int, why Reason) Decision {
	return Decision{Kind: Send, Egress: s.pool[place], Detour: place != s.preferred, Reason: why}
}

func (s *survey) sendProbe(why Reason) Decision {
	d := s.send(s.probe, why)
	d.Probe = true
	return d
}

// whyDetour says what is wrong with the preferred way.
func (s *survey) whyDetour() Reason {
	switch s.stand {
	case tried:
		return DetourRefused
	case resting:
		return DetourShare
	case spent:
		return DetourWarmUp
	case stalled:
		return DetourSlow
	}
	return DetourBlocked
}

// wait holds the message until the first way may open. A way that is open but too fast makes it a matter of pace.
func (s *survey) wait() Decision {
	d := Decision{Kind: Hold, Egress: -1, Reason: HoldRefused}
	switch {
	case s.first[paced] >= 0, s.first[stalled] >= 0:
		d.Kind, d.Reason = Slow, SlowRate
	case s.first[spent] >= 0:
		d.Kind, d.Reason = Slow, SlowWarmUp
	case s.first[resting] >= 0:
		d.Reason = HoldShare
	case s.first[shut] >= 0:
		d.Reason = HoldBlocked
	}
	until := s.until
	if latest := s.now.Add(s.table.HoldMax); d.Kind == Hold && (until.IsZero() || until.After(latest)) {
		until = latest
	}
	d.Until = s.spread(until)
	return d
}

// spreadMost bounds how far the waits of many messages are spread.
const spreadMost = 2 * time.Minute

// spread puts off a wait by up to an eighth, by the message's dice: a hundred thousand held messages must not all come back
// in the same moment. A moment that has passed already means that the view is a little behind.
func (s *survey) spread(until time.Time) time.Time {
	left := until.Sub(s.now)
	if left <= 0 {
		left = lookAgain
	}
	most := min(left/8, spreadMost)
	more := time.Duration(uint64(most.Microseconds())*uint64(s.req.Dice)>>32) * time.Microsecond
	return s.now.Add(left + more)
}

// observe turns a decision of act mode into that of observe mode: the preferred way, whatever its health. Only the pause
// that the provider itself asked for is kept, as any mail server would keep it.
func (s *survey) observe(d *Decision) {
	switch s.stand {
	case tried:
		*d = Decision{Kind: None, Egress: -1, Preferred: d.Preferred, Reason: OnlyObserve, Would: d.Egress}
	case paced:
	default:
		*d = Decision{Kind: Send, Egress: d.Preferred, Preferred: d.Preferred, Probe: d.Probe && !d.Detour, Reason: d.Reason, Would: d.Egress}
	}
}
