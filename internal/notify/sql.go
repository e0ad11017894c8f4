package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ukai/internal/incident"
)

// migrations of the tables of this package. Times are Unix milliseconds.
var migrations = []string{`
CREATE TABLE notify_thread (
	incident INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL,
	data     TEXT NOT NULL -- what was told, as JSON
);
CREATE TABLE notify_silence (
	id    INTEGER PRIMARY KEY AUTOINCREMENT,
	until INTEGER NOT NULL,
	data  TEXT NOT NULL -- the silence as JSON
);
CREATE TABLE notify_sent (
	id       INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL,
	channel  TEXT NOT NULL,
	incident INTEGER NOT NULL, -- 0: not about one
	news     TEXT NOT NULL,
	error    TEXT NOT NULL,    -- empty: it was taken
	attempts INTEGER NOT NULL,
	took     INTEGER NOT NULL  -- milliseconds
);
CREATE INDEX notify_sent_at ON notify_sent (at);`,
}

// keep is how long sends are remembered.
const keep = 90 * 24 * time.Hour

// Sent is the record of a send.
type Sent struct {
	At       time.Time     `json:"at"`
	Channel  string        `json:"channel"`
	Incident int64         `json:"incident,omitempty"` // 0: not about one
	News     incident.News `json:"news"`
	OK       bool          `json:"ok"`
	Error    string        `json:"error,omitempty"` // without secrets
	Attempts int           `json:"attempts"`
	Took     time.Duration `json:"took"` // nanoseconds
}

// Sends returns the newest records, at most limit.
func (n *Notifier) Sends(ctx context.Context, limit int) ([]Sent, error) {
	rows, err := n.parts.DB.Read.QueryContext(ctx, `SELECT at, channel, incident, news, error, attempts, took FROM notify_sent ORDER BY id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	defer rows.Close()
	var list []Sent
	for rows.Next() {
		var s Sent
		var at, took int64
		if err := rows.Scan(&at, &s.Channel, &s.Incident, &s.News, &s.Error, &s.Attempts, &took); err != nil {
			return nil, fmt.Errorf("read notices: %w", err)
		}
		s.At, s.Took, s.OK = time.UnixMilli(at), time.Duration(took)*time.Millisecond, s.Error == ""
		list = append(list, s)
	}
	return list, rows.Err()
}

func (n *Notifier) writeSent(ctx context.Context, s *Sent) error {
	_, err := n.parts.DB.Write.ExecContext(ctx, `INSERT INTO notify_sent (at, channel, incident, news, error, attempts, took) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		s.At.UnixMilli(), s.Channel, s.Incident, string(s.News), s.Error, s.Attempts, s.Took.Milliseconds())
	if err != nil {
		return fmt.Errorf("record notice: %w", err)
	}
	return nil
}

// forget removes what is too old to be asked for.
func (n *Notifier) forget(ctx context.Context, now time.Time) error {
	for _, q := range []string{`DELETE FROM notify_sent WHERE at < ?`, `DELETE FROM notify_thread WHERE at < ?`, `DELETE FROM notify_silence WHERE until < ?`} {
		if _, err := n.parts.DB.Write.ExecContext(ctx, q, now.Add(-keep).UnixMilli()); err != nil {
			return fmt.Errorf("forget old notices: %w", err)
		}
	}
	return nil
}

func (n *Notifier) writeThread(ctx context.Context, id int64, m *memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err = n.parts.DB.Write.ExecContext(ctx, `INSERT INTO notify_thread (incident, at, data) VALUES (?, ?, ?)
		ON CONFLICT (incident) DO UPDATE SET at = excluded.at, data = excluded.data`, id, m.Last.UnixMilli(), string(data)); err != nil {
		return fmt.Errorf("record what was told: %w", err)
	}
	return nil
}

func (n *Notifier) readThreads(ctx context.Context) (map[int64]memory, error) {
	all := make(map[int64]memory)
	rows, err := n.parts.DB.Read.QueryContext(ctx, `SELECT incident, data FROM notify_thread`)
	if err != nil {
		return nil, fmt.Errorf("read what was told: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data []byte
		var m memory
		if err := rows.Scan(&id, &data); err != nil {
			return nil, fmt.Errorf("read what was told: %w", err)
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, fmt.Errorf("read what was told: %w", err)
		}
		all[id] = m
	}
	return all, rows.Err()
}

func (n *Notifier) writeSilence(ctx context.Context, s *Silence) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	done, err := n.parts.DB.Write.ExecContext(ctx, `INSERT INTO notify_silence (until, data) VALUES (?, ?)`, s.Until.UnixMilli(), string(data))
	if err != nil {
		return fmt.Errorf("store silence: %w", err)
	}
	s.ID, err = done.LastInsertId()
	return err
}

// endSilence lets a silence end now; its row stays as a record.
func (n *Notifier) endSilence(ctx context.Context, id int64, now time.Time) error {
	if _, err := n.parts.DB.Write.ExecContext(ctx, `UPDATE notify_silence SET until = ? WHERE id = ?`, now.UnixMilli(), id); err != nil {
		return fmt.Errorf("end silence: %w", err)
	}
	return nil
}

// readSilences reads all that are stored; those that are over cover nothing.
func (n *Notifier) readSilences(ctx context.Context) ([]Silence, error) {
	rows, err := n.parts.DB.Read.QueryContext(ctx, `SELECT id, until, data FROM notify_silence ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read silences: %w", err)
	}
	defer rows.Close()
	var list []Silence
	for rows.Next() {
		var id, until int64
		var data []byte
		if err := rows.Scan(&id, &until, &data); err != nil {
			return nil, fmt.Errorf("read silences: %w", err)
		}
		var s Silence
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("read silences: %w", err)
		}
		s.ID, s.Until = id, time.UnixMilli(until)
		list = append(list, s)
	}
	return list, rows.Err()
}
