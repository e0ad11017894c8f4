package incident

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ukai/internal/store"
)

// migrations of the table of this package.
var migrations = []string{`
CREATE TABLE incident (
	id     INTEGER PRIMARY KEY,
	state  TEXT NOT NULL,
	opened INTEGER NOT NULL, -- Unix milliseconds
	closed INTEGER NOT NULL, -- Unix milliseconds; 0: not closed
	data   TEXT NOT NULL     -- the incident as JSON
)`}

// Load reads what an earlier run has stored: what is not closed, and what was closed within the quiet time before now. From then
// on the Book stores in db what changes.
func (b *Book) Load(ctx context.Context, db *store.DB, now time.Time) error {
	if err := db.Migrate(ctx, "incident", migrations...); err != nil {
		return err
	}
	var last sql.NullInt64
	if err := db.Read.QueryRowContext(ctx, `SELECT max(id) FROM incident`).Scan(&last); err != nil {
		return fmt.Errorf("read incidents: %w", err)
	}
	all, err := query(ctx, db, `SELECT data FROM incident WHERE closed = 0 OR closed > ? ORDER BY id`, now.Add(-b.opts.Quiet).UnixMilli())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.db, b.next = db, last.Int64
	for _, i := range all {
		b.live[i.Cause] = &story{Incident: i}
	}
	return nil
}

// Save stores what has changed since the last time.
func (b *Book) Save(ctx context.Context) error {
	changed := b.changed()
	if len(changed) == 0 {
		return nil
	}
	if err := write(ctx, b.db, changed); err != nil {
		b.mu.Lock()
		for i := range changed {
			b.dirty[changed[i].ID] = true
		}
		b.mu.Unlock()
		return fmt.Errorf("save incidents: %w", err)
	}
	return nil
}

func (b *Book) changed() []Incident {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Incident
	for _, s := range b.live {
		if b.dirty[s.ID] {
			list = append(list, s.clone())
		}
	}
	clear(b.dirty)
	return list
}

func write(ctx context.Context, db *store.DB, list []Incident) error {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for i := range list {
		data, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		var closed int64
		if at := list[i].ClosedAt; !at.IsZero() {
			closed = at.UnixMilli()
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO incident (id, state, opened, closed, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed = excluded.closed, data = excluded.data`,
			list[i].ID, string(list[i].State), list[i].Opened.UnixMilli(), closed, string(data)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Past returns the newest incidents, closed ones too, at most limit.
func (b *Book) Past(ctx context.Context, limit int) ([]Incident, error) {
	if err := b.Save(ctx); err != nil {
		return nil, err
	}
	return query(ctx, b.db, `SELECT data FROM incident ORDER BY id DESC LIMIT ?`, limit)
}

// ErrNone is returned for an ID that no incident has.
var ErrNone = errors.New("no such incident")

// Find returns one incident, the Book's own copy if it follows it.
func (b *Book) Find(ctx context.Context, id int64) (Incident, error) {
	b.mu.Lock()
	if s := b.byID(id); s != nil {
		defer b.mu.Unlock()
		return s.clone(), nil
	}
	b.mu.Unlock()
	list, err := query(ctx, b.db, `SELECT data FROM incident WHERE id = ?`, id)
	if err != nil {
		return Incident{}, err
	}
	if len(list) == 0 {
		return Incident{}, ErrNone
	}
	return list[0], nil
}

func query(ctx context.Context, db *store.DB, q string, args ...any) ([]Incident, error) {
	rows, err := db.Read.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	defer rows.Close()
	var out []Incident
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return nil, fmt.Errorf("read incidents: %w", err)
		}
		var i Incident
		if err := json.Unmarshal(data, &i); err != nil {
			return nil, fmt.Errorf("read incidents: %w", err)
		}
		out = append(out, i)
	}
	return out, rows.Err()
}
