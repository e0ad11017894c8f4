package watch

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ukai/internal/store"
)

var migrations = []string{`
CREATE TABLE watch_place (
	source TEXT NOT NULL, -- name of the source
	thing  TEXT NOT NULL, -- file or mailbox
	data   TEXT NOT NULL, -- how far it was read, as JSON
	PRIMARY KEY (source, thing)
) WITHOUT ROWID;`,
}

// Places remembers how far each source has read. It is safe for concurrent use.
type Places struct{ db *store.DB }

// OpenPlaces prepares the table in db.
func OpenPlaces(ctx context.Context, db *store.DB) (*Places, error) {
	if err := db.Migrate(ctx, "watch", migrations...); err != nil {
		return nil, err
	}
	return &Places{db}, nil
}

// load fills v with what was saved; false: nothing was.
func (p *Places) load(ctx context.Context, source, thing string, v any) (bool, error) {
	var data []byte
	err := p.db.Read.QueryRowContext(ctx, `SELECT data FROM watch_place WHERE source = ? AND thing = ?`, source, thing).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return false, fmt.Errorf("read how far %s was read: %w", thing, err)
	}
	return true, nil
}

func (p *Places) save(ctx context.Context, source, thing string, v any) error {
	data, err := json.Marshal(v)
	if err == nil {
		_, err = p.db.Write.ExecContext(ctx, `INSERT INTO watch_place (source, thing, data) VALUES (?, ?, ?)
			ON CONFLICT (source, thing) DO UPDATE SET data = excluded.data`, source, thing, string(data))
	}
	if err != nil {
		return fmt.Errorf("save how far %s was read: %w", thing, err)
	}
	return nil
}
