package cases

import (
	"context"
	"log/slog"
	"time"
)

// checkTime is how long the checks of one case may take.
const checkTime = 30 * time.Second

// Run brings the cases up to date, makes the checks that are due and stores what has changed, until ctx ends; then it stores once
// more.
func (b *Book) Run(ctx context.Context, log *slog.Logger) error {
	save := func(ctx context.Context) {
		if err := b.Save(ctx); err != nil {
			log.Warn("cases not saved", "error", err)
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			save(context.WithoutCancel(ctx))
			return nil
		case <-b.news:
			b.Tick(b.opts.Now())
		case now := <-tick.C:
			b.Tick(now)
			b.Check(ctx, now)
		}
		save(ctx)
	}
}

// Check makes the checks of one case that is due for them. It asks the domain name system, without the lock. It tells whether
// there was one.
func (b *Book) Check(ctx context.Context, now time.Time) bool {
	if b.opts.Check == nil {
		return false
	}
	c, ok := b.unchecked(now)
	if !ok {
		return false
	}
	open := b.opts.Incidents()
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	checks := b.opts.Check(ctx, &c, open)
	if len(checks) > 0 { // none: nothing was found out
		_, term := b.opts.terms(&c)
		checks = append(checks, recent(&c, term, now))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	live := b.find(c.ID)
	if live == nil || !live.Standing() {
		return true
	}
	live.Checks, live.Checked = checks, now
	if len(live.Fixes) != len(c.Fixes) || len(live.Requests) != len(c.Requests) {
		live.Checked = time.Time{} // something was mended, or asked, meanwhile
	}
	b.dirty[live.ID] = true
	b.judge(live, now)
	return true
}

// unchecked returns a copy of the case that has waited longest for its checks.
func (b *Book) unchecked(now time.Time) (Case, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var next *Case
	for _, c := range b.byKey {
		if c.Standing() && now.Sub(c.Checked) >= b.opts.Recheck && (next == nil || c.Checked.Before(next.Checked)) {
			next = c
		}
	}
	if next == nil {
		return Case{}, false
	}
	return next.clone(), true
}
