package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ukai/internal/i18n"
)

var migrations = []string{`
CREATE TABLE account (
	name               TEXT PRIMARY KEY,
	hash               TEXT NOT NULL,             -- argon2id as PHC string; empty: no password
	scram_salt         BLOB,
	scram_iterations   INTEGER NOT NULL,
	scram_stored       BLOB,
	scram_server       BLOB,
	certificate        TEXT UNIQUE,               -- SHA-256, 64 hexadecimal digits, or NULL
	domains            TEXT NOT NULL,             -- parted by spaces
	networks           TEXT NOT NULL,             -- parted by spaces
	messages_per_hour  INTEGER NOT NULL,
	recipients_per_day INTEGER NOT NULL,
	suspended          INTEGER NOT NULL DEFAULT 0, -- Unix seconds; 0: not
	reason             TEXT NOT NULL DEFAULT '',
	created            INTEGER NOT NULL            -- Unix seconds
) WITHOUT ROWID;
CREATE TABLE account_secret (
	id    INTEGER PRIMARY KEY CHECK (id = 1),
	value BLOB NOT NULL
);`,
}

const columns = `name, hash <> '', ifnull(certificate, ''), domains, networks, messages_per_hour, recipients_per_day, suspended, reason, created`

// keepSecret returns the secret that is stored, and stores fresh when there is none.
func (b *Book) keepSecret(ctx context.Context, fresh []byte) (secret []byte, err error) {
	const question = `SELECT value FROM account_secret WHERE id = 1`
	err = b.db.Write.QueryRowContext(ctx, question).Scan(&secret)
	if errors.Is(err, sql.ErrNoRows) {
		// Another process may be as far as we are: whose comes first stays.
		if _, err = b.db.Write.ExecContext(ctx, `INSERT INTO account_secret (id, value) VALUES (1, ?) ON CONFLICT DO NOTHING`, fresh); err == nil {
			err = b.db.Write.QueryRowContext(ctx, question).Scan(&secret)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keep the secret of the accounts: %w", err)
	}
	return secret, nil
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (b *Book) insert(ctx context.Context, a *Account, s *secrets) error {
	tx, err := b.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	var there int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM account WHERE name = ?`, a.Name).Scan(&there); err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	if there > 0 {
		return i18n.Errorf("account.error.exists", "name", a.Name, "cause", ErrExists)
	}
	if err := certificateFree(ctx, tx, a.Name, a.Certificate); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO account (name, hash, scram_salt, scram_iterations, scram_stored, scram_server, certificate,
		domains, networks, messages_per_hour, recipients_per_day, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.Name, s.hash, s.scram.Salt, s.scram.Iterations, s.scram.StoredKey, s.scram.ServerKey, null(a.Certificate),
		joinDomains(a.Domains), joinNetworks(a.Networks), a.Limits.MessagesPerHour, a.Limits.RecipientsPerDay, a.Created.Unix())
	if err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	return tx.Commit()
}

// certificateFree tells whose a certificate is already, if it is another's.
func certificateFree(ctx context.Context, tx *sql.Tx, name, fingerprint string) error {
	var owner string
	err := tx.QueryRowContext(ctx, `SELECT name FROM account WHERE certificate = ? AND name <> ?`, fingerprint, name).Scan(&owner)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for the certificate: %w", err)
	}
	return i18n.Errorf("account.error.certificate_taken", "name", owner, "cause", ErrExists)
}

// change runs one UPDATE of an account; set is the text behind SET.
func (b *Book) change(ctx context.Context, name, set string, args ...any) error {
	lower, err := Name(name)
	if err != nil {
		return unknown(name)
	}
	defer b.forget(lower)
	res, err := b.db.Write.ExecContext(ctx, `UPDATE account SET `+set+` WHERE name = ?`, append(args, lower)...)
	return oneRow(res, err, name)
}

// Delete removes an account.
func (b *Book) Delete(ctx context.Context, name string) error {
	lower, err := Name(name)
	if err != nil {
		return unknown(name)
	}
	defer b.forget(lower)
	res, err := b.db.Write.ExecContext(ctx, `DELETE FROM account WHERE name = ?`, lower)
	return oneRow(res, err, name)
}

func oneRow(res sql.Result, err error, name string) error {
	if err != nil {
		return fmt.Errorf("change account %s: %w", name, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("change account %s: %w", name, err)
	}
	if n == 0 {
		return unknown(name)
	}
	return nil
}

// SetCertificate changes the fingerprint of an account's client certificate; an empty one removes it.
func (b *Book) SetCertificate(ctx context.Context, name, fingerprint string) error {
	fingerprint, err := Fingerprint(fingerprint)
	if err != nil {
		return err
	}
	lower, err := Name(name)
	if err != nil {
		return unknown(name)
	}
	defer b.forget(lower)
	tx, err := b.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("change account %s: %w", name, err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := certificateFree(ctx, tx, lower, fingerprint); err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `UPDATE account SET certificate = ? WHERE name = ?`, null(fingerprint), lower)
	if err := oneRow(res, err, name); err != nil {
		return err
	}
	return tx.Commit()
}

// Get returns an account.
func (b *Book) Get(ctx context.Context, name string) (*Account, error) {
	lower, err := Name(name)
	if err != nil {
		return nil, unknown(name)
	}
	a, err := scan(b.db.Read.QueryRowContext(ctx, `SELECT `+columns+` FROM account WHERE name = ?`, lower))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, unknown(name)
	}
	return a, err
}

// List returns all accounts by name.
func (b *Book) List(ctx context.Context) ([]*Account, error) {
	rows, err := b.db.Read.QueryContext(ctx, `SELECT `+columns+` FROM account ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	defer rows.Close()
	var all []*Account
	for rows.Next() {
		a, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return all, nil
}

// Count returns how many accounts there are.
func (b *Book) Count(ctx context.Context) (n int, err error) {
	if err := b.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM account`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count accounts: %w", err)
	}
	return n, nil
}

func scan(row interface{ Scan(...any) error }) (*Account, error) {
	var a Account
	var domains, networks string
	var suspended, created int64
	err := row.Scan(&a.Name, &a.HasPassword, &a.Certificate, &domains, &networks, &a.Limits.MessagesPerHour, &a.Limits.RecipientsPerDay,
		&suspended, &a.Reason, &created)
	if err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	a.Domains = splitDomains(domains)
	if a.Networks, err = splitNetworks(networks); err != nil {
		return nil, fmt.Errorf("read account %s: %w", a.Name, err)
	}
	if suspended != 0 {
		a.Suspended = time.Unix(suspended, 0)
	}
	a.Created = time.Unix(created, 0)
	return &a, nil
}

// stored reads what is kept of an account's password. For a name without one, ok is false.
func (b *Book) stored(ctx context.Context, name string) (s secrets, ok bool, err error) {
	err = b.db.Read.QueryRowContext(ctx, `SELECT hash, scram_salt, scram_iterations, scram_stored, scram_server FROM account WHERE name = ? AND hash <> ''`, name).
		Scan(&s.hash, &s.scram.Salt, &s.scram.Iterations, &s.scram.StoredKey, &s.scram.ServerKey)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return secrets{}, false, nil
	case err != nil:
		return secrets{}, false, fmt.Errorf("read the password of an account: %w", err)
	}
	return s, true, nil
}

// owner returns whose certificate has a fingerprint, "" for nobody's.
func (b *Book) owner(ctx context.Context, fingerprint string) (name string, err error) {
	err = b.db.Read.QueryRowContext(ctx, `SELECT name FROM account WHERE certificate = ?`, fingerprint).Scan(&name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("look for the certificate: %w", err)
	}
	return name, nil
}
