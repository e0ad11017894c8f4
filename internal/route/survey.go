package route

import (
	"time"

	"ukai/internal/health"
	"ukai/internal/mail"
)

// stand is how a way out stands to one message.
type stand uint8

const (
	open     stand = iota // healthy, or recovering with this message in its share
	doubtful              // suspect
	resting               // recovering, and this message is not in its share
	paced                 // the provider asked for a pause
	stalled               // it goes on asking, for so long that a detour is right
	spent                 // the warm-up budget of the day is used up for messages of this class
	shut                  // blocked, or being probed
	tried                 // refused in this attempt
	stands
)

// survey is what the eligible ways of a pool look like for one message. Places are indexes into pool.
type survey struct {
	table *Table
	pool  []int
	req   *Request
	now   time.Time

	preferred  int         // the first eligible place, -1
	stand      stand       // how it stands
	recovering bool        // it is recovering
	slow       time.Time   // its pause
	first      [stands]int // the first place of each stand, -1
	probe      int         // the first place that this message may probe, -1
	probing    bool        // a probe is on its way, or between two, over one of the ways
	until      time.Time   // when the first of the ways that do not carry it may; zero: unknown
}

// look fills the survey in.
func (s *survey) look(fit uint64, v View) {
	s.preferred, s.probe = -1, -1
	for i := range s.first {
		s.first[i] = -1
	}
	for place, e := range s.pool {
		if fit&(1<<e) == 0 {
			continue
		}
		egress := &s.table.Egresses[e]
		p := v.Path(egress.Name, s.req.Provider)
		st, until := s.judge(egress, &p, s.req.Tried&(1<<e) != 0)
		if s.preferred < 0 {
			s.preferred, s.stand, s.recovering, s.slow = place, st, p.State == health.Recovering, p.Slow
			if st == open || st == doubtful || st == paced {
				return // decided: no other way matters
			}
		}
		if s.first[st] < 0 {
			s.first[st] = place
		}
		if !until.IsZero() && (s.until.IsZero() || until.Before(s.until)) {
			s.until = until
		}
		if st == shut {
			s.probing = s.probing || p.State == health.Probing && p.ProbeAt.After(s.now)
			if s.probe < 0 && s.mayProbe(&p) {
				s.probe = place
			}
		}
	}
}

// judge says how one way stands, and when that may change by itself.
func (s *survey) judge(e *Egress, p *health.Path, refused bool) (st stand, until time.Time) {
	switch {
	case refused && !p.Shut():
		return tried, s.now.Add(s.table.Retry)
	case refused:
		return tried, s.opens(p)
	case p.Shut():
		return shut, s.opens(p)
	case p.Slow.After(s.now):
		if d := s.table.SlowDetour; d >= 0 && p.SlowFor >= d && s.req.Class != mail.Bulk {
			return stalled, p.Slow
		}
		return paced, p.Slow
	case e.WarmUp > 0 && p.Sent >= e.budget(s.req.Class):
		return spent, nextDay(s.now)
	case p.State == health.Recovering && s.req.Dice >= p.Share:
		return resting, p.ShareAt
	case p.State == health.Suspect:
		return doubtful, time.Time{}
	}
	return open, time.Time{}
}

// lookAgain is how soon a message looks again that waits for the probe of another one.
const lookAgain = time.Minute

// opens says when a shut way may be worth another look; zero: nobody knows.
func (s *survey) opens(p *health.Path) time.Time {
	at := p.ProbeAt
	switch {
	case p.Pinned:
		return at
	case p.State == health.Probing && at.After(s.now.Add(lookAgain)):
		return s.now.Add(lookAgain) // the time until its probe is given up says nothing about when it ends
	case p.Slow.After(at):
		at = p.Slow
	}
	if !at.After(s.now) { // due, but not for this message
		return s.now.Add(lookAgain)
	}
	return at
}

// bulkPatience is how long a due probe is kept for mail that is wanted more than bulk mail: complaints about the first
// messages are what a provider that is making up its mind looks at.
const bulkPatience = 10 * time.Minute

// mayProbe tells whether this message may be the probe of a shut way. One that was refused a moment ago is not made to wait
// for a second refusal.
func (s *survey) mayProbe(p *health.Path) bool {
	due := p.ProbeAt
	if s.req.Class == mail.Bulk {
		due = due.Add(bulkPatience)
	}
	return !s.req.NoProbe && s.req.Tried == 0 && !p.Pinned && !due.After(s.now) && !p.Slow.After(s.now)
}

// defaultBulkShare is the part of a warm-up budget, in percent, that bulk mail may use up.
const defaultBulkShare = 50

// budget is how many messages a day a provider may get over this egress before mail of a class has to wait.
func (e *Egress) budget(c mail.Class) int {
	if c != mail.Bulk {
		return e.WarmUp
	}
	percent := e.BulkShare
	if percent == 0 {
		percent = defaultBulkShare
	}
	return e.WarmUp * percent / 100
}

// nextDay returns the next midnight, UTC.
func nextDay(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}
