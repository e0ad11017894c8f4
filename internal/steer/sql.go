package steer

import (
	"context"
	"fmt"
)

var migrations = []string{`
CREATE TABLE steer_domain (
	server   TEXT NOT NULL,
	domain   TEXT NOT NULL,
	provider TEXT NOT NULL,
	last     INTEGER NOT NULL, -- Unix seconds
	PRIMARY KEY (server, domain)
) WITHOUT ROWID;`,
}

// load reads what is known of a server's domains.
func (s *Steer) load(ctx context.Context, srv *server) error {
	rows, err := s.DB.Read.QueryContext(ctx, `SELECT domain, provider, last FROM steer_domain WHERE server = ? ORDER BY last DESC LIMIT ?`, srv.name, s.opts.Known)
	if err != nil {
		return fmt.Errorf("read the domains of %s: %w", srv.name, err)
	}
	defer rows.Close()
	srv.domains.all = make(map[string]visit)
	same := make(map[string]string) // one string for each provider
	for rows.Next() {
		var domain string
		var v visit
		if err := rows.Scan(&domain, &v.id, &v.last); err != nil {
			return fmt.Errorf("read the domains of %s: %w", srv.name, err)
		}
		if id, ok := same[v.id]; ok {
			v.id = id
		}
		same[v.id] = v.id
		srv.domains.all[domain] = v
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the domains of %s: %w", srv.name, err)
	}
	return nil
}

// Sync writes down what was learned of domains before the call. When the database refuses, it is kept for the next time.
func (s *Steer) Sync(ctx context.Context) error {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	for _, srv := range *s.byName.Load() {
		list := srv.domains.take()
		if len(list) == 0 {
			continue
		}
		if err := s.save(ctx, srv.name, list); err != nil {
			srv.domains.back(list)
			return fmt.Errorf("write %d domains of %s: %w", len(list), srv.name, err)
		}
	}
	return nil
}

func (s *Steer) save(ctx context.Context, name string, list []change) error {
	tx, err := s.DB.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	put, err := tx.PrepareContext(ctx, `INSERT INTO steer_domain (server, domain, provider, last) VALUES (?, ?, ?, ?)
		ON CONFLICT (server, domain) DO UPDATE SET provider = excluded.provider, last = excluded.last`)
	if err != nil {
		return err
	}
	defer put.Close()
	for _, c := range list {
		if c.gone {
			_, err = tx.ExecContext(ctx, `DELETE FROM steer_domain WHERE server = ? AND domain = ?`, name, c.domain)
		} else {
			_, err = put.ExecContext(ctx, name, c.domain, c.visit.id, c.visit.last)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// forgetServer removes what was learned of the domains of a server that is no longer connected.
func (s *Steer) forgetServer(ctx context.Context, name string) error {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if _, err := s.DB.Write.ExecContext(ctx, `DELETE FROM steer_domain WHERE server = ?`, name); err != nil {
		return fmt.Errorf("forget the domains of %s: %w", name, err)
	}
	return nil
}
