package incident

import (
	"slices"
	"sync"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/outcome"
	"ukai/internal/store"
)

// Book keeps the incidents. It is safe for concurrent use.
type Book struct {
	mu   sync.Mutex // guards everything below; events leave the Book in its order, under told
	opts Options
	next int64
	live map[Cause]*story // pending, open, acknowledged, and closed within the quiet time

	db    *store.DB      // set by Load
	dirty map[int64]bool // not stored as they stand
	told  sync.Mutex     // taken before mu is given up, so that events keep their order
}

// story is an incident with what decides about its opening. It is pending while its ID is 0.
type story struct {
	Incident
	recent []time.Time // of refusals that count towards opening, at most as many as that takes
}

// maxStories is how many causes are followed at a time. Beyond it, pending ones are forgotten, the calmest first.
const maxStories = 10_000

// New makes an empty Book.
func New(opts Options) *Book {
	return &Book{opts: opts.withDefaults(), live: make(map[Cause]*story), dirty: make(map[int64]bool)}
}

// Refusal is an outcome with its verdict and who wrote to whom.
type Refusal struct {
	Outcome    *outcome.Outcome
	Verdict    *classify.Verdict
	Domain     string // recipient domain
	Sender     string // sender domain
	Recipients int
}

// Refused lets a refusal bear on the incident of its cause. Verdicts that make no incident are passed over, so every outcome
// may be handed in.
func (b *Book) Refused(r Refusal) {
	cause, ok := b.causeOf(&r)
	if !ok {
		return
	}
	at := r.Outcome.At
	b.change(func(say func(*story, time.Time, News)) {
		s := b.follow(cause, at)
		grown := s.refused(&r)
		b.touch(s, at)
		switch {
		case s.ID == 0 || s.State == Closed:
			if s.count(at, b.opts.enough(cause.Kind), b.opts.Window) {
				b.open(s, at, say)
			}
		case grown:
			s.Timeline.add(at, "incident.event.provider", "provider", r.Outcome.Provider, "reply", r.Outcome.Text())
			say(s, at, HasGrown)
		}
	})
}

// causeOf finds the cause of a refusal; ok is false for one that makes no incident.
func (b *Book) causeOf(r *Refusal) (c Cause, ok bool) {
	v := r.Verdict
	switch {
	case v.Action == classify.Deliver:
		return c, false
	case v.Reputation:
		c = Cause{Reputation, b.opts.Place(r.Outcome.Egress)}
	case v.Blame == classify.BlameDomain || v.Blame == classify.BlameAuthentication:
		c = Cause{Sender, r.Sender}
	case v.Blame == classify.BlameContent:
		c = Cause{Content, r.Sender}
	}
	return c, c.Place != ""
}

// Moved lets a change of a path bear on the incident of its network. A path that is blocked opens one.
func (b *Book) Moved(c *health.Change) {
	place := b.opts.Place(c.Key.Egress)
	b.change(func(say func(*story, time.Time, News)) {
		cause := Cause{Reputation, place}
		if b.live[cause] == nil && (c.To == health.Healthy || c.To == health.Suspect) {
			return // a way that was never in trouble is well
		}
		s := b.follow(cause, c.At)
		s.moved(c)
		if c.From != c.To {
			s.Timeline.add(c.At, "incident.event.path", "provider", c.Key.Provider, "egress", c.Key.Egress, "state", c.To.String())
		}
		b.touch(s, c.At)
		if (s.ID == 0 || s.State == Closed) && c.To == health.Blocked {
			b.open(s, c.At, say)
		}
	})
}

// Listed lets the beginning or the end of a listing of an egress bear on the incident of its network. A beginning opens one.
// Where to turn is the URL of the evidence's verdict.
func (b *Book) Listed(egress string, l *health.Standing) {
	b.listing(Cause{Reputation, b.opts.Place(egress)}, l)
}

// DomainListed does for the listing of a sender domain what Listed does for one of an egress.
func (b *Book) DomainListed(domain string, l *health.Standing) { b.listing(Cause{Sender, domain}, l) }

func (b *Book) listing(cause Cause, l *health.Standing) {
	at := l.At
	b.change(func(say func(*story, time.Time, News)) {
		if b.live[cause] == nil && !l.On {
			return
		}
		s := b.follow(cause, at)
		if !s.listed(l) {
			return
		}
		b.touch(s, at)
		switch {
		case s.ID == 0 || s.State == Closed:
			b.open(s, at, say)
		default:
			say(s, at, HasGrown)
		}
	})
}

