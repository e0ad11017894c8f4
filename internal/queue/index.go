package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"ukai/internal/mail"
)

// op is a record that the index has not read yet.
type op struct {
	id    mail.ID
	at    pos
	size  uint32
	n     uint16
	kind  kind
	fresh bool // kindAdd: the message is new, the index cannot have it
}

// mark says that all records before end are among the first ops.
type mark struct {
	ops int
	end pos
	at  time.Time
}

// maxOps bounds the ops in memory, and with them the time that a start needs to read what the index has missed.
const maxOps = 1 << 20

// index follows the log at a distance. What is done before the index comes to it, half a second later, never touches the
// database: at full speed that is nearly all mail. After a crash the log is read from where the index stood.
type index struct {
	path string
	opts *Options
	// The rest of the house, as far as the index needs it.
	source indexSource

	mu    sync.Mutex // guards the fields below
	db    *indexDB   // nil: none could be opened
	ops   []op
	marks []mark
	pos   position // durable in the database
	end   pos      // of the log
	// filling: the database is not complete, searches go without it.
	filling  bool
	failing  bool       // it could not be written the last time
	flushing bool       // it waits for the log, which must not wait for it
	moved    *sync.Cond // ops, failing or flushing changed

	stop chan struct{}
	done chan struct{}
}

// indexSource is what the index asks for.
type indexSource interface {
	// readAdd and readState read records. errDamaged means that the message is being set aside.
	readAdd(id mail.ID, at pos, size uint32) (*mail.Envelope, content, error)
	readState(k Key, at pos, size uint32) (*state, error)
	salt(segment uint32) uint64
	// newest is the largest identifier that was ever in the log.
	newest() mail.ID
	// everyone lists the messages, rowOf makes the row of one; nil if it has gone.
	everyone() []mail.ID
	rowOf(id mail.ID) (*row, *mail.Envelope, error)
	// flush waits until everything that memory knows is durable.
	flush() error
}

func newIndex(path string, opts *Options, source indexSource) *index {
	ix := &index{path: path, opts: opts, source: source, stop: make(chan struct{}), done: make(chan struct{})}
	ix.moved = sync.NewCond(&ix.mu)
	return ix
}

// feed tells of durable records. The caller waits when the index is too far behind, unless it is in trouble: then it will
// be filled anew.
func (ix *index) feed(group []*entry, end pos, now time.Time) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for len(ix.ops) >= maxOps && !ix.failing && !ix.flushing {
		ix.moved.Wait()
	}
	if len(ix.ops) >= maxOps && ix.failing {
		ix.ops, ix.marks, ix.filling = nil, nil, true
	}
	for _, en := range group {
		if en.kind == kindAdd || en.kind == kindState || en.kind == kindDone {
			ix.ops = append(ix.ops, op{
				id: en.key.ID, at: en.at, size: uint32(en.size()), n: uint16(en.key.N), kind: en.kind,
				fresh: en.kind == kindAdd && en.from == pos{},
			})
		}
	}
	ix.end = end
	ix.marks = append(ix.marks, mark{len(ix.ops), end, now})
}

// lag is how far the index is behind the log.
func (ix *index) lag(now time.Time) time.Duration {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if len(ix.marks) == 0 {
		return 0
	}
	return max(now.Sub(ix.marks[0].at), 0)
}

// position is up to where the index is durable; ok is false while it is being filled.
func (ix *index) position() (p pos, ok bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.pos.at, !ix.filling && ix.db != nil
}

// logEnd is up to where the index was told of the log.
func (ix *index) logEnd() pos {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.end
}

func (ix *index) run() {
	defer close(ix.done)
	tick := time.NewTicker(ix.opts.tick)
	defer tick.Stop()
	wait := 0 // ticks to leave out after a failure
	for {
		select {
		case <-ix.stop:
			_ = ix.follow(0) // it has said why; the next start reads the log from where this one stood
			return
		case <-tick.C:
		}
		if wait > 0 {
			wait--
			continue
		}
		if err := ix.follow(ix.opts.settle); err != nil {
			wait = 20
		}
	}
}

// follow brings the index up to what is older than age.
func (ix *index) follow(age time.Duration) error {
	ix.setFailing(false)
	err := ix.followed(age)
	if err != nil && !errors.Is(err, ErrBroken) && !errors.Is(err, ErrClosed) {
		ix.opts.Log.Error("the search index cannot be written; mail flows on, searching is slower", "err", err)
		if isCorrupt(err) {
			ix.renew()
		}
	}
	ix.setFailing(err != nil)
	return err
}

func (ix *index) setFailing(on bool) {
	ix.mu.Lock()
	ix.failing = on
	ix.moved.Broadcast()
	ix.mu.Unlock()
}

func (ix *index) followed(age time.Duration) error {
	ctx := context.Background()
	ix.mu.Lock()
	filling, db := ix.filling, ix.db
	ix.mu.Unlock()
	if db == nil {
		return ix.open(ctx)
	}
	if filling {
		if err := ix.fill(ctx); err != nil {
			return err
		}
	}
	ops, rest, end := ix.due(ix.opts.Now().Add(-age))
	if end == (pos{}) {
		return nil
	}
	if err := ix.write(ctx, ops, rest, end); err != nil {
		return err
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.forgetLocked(end)
	return nil
}

// due returns the ops of groups that were durable by a time, those behind them, and where the log ended then.
func (ix *index) due(by time.Time) (ops, rest []op, end pos) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	n := 0
	for _, m := range ix.marks {
		if m.at.After(by) {
			break
		}
		n, end = m.ops, m.end
	}
	return ix.ops[:n:n], ix.ops[n:len(ix.ops):len(ix.ops)], end
}

// forgetLocked drops the ops of groups up to end.
func (ix *index) forgetLocked(end pos) {
	gone, kept := 0, ix.marks[:0]
	for _, m := range ix.marks {
		if !end.before(m.end) {
			gone = m.ops
			continue
		}
		kept = append(kept, m)
	}
	for i := range kept {
		kept[i].ops -= gone
	}
	ix.marks = kept
	ix.ops = append([]op(nil), ix.ops[gone:]...) // not in place: a search may be reading them
}

func (ix *index) close() error {
	close(ix.stop)
	<-ix.done
	return ix.closeDB()
}

func (ix *index) closeDB() error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.db == nil {
		return nil
	}
	return ix.db.Close()
}
