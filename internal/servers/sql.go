package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"ukai/internal/store"
)

var migrations = []string{`
CREATE TABLE server (
	name   TEXT PRIMARY KEY,
	secret BLOB NOT NULL, -- SHA-256
	data   TEXT NOT NULL  -- Server as JSON
) WITHOUT ROWID;`,
}

func load(ctx context.Context, db *store.DB) (map[string]*entry, error) {
	rows, err := db.Read.QueryContext(ctx, `SELECT name, secret, data FROM server`)
	if err != nil {
		return nil, fmt.Errorf("read the servers: %w", err)
	}
	defer rows.Close()
	all := make(map[string]*entry)
	for rows.Next() {
		var name string
		var secret, data []byte
		if err := rows.Scan(&name, &secret, &data); err != nil {
			return nil, fmt.Errorf("read the servers: %w", err)
		}
		e := new(entry)
		if err := json.Unmarshal(data, &e.server); err != nil {
			return nil, fmt.Errorf("read server %s: %w", name, err)
		}
		if len(secret) != len(e.secret) {
			return nil, fmt.Errorf("read server %s: its secret has %d octets", name, len(secret))
		}
		copy(e.secret[:], secret)
		all[name] = e
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the servers: %w", err)
	}
	return all, nil
}

func (b *Book) save(ctx context.Context, e *entry) error {
	data, err := json.Marshal(&e.server)
	if err == nil {
		_, err = b.db.Write.ExecContext(ctx, `INSERT INTO server (name, secret, data) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET secret = excluded.secret, data = excluded.data`, e.server.Name, e.secret[:], string(data))
	}
	if err != nil {
		return fmt.Errorf("keep server %s: %w", e.server.Name, err)
	}
	return nil
}

func (b *Book) erase(ctx context.Context, name string) error {
	if _, err := b.db.Write.ExecContext(ctx, `DELETE FROM server WHERE name = ?`, name); err != nil {
		return fmt.Errorf("remove server %s: %w", name, err)
	}
	return nil
}

// saveEvery is how often contact and drift are written down.
const saveEvery = 30 * time.Second

// Run writes down when servers were heard of, until ctx ends.
func (b *Book) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.Save(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		if err := b.Save(ctx); err != nil && ctx.Err() == nil {
			log.Warn("last contact of servers not written down", "error", err)
		}
	}
}

// Save writes down what Touch and SetDrift noted since the last time, in one transaction.
func (b *Book) Save(ctx context.Context) error {
	b.order.Lock()
	defer b.order.Unlock()
	stale := b.takeStale()
	if len(stale) == 0 {
		return nil
	}
	if err := b.saveAll(ctx, stale); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i := range stale { // they are tried again
			if e, ok := b.all[stale[i].Name]; ok {
				e.stale = true
			}
		}
		return fmt.Errorf("keep the last contact of servers: %w", err)
	}
	return nil
}

func (b *Book) takeStale() (stale []Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.all {
		if e.stale {
			e.stale = false
			stale = append(stale, e.server)
		}
	}
	return stale
}

func (b *Book) saveAll(ctx context.Context, list []Server) error {
	tx, err := b.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for i := range list {
		data, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE server SET data = ? WHERE name = ?`, string(data), list[i].Name); err != nil {
			return err
		}
	}
	return tx.Commit()
}
