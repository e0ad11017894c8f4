package suppress

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ukai/internal/mail"
)

var migrations = []string{`
CREATE TABLE suppress_recipient (
	addr   TEXT PRIMARY KEY, -- lower case
	domain TEXT NOT NULL,
	until  INTEGER NOT NULL, -- Unix seconds; 0: not suppressed, only watched
	last   INTEGER NOT NULL, -- Unix seconds of the newest sighting or order
	byhand INTEGER NOT NULL, -- 1: by an admin
	data   TEXT NOT NULL     -- the entry as JSON
) WITHOUT ROWID;
CREATE INDEX suppress_domain ON suppress_recipient (domain);
CREATE INDEX suppress_last ON suppress_recipient (last);`,
}

// fill reads which addresses are kept into the filter. Nothing is written meanwhile: what went from memory to the disk behind
// the reader's back would be in neither.
func (b *Book) fill(ctx context.Context) error {
	b.flushMu.Lock()
	defer b.flushMu.Unlock()
	rows, err := b.db.Read.QueryContext(ctx, `SELECT addr FROM suppress_recipient`)
	if err != nil {
		return fmt.Errorf("read suppressed recipients: %w", err)
	}
	defer rows.Close()
	var fresh filter
	for rows.Next() {
		var addr sql.RawBytes
		if err := rows.Scan(&addr); err != nil {
			return fmt.Errorf("read suppressed recipients: %w", err)
		}
		fresh.add(hash(string(addr)))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for addr := range b.dirty { // in memory only, so far
		fresh.add(hash(addr))
	}
	b.filter = fresh
	return rows.Err()
}

func (b *Book) read(ctx context.Context, addr string) (*Entry, error) {
	var data []byte
	err := b.db.Read.QueryRowContext(ctx, `SELECT data FROM suppress_recipient WHERE addr = ?`, addr).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read suppressed recipient: %w", err)
	}
	e := &Entry{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("read suppressed recipient: %w", err)
	}
	return e, nil
}

// Sync writes all changes that were made before the call. When the database refuses, they are kept for the next time.
func (b *Book) Sync(ctx context.Context) error {
	b.flushMu.Lock()
	defer b.flushMu.Unlock()
	b.mu.Lock()
	batch := make(map[string]*Entry, len(b.dirty))
	for addr, e := range b.dirty {
		batch[addr] = e
	}
	b.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := b.write(ctx, batch); err != nil {
		return fmt.Errorf("write %d suppressed recipients: %w", len(batch), err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gen++
	for addr, e := range batch {
		if b.dirty[addr] == e { // else it was changed once more
			delete(b.dirty, addr)
		}
	}
	return nil
}

func (b *Book) write(ctx context.Context, batch map[string]*Entry) error {
	tx, err := b.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for addr, e := range batch {
		if e == nil {
			if _, err := tx.ExecContext(ctx, `DELETE FROM suppress_recipient WHERE addr = ?`, addr); err != nil {
				return err
			}
			continue
		}
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		until, last, byHand := int64(0), e.Last().At, e.By != ""
		if !e.Until.IsZero() {
			until = e.Until.Unix()
		}
		if e.Since.After(last) {
			last = e.Since
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO suppress_recipient (addr, domain, until, last, byhand, data) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (addr) DO UPDATE SET until = excluded.until, last = excluded.last, byhand = excluded.byhand, data = excluded.data`,
			addr, mail.Domain(addr), until, last.Unix(), byHand, string(data)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Query selects entries. Zero fields do not.
type Query struct {
	Domain string
	All    bool   // also those that are only watched: refused, not confirmed
	After  string // address to go on behind
	Limit  int    // 0: 100
}

// List returns entries in order of the address.
func (b *Book) List(ctx context.Context, q Query) ([]Entry, error) {
	if err := b.Sync(ctx); err != nil {
		return nil, err
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	rows, err := b.db.Read.QueryContext(ctx, `SELECT data FROM suppress_recipient
		WHERE addr > ? AND (? = '' OR domain = ?) AND (? OR until > 0) ORDER BY addr LIMIT ?`, fold(q.After), fold(q.Domain), fold(q.Domain), q.All, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list suppressed recipients: %w", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return nil, fmt.Errorf("list suppressed recipients: %w", err)
		}
		var e Entry
		if err := json.Unmarshal(data, &e); err != nil {
			return nil, fmt.Errorf("list suppressed recipients: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// forget removes what was learned about a domain since a time, but not what an admin said; it returns how much.
func (b *Book) forget(ctx context.Context, domain string, since time.Time) (int64, error) {
	if err := b.Sync(ctx); err != nil {
		return 0, err
	}
	b.flushMu.Lock()
	defer b.flushMu.Unlock()
	res, err := b.db.Write.ExecContext(ctx, `DELETE FROM suppress_recipient WHERE domain = ? AND last >= ? AND byhand = 0`, domain, since.Unix())
	if err != nil {
		return 0, fmt.Errorf("forget recipients of %s: %w", domain, err)
	}
	b.mu.Lock()
	b.gen++ // whoever has read one of them reads again
	b.mu.Unlock()
	return res.RowsAffected()
}

// Prune forgets what is over: sightings that no longer count, and suppressed addresses that nobody has written to for as long as
// they had been suppressed. Beyond Options.MaxEntries the oldest go.
func (b *Book) Prune(ctx context.Context, now time.Time) error {
	if err := b.Sync(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	o := b.opts
	b.mu.Unlock()
	b.flushMu.Lock()
	_, err := b.db.Write.ExecContext(ctx, `DELETE FROM suppress_recipient WHERE until = 0 AND last < ? OR until > 0 AND until < ?`,
		now.Add(-o.Within).Unix(), now.Add(-o.Keep).Unix())
	if err == nil {
		_, err = b.db.Write.ExecContext(ctx, `DELETE FROM suppress_recipient WHERE addr IN (SELECT addr FROM suppress_recipient WHERE byhand = 0
			ORDER BY last LIMIT max(0, (SELECT count(*) FROM suppress_recipient) - ?))`, o.MaxEntries)
	}
	b.mu.Lock()
	b.gen++
	b.mu.Unlock()
	b.flushMu.Unlock()
	if err != nil {
		return fmt.Errorf("prune suppressed recipients: %w", err)
	}
	return b.fill(ctx)
}
