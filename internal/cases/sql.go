package cases

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ukai/internal/store"
)

// migrations of the table of this package. "case" is a word of SQL.
var migrations = []string{`
CREATE TABLE delisting (
	id    INTEGER PRIMARY KEY,
	ended INTEGER NOT NULL, -- Unix milliseconds; 0: it stands
	data  TEXT NOT NULL     -- the case as JSON
)`}

// maxStored is how many cases that are over the database keeps.
const maxStored = 20_000

// Load reads what an earlier run has stored. From then on the Book stores in db what changes.
func (b *Book) Load(ctx context.Context, db *store.DB, now time.Time) error {
	if err := db.Migrate(ctx, "cases", migrations...); err != nil {
		return err
	}
	var last sql.NullInt64
	if err := db.Read.QueryRowContext(ctx, `SELECT max(id) FROM delisting`).Scan(&last); err != nil {
		return fmt.Errorf("read cases: %w", err)
	}
	if _, err := db.Write.ExecContext(ctx, `DELETE FROM delisting WHERE ended > 0 AND id <= ?`, last.Int64-maxStored); err != nil {
		return fmt.Errorf("forget old cases: %w", err)
	}
	all, err := query(ctx, db, `SELECT data FROM delisting WHERE ended = 0 OR ended > ? ORDER BY id DESC LIMIT ?`,
		now.Add(-b.opts.Keep).UnixMilli(), maxCases)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.db, b.next = db, last.Int64
	for n := range all {
		if b.byKey[all[n].Key] == nil { // the newest one of a key
			b.byKey[all[n].Key] = &all[n]
		}
	}
	return nil
}

// Save stores what has changed since the last time.
func (b *Book) Save(ctx context.Context) error {
	b.mu.Lock()
	var changed []Case
	for _, c := range b.byKey {
		if b.dirty[c.ID] {
			changed = append(changed, c.clone())
		}
	}
	clear(b.dirty)
	b.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	if err := write(ctx, b.db, changed); err != nil {
		b.mu.Lock()
		for n := range changed {
			b.dirty[changed[n].ID] = true
		}
		b.mu.Unlock()
		return fmt.Errorf("save cases: %w", err)
	}
	return nil
}

func write(ctx context.Context, db *store.DB, list []Case) error {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for n := range list {
		data, err := json.Marshal(&list[n])
		if err != nil {
			return err
		}
		var ended int64
		if at := list[n].Ended; !at.IsZero() {
			ended = at.UnixMilli()
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO delisting (id, ended, data) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, data = excluded.data`, list[n].ID, ended, string(data)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Past returns the newest cases, those that are over too, at most limit.
func (b *Book) Past(ctx context.Context, limit int) ([]Case, error) {
	if err := b.Save(ctx); err != nil {
		return nil, err
	}
	return query(ctx, b.db, `SELECT data FROM delisting ORDER BY id DESC LIMIT ?`, limit)
}

// ErrNone is returned for an ID that no case has.
var ErrNone = errors.New("no such case")

// Find returns one case, the Book's own copy if it follows it.
func (b *Book) Find(ctx context.Context, id int64) (Case, error) {
	b.mu.Lock()
	if c := b.find(id); c != nil {
		defer b.mu.Unlock()
		return c.clone(), nil
	}
	b.mu.Unlock()
	list, err := query(ctx, b.db, `SELECT data FROM delisting WHERE id = ?`, id)
	if err != nil {
		return Case{}, err
	}
	if len(list) == 0 {
		return Case{}, ErrNone
	}
	return list[0], nil
}

func query(ctx context.Context, db *store.DB, q string, args ...any) ([]Case, error) {
	rows, err := db.Read.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	defer rows.Close()
	var out []Case
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		var c Case
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
