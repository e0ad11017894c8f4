package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"ukai/internal/incident"
)

// maxUnderWay is how many notices are under way at a time.
const maxUnderWay = 8

// alive is how often the loop shows that it lives; the heartbeat waits for no less than twice that.
const alive = 10 * time.Second

// Run tells people until ctx ends. Notices under way are given up then; what they were about is told at the next start.
func (n *Notifier) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	n.loop.Store(time.Now().UnixNano())
	all.Go(func() { n.beat(ctx) })
	slots := make(chan struct{}, maxUnderWay)
	if err := n.forget(ctx, time.Now()); err != nil {
		n.parts.Log.Warn("old notices not forgotten", "error", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		case <-timer.C:
		}
		now := time.Now()
		n.loop.Store(now.UnixNano())
		work, next := n.due(now, maxUnderWay-len(slots))
		for _, f := range work {
			slots <- struct{}{} // there is room: due was told how much
			all.Go(func() {
				f(ctx)
				<-slots
				n.stir()
			})
		}
		timer.Reset(max(min(next.Sub(now), alive), 0))
	}
}

// due takes at most room pieces of work that are due, and says when to look again.
func (n *Notifier) due(now time.Time, room int) (work []func(context.Context), next time.Time) {
	next = now.Add(alive)
	o := n.opts.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.channels) == 0 {
		clear(n.threads)
		return nil, next
	}
	for id, t := range n.threads {
		p, ok := n.nextLocked(t, o)
		switch {
		case !ok && t.idle() && now.Sub(t.inc.ClosedAt) > 24*time.Hour: // what it was told counts for the limit until then
			delete(n.threads, id)
		case ok && !p.at.After(now) && room > 0:
			room--
			t.busy, t.news = true, ""
			work = append(work, func(ctx context.Context) { n.deliver(ctx, t, p) })
		case ok && p.at.After(now) && p.at.Before(next):
			next = p.at
		}
	}
	for _, c := range n.channels {
		switch {
		case !c.failing || c.probing:
		case !c.again.After(now) && room > 0:
			room--
			c.probing = true
			work = append(work, func(ctx context.Context) { n.probe(ctx, c) })
		case c.again.After(now) && c.again.Before(next):
			next = c.again
		}
	}
	return work, next
}

// deliver tells one notice and notes what came of it.
func (n *Notifier) deliver(ctx context.Context, t *thread, p plan) {
	n.mu.Lock()
	e := incident.Event{At: time.Now(), News: p.news, Incident: t.inc}
	n.mu.Unlock()
	if n.parts.Current != nil {
		if i, ok := n.parts.Current(e.Incident.ID); ok {
			e.Incident = i
		}
	}
	var late sync.WaitGroup
	defer late.Wait()
	by := n.round(ctx, &e, p, &late)
	now := time.Now()
	n.mu.Lock()
	t.busy = false
	if by == nil {
		t.putBack(p, now)
		t.missed(now)
		n.mu.Unlock()
		return
	}
	t.told(p, now, n.opts.Load().Hour)
	m := t.memory
	m.Sent = slices.Clone(m.Sent)
	n.mu.Unlock()
	if err := n.writeThread(context.WithoutCancel(ctx), e.Incident.ID, &m); err != nil {
		n.parts.Log.Warn("what was told is not recorded", "incident", e.Incident.ID, "error", err)
	}
	n.stir()    // there may be more to tell of it, whatever is late
	late.Wait() // how those ended that were overtaken is told as well
	n.reportFailing(ctx, by)
}

// reportFailing tells the people behind a working channel of those that fail, once.
func (n *Notifier) reportFailing(ctx context.Context, by *channel) {
	n.mu.Lock()
	var list []*channel
	for _, c := range n.channels {
		if c != by && c.failing && c.reported == "" {
			c.reported = by.opts.Name
			list = append(list, c)
		}
	}
	n.mu.Unlock()
	for _, c := range list {
		n.mu.Lock()
		why := c.why
		n.mu.Unlock()
		if n.try(ctx, by, n.said(by, hasFailed, "name", c.opts.Name, "why", why)) != nil {
			n.mu.Lock()
			c.reported = "" // with the next notice, then
			n.mu.Unlock()
		}
	}
	n.mu.Lock()
	back := by.failing // it was asked as the last resort
	n.mu.Unlock()
	if back {
		n.comeback(ctx, by)
	}
}

// probe tries a channel that fails: with the message that it is back, which is true if it arrives.
func (n *Notifier) probe(ctx context.Context, c *channel) {
	err := n.try(ctx, c, n.said(c, hasReturned, "name", c.opts.Name))
	n.mu.Lock()
	c.probing = false
	n.mu.Unlock()
	if err == nil {
		n.comeback(ctx, c)
	}
}

// comeback notes that a channel works again and tells those who were told that it does not.
func (n *Notifier) comeback(ctx context.Context, c *channel) {
	n.mu.Lock()
	reported := c.reported
	c.failing, c.why, c.reported, c.fails = false, "", "", 0
	at := slices.IndexFunc(n.channels, func(o *channel) bool { return o.opts.Name == reported && o != c && !o.failing })
	var to *channel
	if at >= 0 {
		to = n.channels[at]
	}
	for _, t := range n.threads {
		t.after = time.Time{} // what waits need not wait on
	}
	n.mu.Unlock()
	n.parts.Log.Info("channel works again", "channel", c.opts.Name)
	if to != nil {
		_ = n.try(ctx, to, n.said(to, hasReturned, "name", c.opts.Name)) // recorded and logged there
	}
}
