package health

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"time"

	"ukai/internal/store"
)

// Load fills an empty book from the database, where Save and Run write from then on. Call it before the book is used.
//
// A path that was blocked is blocked, with its next probe at its old time; a probe that was on its way when the program
// ended is lost, and the next one is due. The outcomes of the window are not kept: they are minutes old at most.
func (b *Book) Load(ctx context.Context, db *store.DB) error {
	if err := db.Migrate(ctx, "health", migrations...); err != nil {
		return err
	}
	rows, err := readRows(ctx, db)
	if err != nil {
		return err
	}
	b.db = db
	perShard := make(map[*shard]map[Key]*page)
	for i := range rows {
		p := b.restore(&rows[i])
		if p == nil {
			continue
		}
		s := b.shard(p.key)
		if perShard[s] == nil {
			perShard[s] = maps.Clone(*s.pages.Load())
		}
		perShard[s][p.key] = p
	}
	for s, pages := range perShard {
		s.pages.Store(&pages)
	}
	return nil
}

// restore makes a page of a row. A record that cannot be read costs its details, not the state: a blocked path stays shut.
func (b *Book) restore(r *row) *page {
	p := newPage(r.key, b.rules.Load().Recent)
	t := &p.t
	log := b.log.With(slog.String("egress", r.key.Egress), slog.String("provider", r.key.Provider))
	if err := json.Unmarshal([]byte(r.record), t); err != nil {
		log.Warn("the saved record of a path is unreadable, its state is kept", slog.Any("error", err))
		*t = track{recent: t.recent, Why: "health.why.restored"}
	}
	if err := t.State.UnmarshalText([]byte(r.state)); err != nil {
		log.Warn("the saved state of a path is unreadable, it starts as healthy", slog.String("state", r.state))
		return nil
	}
	t.Key, t.Sent = r.key, daily{Day: r.day, N: r.sent}
	if r.since != 0 {
		t.Since = time.UnixMilli(r.since)
	}
	if t.State == Probing && !t.Probe.Lease.IsZero() {
		t.State, t.Why = Blocked, "health.why.probe_lost"
		t.Probe.Lease = time.Time{}
	}
	if t.State == Recovering && t.Share.Of == 0 {
		t.Share.Of = 1 << 28
	}
	p.used.Store(max(t.Since.UnixNano(), r.day*int64(24*time.Hour)))
	b.closeLocked(p) // nobody else has the page yet
	return p
}

// Save writes what changed since the last time. When it fails, the changes are kept for the next time. Without a database it does nothing.
func (b *Book) Save(ctx context.Context) error {
	if b.db == nil {
		return nil
	}
	b.write.Lock()
	defer b.write.Unlock()
	b.gone.Lock()
	dead := b.dead
	b.dead = nil
	b.gone.Unlock()
	pages, tracks := b.takeDirty()
	if len(pages) == 0 && len(dead) == 0 {
		return nil
	}
	rows := make([]row, 0, len(tracks))
	for i := range tracks {
		if r, ok := b.row(&tracks[i]); ok {
			rows = append(rows, r)
		}
	}
	err := writeRows(ctx, b.db, rows, dead)
	if err != nil {
		b.putBack(pages, dead)
	}
	return err
}

// takeDirty returns copies of what is to be saved, so that no lock is held while it is written.
func (b *Book) takeDirty() (pages []*page, tracks []track) {
	b.each(func(p *page) {
		p.mu.Lock()
		if p.dirty && !p.gone {
			p.dirty = false
			t := p.t
			t.recent, t.moves = ring{}, nil
			t.Standing, t.Tale.Kept = slices.Clone(t.Standing), slices.Clone(t.Tale.Kept)
			pages, tracks = append(pages, p), append(tracks, t)
		}
		p.mu.Unlock()
	})
	return pages, tracks
}

func (b *Book) putBack(pages []*page, dead []Key) {
	for _, p := range pages {
		p.mu.Lock()
		p.dirty = true
		p.mu.Unlock()
	}
	b.gone.Lock()
	b.dead = append(dead, b.dead...)
	b.gone.Unlock()
}

// row makes a row of a copied track. One that has no JSON (a time in the year 10000) must not keep all others from being saved.
func (b *Book) row(t *track) (row, bool) {
	record, err := json.Marshal(t)
	if err != nil {
		b.log.Error("the record of a path cannot be saved", slog.String("egress", t.Key.Egress), slog.String("provider", t.Key.Provider), slog.Any("error", err))
		return row{}, false
	}
	r := row{key: t.Key, state: t.State.String(), day: t.Sent.Day, sent: t.Sent.N, record: string(record)}
	if !t.Since.IsZero() {
		r.since = t.Since.UnixMilli()
	}
	return r, true
}

const (
	tickEvery = time.Second
	lastSave  = 10 * time.Second // for the save at the end
)

// Run moves what time moves and saves, until ctx is done; then it saves once more and returns nil. A database that fails is
// logged and tried again: the mail does not wait for it.
func (b *Book) Run(ctx context.Context) error {
	tick, save := time.NewTicker(tickEvery), time.NewTicker(b.opts.SaveEvery)
	defer tick.Stop()
	defer save.Stop()
	for {
		select {
		case <-ctx.Done():
			b.saveLast(context.WithoutCancel(ctx))
			return nil
		case now := <-tick.C:
			b.Tick(now)
		case <-save.C:
			b.trySave(ctx)
		case <-b.kick:
			b.trySave(ctx)
		}
	}
}

func (b *Book) saveLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastSave)
	defer cancel()
	b.trySave(ctx)
}

func (b *Book) trySave(ctx context.Context) {
	if err := b.Save(ctx); err != nil && ctx.Err() == nil {
		b.log.Error("health not saved", slog.Any("error", err))
	}
}
