package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ukai/internal/mail"
)

// Events of messages are clustered by message ID. IDs grow with time, so inserts append, a message's story is one range,
// and pruning cuts off the front; there is no second index to pay for.
var migrations = []string{`
CREATE TABLE journal_message (
	msg  INTEGER NOT NULL,
	at   INTEGER NOT NULL, -- Unix microseconds
	seq  INTEGER NOT NULL,
	kind TEXT NOT NULL,
	data TEXT NOT NULL,    -- the event as JSON
	PRIMARY KEY (msg, at, seq)
) WITHOUT ROWID;
CREATE TABLE journal_path (
	at       INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	egress   TEXT NOT NULL,
	provider TEXT NOT NULL,
	data     TEXT NOT NULL,
	PRIMARY KEY (at, seq)
) WITHOUT ROWID;`,
}

// rowsAtOnce is how many rows one statement writes: a call into the database costs more than a row.
const rowsAtOnce = 64

// inserter writes rows of one table, many at once.
type inserter struct {
	tx    *sql.Tx
	into  string // INSERT INTO table (columns) VALUES
	width int    // columns
	args  []any
	many  *sql.Stmt // for rowsAtOnce rows, prepared at the first use
}

func (i *inserter) add(ctx context.Context, row ...any) error {
	i.args = append(i.args, row...)
	if len(i.args) < rowsAtOnce*i.width {
		return nil
	}
	if i.many == nil {
		var err error
		if i.many, err = i.tx.PrepareContext(ctx, i.statement(rowsAtOnce)); err != nil {
			return err
		}
	}
	_, err := i.many.ExecContext(ctx, i.args...)
	i.args = i.args[:0]
	return err
}

// flush writes what is left.
func (i *inserter) flush(ctx context.Context) error {
	if len(i.args) == 0 {
		return nil
	}
	_, err := i.tx.ExecContext(ctx, i.statement(len(i.args)/i.width), i.args...)
	return err
}

func (i *inserter) statement(rows int) string {
	row := "(?" + strings.Repeat(",?", i.width-1) + ")"
	return i.into + row + strings.Repeat(","+row, rows-1)
}

func (j *Journal) write(ctx context.Context, batch []Event) error {
	tx, err := j.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	messages := inserter{tx: tx, width: 5, into: `INSERT INTO journal_message (msg, at, seq, kind, data) VALUES `}
	paths := inserter{tx: tx, width: 5, into: `INSERT INTO journal_path (at, seq, egress, provider, data) VALUES `}
	// Two flushes may hold events of the same microsecond: a sequence that starts with the clock keeps keys apart.
	seq := time.Now().UnixNano()
	for i := range batch {
		e := &batch[i]
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode event %s: %w", e.Kind, err)
		}
		if e.Msg == 0 {
			err = paths.add(ctx, e.At.UnixMicro(), seq+int64(i), e.Egress, e.Provider, string(data))
		} else {
			err = messages.add(ctx, int64(e.Msg), e.At.UnixMicro(), seq+int64(i), string(e.Kind), string(data))
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(messages.flush(ctx), paths.flush(ctx)); err != nil {
		return err
	}
	return tx.Commit()
}

// Message returns the events of a message in order of time, those not yet written included.
func (j *Journal) Message(ctx context.Context, id mail.ID) ([]Event, error) {
	if err := j.Sync(ctx); err != nil {
		return nil, err
	}
	return j.query(ctx, `SELECT data FROM journal_message WHERE msg = ? ORDER BY at, seq`, int64(id))
}

// Find returns the IDs of messages accepted since a time whose Message-ID header is messageID, newest first.
func (j *Journal) Find(ctx context.Context, messageID string, since time.Time) ([]mail.ID, error) {
	if err := j.Sync(ctx); err != nil {
		return nil, err
	}
	events, err := j.query(ctx, `SELECT data FROM journal_message WHERE msg >= ? AND kind = ? AND json_extract(data, '$.message_id') = ?
		ORDER BY msg DESC LIMIT 50`, since.UnixMilli()<<20, string(Accepted), messageID)
	if err != nil {
		return nil, err
	}
	ids := make([]mail.ID, 0, len(events))
	for _, e := range events {
		ids = append(ids, e.Msg)
	}
	return ids, nil
}

// Paths returns the newest changes of paths, newest first; empty egress or provider select all.
func (j *Journal) Paths(ctx context.Context, egress, provider string, limit int) ([]Event, error) {
	if err := j.Sync(ctx); err != nil {
		return nil, err
	}
	return j.query(ctx, `SELECT data FROM journal_path WHERE (? = '' OR egress = ?) AND (? = '' OR provider = ?) ORDER BY at DESC, seq DESC LIMIT ?`,
		egress, egress, provider, provider, limit)
}

func (j *Journal) query(ctx context.Context, q string, args ...any) ([]Event, error) {
	rows, err := j.db.Read.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close()
	var out []Event
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		var e Event
		if err := json.Unmarshal(data, &e); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// prune removes what is older than before, in small transactions so that writers are not kept waiting.
func (j *Journal) prune(ctx context.Context, before time.Time) error {
	for {
		res, err := j.db.Write.ExecContext(ctx, `DELETE FROM journal_message WHERE (msg, at, seq) IN
			(SELECT msg, at, seq FROM journal_message WHERE msg < ? LIMIT 5000)`, before.UnixMilli()<<20)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n < 5000 {
			break
		}
	}
	_, err := j.db.Write.ExecContext(ctx, `DELETE FROM journal_path WHERE at < ?`, before.UnixMicro())
	return err
}
