// Package store opens the one database that holds control state: accounts, health, journal. Mail itself is kept by package queue.
//
// The embedded engine is SQLite in WAL mode: one writer connection, so that writers wait for each other in Go and not in the
// database, and a pool of readers that never block it. Every package owns its tables and brings its own migrations.
package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"runtime"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// DB is the control database.
type DB struct {
	Write *sql.DB // one connection; every write goes through it
	Read  *sql.DB // readers
}

// Open opens or creates the database file. Commits survive a kill; with durable they survive a power cut as well, at the
// price of a disk sync each.
func Open(path string, durable bool) (*DB, error) {
	w, err := open(path, "rwc", durable)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	w.SetMaxOpenConns(1)
	if err := w.Ping(); err != nil {
		w.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	r, err := open(path, "ro", durable)
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("open database %s for reading: %w", path, err)
	}
	r.SetMaxOpenConns(max(2, runtime.NumCPU()))
	return &DB{Write: w, Read: r}, nil
}

func open(path, mode string, durable bool) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "foreign_keys(1)"}}
	if mode != "ro" {
		sync := "synchronous(NORMAL)"
		if durable {
			sync = "synchronous(FULL)"
		}
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", sync, "journal_size_limit(67108864)")
	}
	return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
}

// Close closes both sides.
func (db *DB) Close() error {
	rerr := db.Read.Close()
	if err := db.Write.Close(); err != nil {
		return err
	}
	return rerr
}

// Migrate brings the tables of one owner (a package) to the newest version: steps[i] leads from version i to i+1. A step that
// has run is never changed. A database that a later program wrote is refused.
func (db *DB) Migrate(ctx context.Context, owner string, steps ...string) error {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migration (owner TEXT PRIMARY KEY, version INTEGER NOT NULL)`); err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	var have int
	if err := tx.QueryRowContext(ctx, `SELECT version FROM migration WHERE owner = ?`, owner).Scan(&have); err != nil && err != sql.ErrNoRows {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	if have > len(steps) {
		return fmt.Errorf("migrate %s: the database is of a later ukai (version %d, this one knows %d): start that one, or restore a copy", owner, have, len(steps))
	}
	for i := have; i < len(steps); i++ {
		if _, err := tx.ExecContext(ctx, steps[i]); err != nil {
			return fmt.Errorf("migrate %s to version %d: %w", owner, i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO migration (owner, version) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET version = excluded.version`, owner, len(steps)); err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	return tx.Commit()
}
