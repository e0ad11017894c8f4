package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"ukai/internal/mail"
)

// fillBatch is how many messages are written in one go when the index is filled.
const fillBatch = 2000

// isCorrupt tells whether an error of SQLite means that the file is no good (SQLITE_CORRUPT, SQLITE_NOTADB).
func isCorrupt(err error) bool {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		code := coded.Code() & 0xff
		return code == 11 || code == 26
	}
	return errors.Is(err, errMeta)
}

// open opens the database. One that cannot be opened is set aside, and an empty one takes its place.
func (ix *index) open(ctx context.Context) error {
	db, err := openIndexDB(ctx, ix.path)
	if err != nil {
		ix.opts.Log.Warn("the search index cannot be opened: it is set aside and made anew", "err", err)
		if err := setAsideIndex(ix.path, ix.opts.Now()); err != nil {
			return err
		}
		if db, err = openIndexDB(ctx, ix.path); err != nil {
			return err
		}
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.db, ix.filling = db, true
	return nil
}

// renew sets the database aside and begins a new one.
func (ix *index) renew() {
	ix.mu.Lock()
	db := ix.db
	ix.db, ix.filling = nil, true
	ix.mu.Unlock()
	if db != nil {
		_ = db.Close()
	}
	if err := setAsideIndex(ix.path, ix.opts.Now()); err != nil {
		ix.opts.Log.Error("the search index cannot be set aside", "err", err)
		return
	}
	if err := ix.open(context.Background()); err != nil {
		ix.opts.Log.Error("the search index cannot be made anew", "err", err)
	}
}

// setAsideIndex renames a database that is no good.
func setAsideIndex(path string, now time.Time) error {
	name := path + ".bad-" + now.UTC().Format("20060102T150405.000")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, name+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// fill makes the index anew from memory and log, while mail flows. It is complete up to where the log ended when it began:
// what was durable then is in memory, and what came later is among the ops.
func (ix *index) fill(ctx context.Context) error {
	began := time.Now()
	ix.mu.Lock()
	db, start := ix.db, ix.end
	ix.ops, ix.marks = nil, nil
	ix.moved.Broadcast()
	ix.mu.Unlock()
	if err := db.clear(ctx); err != nil {
		return err
	}
	ids := ix.source.everyone()
	count := int64(0)
	for len(ids) > 0 {
		select {
		case <-ix.stop:
			return ErrClosed // the next start begins again
		default:
		}
		part := ids[:min(len(ids), fillBatch)]
		ids = ids[len(part):]
		n, err := ix.fillPart(ctx, db, part)
		if err != nil {
			return err
		}
		count += n
	}
	// A message that is done in memory was left out; that must be durable before the index says that it is complete.
	if err := ix.flushLog(); err != nil {
		return err
	}
	p := position{start, ix.source.salt(start.seg), count, ix.source.newest()}
	tx, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.rollback()
	if err := tx.commit(ctx, &p); err != nil {
		return err
	}
	ix.mu.Lock()
	ix.pos, ix.filling = p, false
	for i := range ix.ops {
		ix.ops[i].fresh = false // it may have been written from memory
	}
	ix.mu.Unlock()
	if count > 0 {
		ix.opts.Log.Info("the search index was made anew", "messages", count, "took", time.Since(began))
	}
	return nil
}

func (ix *index) fillPart(ctx context.Context, db *indexDB, ids []mail.ID) (int64, error) {
	tx, err := db.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.rollback()
	for _, id := range ids {
		r, env, err := ix.source.rowOf(id)
		if err != nil {
			if err = ignoreDamage(err); err != nil {
				return 0, fmt.Errorf("read message for the index: %w", err)
			}
			continue
		}
		if err := tx.put(ctx, r, env); err != nil {
			return 0, err
		}
	}
	return tx.count, tx.commit(ctx, nil)
}

func (ix *index) flushLog() error {
	set := func(on bool) {
		ix.mu.Lock()
		ix.flushing = on
		ix.moved.Broadcast()
		ix.mu.Unlock()
	}
	set(true)
	defer set(false)
	return ix.source.flush()
}

// candidates returns messages behind after, in order, among which are all that f selects up to the last one returned; more
// tells whether others may follow. Messages that the index has not read yet are always among them.
func (ix *index) candidates(ctx context.Context, f *Filter, after mail.ID, limit int) (ids []mail.ID, more bool, err error) {
	ix.mu.Lock()
	db := ix.db
	if ix.filling {
		db = nil
	}
	var young []mail.ID
	for i := range ix.ops { // before the question to the database: what leaves here is there
		if ix.ops[i].kind == kindAdd && ix.ops[i].id > after {
			young = append(young, ix.ops[i].id)
		}
	}
	ix.mu.Unlock()
	if db != nil {
		ids, err = db.candidates(ctx, f, after, limit)
		if cerr := ctx.Err(); cerr != nil {
			return nil, false, cerr
		}
		if err == nil {
			if more = len(ids) == limit; more {
				last := ids[len(ids)-1]
				young = slices.DeleteFunc(young, func(id mail.ID) bool { return id > last })
			}
			ids = append(ids, young...)
			slices.Sort(ids)
			return slices.Compact(ids), more, nil
		}
		ix.opts.Log.Warn("the search index cannot be read: every message is looked at instead", "err", err)
	}
	all := ix.source.everyone()
	from, found := slices.BinarySearch(all, after)
	if found {
		from++
	}
	return all[from:], false, nil
}

// texts returns what the index knows of a message's envelope, if anything.
func (ix *index) texts(ctx context.Context, id mail.ID) (sender, recipients string) {
	ix.mu.Lock()
	db := ix.db
	ix.mu.Unlock()
	if db == nil {
		return "", ""
	}
	sender, recipients, err := db.texts(ctx, id)
	if err != nil {
		return "", "" // a hint less
	}
	return sender, recipients
}
