package health

import (
	"context"
	"database/sql"
	"fmt"

	"ukai/internal/store"
)

// migrations of the tables of this package. State, since and the day's count stand in columns of their own: they are read
// when the record is not readable, and by people with a database shell.
var migrations = []string{`
CREATE TABLE health_path (
	egress   TEXT NOT NULL,
	provider TEXT NOT NULL,
	state    TEXT NOT NULL,
	since    INTEGER NOT NULL, -- Unix milliseconds; 0: never
	day      INTEGER NOT NULL, -- of sent: days since 1970-01-01, UTC
	sent     INTEGER NOT NULL,
	record   TEXT NOT NULL,    -- JSON: probes, pin, listings, evidence
	PRIMARY KEY (egress, provider)
) WITHOUT ROWID`}

// row is one path as it lies in the database.
type row struct {
	key    Key
	state  string
	since  int64
	day    int64
	sent   int
	record string
}

func readRows(ctx context.Context, db *store.DB) ([]row, error) {
	rows, err := db.Read.QueryContext(ctx, `SELECT egress, provider, state, since, day, sent, record FROM health_path`)
	if err != nil {
		return nil, fmt.Errorf("read health: %w", err)
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.key.Egress, &r.key.Provider, &r.state, &r.since, &r.day, &r.sent, &r.record); err != nil {
			return nil, fmt.Errorf("read health: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// writeRows stores rows and deletes those of dead, all or nothing.
func writeRows(ctx context.Context, db *store.DB, rows []row, dead []Key) error {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("save health: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := deleteRows(ctx, tx, dead); err != nil {
		return err
	}
	st, err := tx.PrepareContext(ctx, `INSERT INTO health_path (egress, provider, state, since, day, sent, record) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (egress, provider) DO UPDATE SET state = excluded.state, since = excluded.since, day = excluded.day, sent = excluded.sent, record = excluded.record`)
	if err != nil {
		return fmt.Errorf("save health: %w", err)
	}
	defer st.Close()
	for i := range rows {
		r := &rows[i]
		if _, err := st.ExecContext(ctx, r.key.Egress, r.key.Provider, r.state, r.since, r.day, r.sent, r.record); err != nil {
			return fmt.Errorf("save health of %s to %s: %w", r.key.Egress, r.key.Provider, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("save health: %w", err)
	}
	return nil
}

func deleteRows(ctx context.Context, tx *sql.Tx, dead []Key) error {
	for _, k := range dead {
		if _, err := tx.ExecContext(ctx, `DELETE FROM health_path WHERE egress = ? AND provider = ?`, k.Egress, k.Provider); err != nil {
			return fmt.Errorf("forget health of %s to %s: %w", k.Egress, k.Provider, err)
		}
	}
	return nil
}