// Judged notes on the incident of an egress's network, if there is one that is not over, what the blocklists say about who is
// the cause: culprit, neighbour, range or clean. Another verdict says nothing and is passed over.
func (b *Book) Judged(egress, verdict string, evidence []string, at time.Time) {
	key := judgedKeys[verdict]
	if key == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.live[Cause{Reputation, b.opts.Place(egress)}]
	if s == nil || s.ID == 0 || s.State == Closed {
		return
	}
	if s.Judged == nil || s.Judged.Verdict != verdict {
		s.Timeline.add(at, key)
	}
	s.Judged = &Judgement{At: at, Verdict: verdict, Evidence: slices.Clone(evidence[:min(len(evidence), maxEvidence)])}
	b.dirty[s.ID] = true
}

// Passage says what became of a delivery's recipients in one attempt.
type Passage struct {
	At        time.Time
	Provider  string
	Preferred string // the egress that would be used if all ways were open
	Domain    string // recipient domain
	Sender    string // sender domain
	Detour    bool   // what was delivered went by another way
	Delivered int
	Held      int
	Bounced   int
}

// Passed counts what became of mail that an open incident concerns.
func (b *Book) Passed(p Passage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cause := range []Cause{{Reputation, b.opts.Place(p.Preferred)}, {Sender, p.Sender}, {Content, p.Sender}} {
		s := b.live[cause]
		if s == nil || s.State == Closed || cause.Kind == Reputation && s.provider(p.Provider) == nil {
			continue
		}
		s.passed(&p)
		if s.ID != 0 {
			b.dirty[s.ID] = true
		}
	}
}

// Tick closes what has been calm for long enough and forgets what never became an incident.
func (b *Book) Tick(now time.Time) {
	b.change(func(say func(*story, time.Time, News)) {
		for cause, s := range b.live {
			switch {
			case s.ID == 0:
				if now.Sub(s.Last) > b.opts.Window && s.calm() {
					delete(b.live, cause)
				}
			case s.State == Closed:
				if now.Sub(s.ClosedAt) > b.opts.Quiet && !b.dirty[s.ID] {
					delete(b.live, cause)
				}
			case s.calm() && now.Sub(s.Last) >= b.opts.Calm:
				b.close(s, now, "", "", say)
			}
		}
	})
}

// follow returns the story of a cause, a pending one if there is none.
func (b *Book) follow(c Cause, at time.Time) *story {
	if s := b.live[c]; s != nil {
		return s
	}
	if len(b.live) >= maxStories {
		b.forgetOne()
	}
	s := &story{Incident: Incident{Cause: c, Began: at, Last: at}}
	b.live[c] = s
	return s
}

// forgetOne makes room: the pending story that has been calm for longest goes.
func (b *Book) forgetOne() {
	var oldest *story
	for _, s := range b.live {
		if s.ID == 0 && (oldest == nil || s.Last.Before(oldest.Last)) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(b.live, oldest.Cause)
	}
}

func (b *Book) touch(s *story, at time.Time) {
	if at.After(s.Last) {
		s.Last = at
	}
	if at.Before(s.Began) {
		s.Began = at
	}
	if s.ID != 0 {
		b.dirty[s.ID] = true
	}
}

// open makes an incident of a pending story, or opens a closed one again.
func (b *Book) open(s *story, at time.Time, say func(*story, time.Time, News)) {
	s.recent, s.Judged = nil, nil // of the last time
	news, key := WasOpened, "incident.event.opened"
	if s.ID == 0 {
		b.next++
		s.ID, s.Opened = b.next, at
	} else {
		s.Reopened++
		s.ClosedAt, s.By = time.Time{}, ""
		news, key = WasReopened, "incident.event.reopened"
	}
	s.State = Open
	s.Timeline.add(at, key)
	b.dirty[s.ID] = true
	say(s, at, news)
}

func (b *Book) close(s *story, at time.Time, by, note string, say func(*story, time.Time, News)) {
	s.State, s.ClosedAt, s.By, s.recent = Closed, at, by, nil
	if note != "" {
		s.Note = note
	}
	key := "incident.event.closed"
	if by != "" {
		key = "incident.event.closed_by"
	}
	s.Timeline.add(at, key, "by", by)
	b.dirty[s.ID] = true
	say(s, at, WasClosed)
}

// change runs f with the lock and tells what it said afterwards, without the lock, in order.
func (b *Book) change(f func(say func(*story, time.Time, News))) {
	var events []Event
	b.mu.Lock()
	f(func(s *story, at time.Time, n News) {
		if b.opts.OnEvent != nil {
			events = append(events, Event{At: at, News: n, Incident: s.clone()})
		}
	})
	if len(events) == 0 {
		b.mu.Unlock()
		return
	}
	b.told.Lock()
	b.mu.Unlock()
	defer b.told.Unlock()
	for _, e := range events {
		b.opts.OnEvent(e)
	}
}
