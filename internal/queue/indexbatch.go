package queue

import (
	"context"
	"errors"
	"fmt"

	"ukai/internal/mail"
)

// change is what a batch of ops makes of a message.
type change struct {
	row *row
	env *mail.Envelope // of one that the index may not have
}

// write applies ops to the database. A message whose end is among the ops, or among the later ones, is left out: its end is
// durable, and that is all that a start needs to know.
func (ix *index) write(ctx context.Context, ops, later []op, end pos) error {
	gone := make(map[mail.ID]goneState)
	for _, list := range [][]op{ops, later} {
		for i := range list {
			if list[i].kind == kindDone {
				gone[list[i].id] = goneKnown
			}
		}
	}
	ix.mu.Lock()
	db, p := ix.db, ix.pos
	ix.mu.Unlock()
	tx, err := db.begin(ctx)
	if err != nil {
		return err
	}
	b := indexBatch{tx: tx, source: ix.source, gone: gone, changes: make(map[mail.ID]*change)}
	for i := range ops {
		if err := b.apply(ctx, &ops[i]); err != nil {
			tx.rollback()
			return err
		}
	}
	if err := b.flush(ctx); err != nil {
		tx.rollback()
		return err
	}
	p = position{end, ix.source.salt(end.seg), p.count + tx.count, max(p.newest, newest(ops))}
	if err := tx.commit(ctx, &p); err != nil {
		tx.rollback()
		return err
	}
	ix.mu.Lock()
	ix.pos = p
	ix.mu.Unlock()
	return nil
}

// goneState is what a batch knows of a message that is done.
type goneState uint8

const (
	goneKnown goneState = iota + 1 // its end is durable
	goneSeen                       // and its first record in the batch told whether the index may have it
)

// newest is the largest identifier among ops.
func newest(ops []op) mail.ID {
	var id mail.ID
	for i := range ops {
		id = max(id, ops[i].id)
	}
	return id
}

// indexBatch gathers what ops make of messages before it is written, so that each is written once.
type indexBatch struct {
	tx      *indexTx
	source  indexSource
	gone    map[mail.ID]goneState
	remove  []mail.ID
	changes map[mail.ID]*change
}

func (b *indexBatch) apply(ctx context.Context, o *op) error {
	switch b.gone[o.id] {
	case goneKnown:
		if !o.fresh {
			b.remove = append(b.remove, o.id)
		}
		b.gone[o.id] = goneSeen
		return nil
	case goneSeen:
		return nil
	}
	c, err := b.change(ctx, o)
	if err != nil || c == nil {
		return ignoreDamage(err)
	}
	if o.kind == kindState {
		s, err := b.source.readState(Key{o.id, int(o.n)}, o.at, o.size)
		if err != nil {
			return ignoreDamage(err)
		}
		c.row.state(Key{o.id, int(o.n)}, s, o.at, o.size)
		return nil
	}
	c.row.at, c.row.size = o.at, o.size
	return nil
}

// ignoreDamage passes over messages that cannot be read: they are being set aside, which ends them.
func ignoreDamage(err error) error {
	if errors.Is(err, ErrSetAside) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// change returns the message of an op as it is so far; nil if there is none.
func (b *indexBatch) change(ctx context.Context, o *op) (*change, error) {
	if c := b.changes[o.id]; c != nil {
		return c, nil
	}
	if !o.fresh {
		r, err := b.tx.row(ctx, o.id)
		if err != nil {
			return nil, fmt.Errorf("read index: %w", err)
		}
		if r != nil {
			c := &change{row: r}
			b.changes[o.id] = c
			return c, nil
		}
	}
	if o.kind != kindAdd {
		return nil, nil //nolint:nilnil // the state of a message that is not in the queue
	}
	env, con, err := b.source.readAdd(o.id, o.at, o.size)
	if err != nil {
		return nil, err
	}
	c := &change{row: newRow(o.at, o.size, env, con), env: env}
	b.changes[o.id] = c
	return c, nil
}

func (b *indexBatch) flush(ctx context.Context) error {
	for _, c := range b.changes {
		if err := b.tx.put(ctx, c.row, c.env); err != nil {
			return err
		}
	}
	for _, id := range b.remove {
		if err := b.tx.delete(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
