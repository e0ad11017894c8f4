package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"ukai/internal/incident"
)

// How long the opening of an incident waits for a channel that says nothing before the next one is asked as well: a service that
// hangs must not make the first notice late, and one that is slow for a moment wakes nobody of a higher level.
const (
	hedgeBeside = 700 * time.Millisecond
	hedgeAbove  = 3 * time.Second
)

// round offers a notice to the channels: to those of its levels that are well, else to those above, else to those that fail. It
// returns one that took it, or nil. Attempts that were overtaken go on in late.
func (n *Notifier) round(ctx context.Context, e *incident.Event, p plan, late *sync.WaitGroup) (by *channel) {
	well, rest := n.sortChannels(p)
	r := relay{n: n, e: e, late: late, hedged: p.news == incident.WasOpened || p.news == incident.WasReopened}
	if n.opts.Load().All {
		if by = r.offer(ctx, well, true); by == nil {
			by = r.offer(ctx, rest, false)
		}
		return by
	}
	for len(well) > 0 {
		k := slices.IndexFunc(well, func(c *channel) bool { return c.opts.Level != well[0].opts.Level })
		if k < 0 {
			k = len(well)
		}
		group := slices.Clone(well[:k])
		if well = well[k:]; len(well) == 0 && by == nil {
			group, rest = append(group, rest...), nil
		}
		if took := r.offer(ctx, group, false); took != nil {
			by = took
		}
	}
	if by == nil {
		by = r.offer(ctx, rest, false)
	}
	return by
}

// sortChannels parts the channels that a notice is for, and that are well, from the rest: the well ones of other levels, and then
// those that fail.
func (n *Notifier) sortChannels(p plan) (well, rest []*channel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var failing []*channel
	for _, c := range n.channels {
		mine := c.opts.Level <= p.level && (p.news != isEscalated || c.opts.Level == p.level)
		switch {
		case c.failing:
			failing = append(failing, c)
		case mine:
			well = append(well, c)
		default:
			rest = append(rest, c)
		}
	}
	return well, append(rest, failing...)
}

// relay offers one notice to channels, one after the other.
type relay struct {
	n      *Notifier
	e      *incident.Event
	late   *sync.WaitGroup
	hedged bool // a channel that says nothing does not hold up the others
}

// answer is how an attempt by a channel ended.
type answer struct {
	c   *channel
	err error
}

// offer asks the channels in order until one takes the notice, or all of them, and returns the first that took it. A channel is
// asked when the one before it has failed, or has said nothing for too long; both may then deliver: told twice is better than
// told late.
func (r *relay) offer(ctx context.Context, list []*channel, all bool) (by *channel) {
	answers := make(chan answer, len(list))
	next, under := 0, 0
	for {
		if by != nil && (!all || next == len(list)) {
			return by
		}
		if next < len(list) && ctx.Err() == nil {
			c := list[next]
			next++
			under++
			r.late.Go(func() { answers <- answer{c, r.n.try(ctx, c, r.n.notice(r.e, c))} })
		}
		if under == 0 {
			return by
		}
		a, ok := r.await(ctx, answers, list, next)
		if !ok {
			continue // too long: the next one
		}
		under--
		if a.err == nil && by == nil {
			by = a.c
		}
	}
}

// await waits for an attempt to end; ok is false when the next channel is to be asked before.
func (r *relay) await(ctx context.Context, answers <-chan answer, list []*channel, next int) (a answer, ok bool) {
	if !r.hedged || next == len(list) {
		return <-answers, true
	}
	patience := hedgeBeside
	if list[next].opts.Level != list[next-1].opts.Level {
		patience = hedgeAbove
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a = <-answers:
		return a, true
	case <-timer.C:
		return a, false
	case <-ctx.Done():
		return <-answers, true // it ends with ctx
	}
}
