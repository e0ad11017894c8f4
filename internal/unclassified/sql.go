package unclassified

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

var migrations = []string{`
CREATE TABLE unclassified (
	id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: an ID that a person wrote down means one reply
	provider TEXT NOT NULL,
	text     TEXT NOT NULL,    -- masked
	phase    TEXT NOT NULL,
	code     INTEGER NOT NULL,
	egress   TEXT NOT NULL,
	count    INTEGER NOT NULL,
	first    INTEGER NOT NULL, -- Unix microseconds
	last     INTEGER NOT NULL, -- Unix microseconds
	UNIQUE (provider, text)
);
CREATE INDEX unclassified_last ON unclassified (last);`,
}

const columns = `id, provider, text, phase, code, egress, count, first, last`

// write adds entries to those that are there, and makes room.
func (k *Keeper) write(ctx context.Context, batch map[key]*Entry) error {
	tx, err := k.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("keep unclassified replies: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	order := slices.SortedFunc(maps.Values(batch), func(a, b *Entry) int { return cmp.Or(a.First.Compare(b.First), strings.Compare(a.Text, b.Text)) })
	for _, e := range order {
		_, err := tx.ExecContext(ctx, `INSERT INTO unclassified (provider, text, phase, code, egress, count, first, last) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (provider, text) DO UPDATE SET count = count + excluded.count, egress = excluded.egress,
			first = min(first, excluded.first), last = max(last, excluded.last)`,
			e.Provider, e.Text, e.Phase, e.Code, e.Egress, e.Count, e.First.UnixMicro(), e.Last.UnixMicro())
		if err != nil {
			return fmt.Errorf("keep unclassified replies: %w", err)
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM unclassified WHERE id IN (
		SELECT id FROM unclassified ORDER BY last, id LIMIT max(0, (SELECT count(*) FROM unclassified) - ?))`, k.opts.Most)
	if err != nil {
		return fmt.Errorf("make room for unclassified replies: %w", err)
	}
	return tx.Commit()
}

// List returns the entries, the most frequent first. provider and n may be zero: everybody's, all.
func (k *Keeper) List(ctx context.Context, provider string, n int) ([]Entry, error) {
	if n <= 0 {
		n = -1
	}
	rows, err := k.db.Read.QueryContext(ctx, `SELECT `+columns+` FROM unclassified WHERE ?1 = '' OR provider = ?1
		ORDER BY count DESC, last DESC, id LIMIT ?2`, provider, n)
	if err != nil {
		return nil, fmt.Errorf("list unclassified replies: %w", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list unclassified replies: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Get returns one entry; ok is false when there is none.
func (k *Keeper) Get(ctx context.Context, id int64) (e Entry, ok bool, err error) {
	e, err = scan(k.db.Read.QueryRowContext(ctx, `SELECT `+columns+` FROM unclassified WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, false, nil
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("read unclassified reply %d: %w", id, err)
	}
	return e, true, nil
}

// Forget removes one entry, or all of them for id 0, and returns how many. A reply that comes again is kept again.
func (k *Keeper) Forget(ctx context.Context, id int64) (int64, error) {
	res, err := k.db.Write.ExecContext(ctx, `DELETE FROM unclassified WHERE ?1 = 0 OR id = ?1`, id)
	if err != nil {
		return 0, fmt.Errorf("forget unclassified replies: %w", err)
	}
	return res.RowsAffected()
}

func scan(row interface{ Scan(...any) error }) (e Entry, err error) {
	var first, last int64
	err = row.Scan(&e.ID, &e.Provider, &e.Text, &e.Phase, &e.Code, &e.Egress, &e.Count, &first, &last)
	e.First, e.Last = time.UnixMicro(first), time.UnixMicro(last)
	return e, err
}
