package queue

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"ukai/internal/mail"
	"ukai/internal/store"
)

// The index is a database of its own: a long question to the control database never stands in the way of mail, nor the other
// way round. It says nothing that the segments do not say, except up to where it has read them.
const indexSchema = `
CREATE TABLE message (
	id         INTEGER PRIMARY KEY, -- in order of acceptance
	schedule   BLOB NOT NULL,       -- see row
	account    TEXT NOT NULL,
	sender     TEXT NOT NULL,       -- lower case
	recipients TEXT NOT NULL        -- lower case, a line feed before and behind each
);
CREATE TABLE position ( -- one row, none while the index is being filled
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	segment INTEGER NOT NULL,
	salt    INTEGER NOT NULL,
	offset  INTEGER NOT NULL,
	count   INTEGER NOT NULL, -- of messages
	newest  INTEGER NOT NULL  -- the largest identifier that was ever in the log: it is not given again
);`

// position is up to where the index has read the log.
type position struct {
	at     pos
	salt   uint64
	count  int64
	newest mail.ID
}

// indexDB is the database of the index.
type indexDB struct{ *store.DB }

func openIndexDB(ctx context.Context, path string) (*indexDB, error) {
	db, err := store.Open(path, true) // a position that a power cut takes back would not know of segments that have gone
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "queue", indexSchema); err != nil {
		_ = db.Close()
		return nil, err
	}
	return &indexDB{db}, nil
}

// position returns false when the index is not complete.
func (db *indexDB) position(ctx context.Context) (p position, ok bool, err error) {
	var salt int64
	err = db.Read.QueryRowContext(ctx, `SELECT segment, salt, offset, count, newest FROM position`).Scan(&p.at.seg, &salt, &p.at.off, &p.count, &p.newest)
	p.salt = uint64(salt)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	return p, err == nil, err
}

// clear makes the index empty and incomplete.
func (db *indexDB) clear(ctx context.Context) error {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for _, stmt := range []string{`DELETE FROM position`, `DELETE FROM message`} {
		if _, err := tx.ExecContext(ctx, stmt); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// rows calls yield for every message. The row is valid until yield returns.
func (db *indexDB) rows(ctx context.Context, yield func(*row) error) error {
	rows, err := db.Read.QueryContext(ctx, `SELECT id, schedule FROM message`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id int64
	var b sql.RawBytes
	var r row
	for rows.Next() {
		if err := rows.Scan(&id, &b); err != nil {
			return err
		}
		if err := r.decode(mail.ID(id), b); err != nil {
			return err
		}
		if err := yield(&r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// candidates returns up to limit messages behind after, in order, that may be what f selects.
func (db *indexDB) candidates(ctx context.Context, f *Filter, after mail.ID, limit int) ([]mail.ID, error) {
	where, args := []string{"id > ?"}, []any{int64(after)}
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if f.Account != "" {
		add("account = ?", f.Account)
	}
	switch sender := strings.ToLower(f.Sender); {
	case sender == "":
	case sender[0] == '@':
		where = append(where, "substr(sender, -length(?)) = ?")
		args = append(args, sender, sender)
	default:
		add("sender = ?", sender)
	}
	if f.Recipient != "" {
		add("instr(recipients, ?) > 0", needle(f.Recipient))
	}
	if f.Domain != "" {
		add("instr(recipients, ?) > 0", needle("@"+f.Domain))
	}
	args = append(args, limit)
	rows, err := db.Read.QueryContext(ctx, `SELECT id FROM message WHERE `+strings.Join(where, " AND ")+` ORDER BY id LIMIT ?`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []mail.ID
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, mail.ID(id))
	}
	return ids, rows.Err()
}

// needle is what to look for among recipients: a whole address, or the end of one.
func needle(addr string) string {
	addr = strings.ToLower(addr) + "\n"
	if addr[0] != '@' {
		addr = "\n" + addr
	}
	return addr
}

// recipientLines returns the recipients as the index keeps them.
func recipientLines(env *mail.Envelope) string {
	var b strings.Builder
	b.WriteByte('\n')
	for i := range env.Recipients {
		b.WriteString(strings.ToLower(env.Recipients[i].Addr))
		b.WriteByte('\n')
	}
	return b.String()
}

// texts returns what the index knows of a message's envelope.
func (db *indexDB) texts(ctx context.Context, id mail.ID) (sender, recipients string, err error) {
	err = db.Read.QueryRowContext(ctx, `SELECT sender, recipients FROM message WHERE id = ?`, int64(id)).Scan(&sender, &recipients)
	return sender, recipients, err
}

// indexTx is one write to the index.
type indexTx struct {
	tx                          *sql.Tx
	count                       int64 // by how many messages it grows
	get, insert, update, remove *sql.Stmt
}

// begin starts a write. The caller ends it with commit or rollback.
func (db *indexDB) begin(ctx context.Context) (*indexTx, error) {
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	t := &indexTx{tx: tx}
	for stmt, text := range map[**sql.Stmt]string{
		&t.get:    `SELECT schedule FROM message WHERE id = ?`,
		&t.insert: `INSERT INTO message (id, schedule, account, sender, recipients) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		&t.update: `UPDATE message SET schedule = ? WHERE id = ?`,
		&t.remove: `DELETE FROM message WHERE id = ?`,
	} {
		if *stmt, err = tx.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // closed with the transaction
			t.rollback()
			return nil, err
		}
	}
	return t, nil
}

func (t *indexTx) rollback() { _ = t.tx.Rollback() }

// row returns a message, nil if the index has it not.
func (t *indexTx) row(ctx context.Context, id mail.ID) (*row, error) {
	var b sql.RawBytes
	rows, err := t.get.QueryContext(ctx, int64(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	if err := rows.Scan(&b); err != nil {
		return nil, err
	}
	r := &row{}
	if err := r.decode(id, b); err != nil {
		return nil, err
	}
	return r, nil
}

// put writes a message. env is needed for one that the index may not have; else it is nil.
func (t *indexTx) put(ctx context.Context, r *row, env *mail.Envelope) error {
	b := r.encode(nil)
	if env != nil {
		n, err := affected(t.insert.ExecContext(ctx, int64(r.id), b, env.Account, strings.ToLower(env.From), recipientLines(env)))
		if err != nil {
			return err
		}
		if n > 0 {
			t.count++
			return nil
		}
	}
	_, err := t.update.ExecContext(ctx, b, int64(r.id))
	return err
}

func (t *indexTx) delete(ctx context.Context, id mail.ID) error {
	n, err := affected(t.remove.ExecContext(ctx, int64(id)))
	t.count -= n
	return err
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// commit makes the write durable. With a position, the index is complete up to there.
func (t *indexTx) commit(ctx context.Context, p *position) error {
	if p != nil {
		if _, err := t.tx.ExecContext(ctx, `INSERT OR REPLACE INTO position (one, segment, salt, offset, count, newest) VALUES (1, ?, ?, ?, ?, ?)`,
			p.at.seg, int64(p.salt), p.at.off, p.count, int64(p.newest)); err != nil {
			return err
		}
	}
	return t.tx.Commit()
}
