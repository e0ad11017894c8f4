package queue

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"ukai/internal/mail"
)

// rig is a queue on a disk that fails on demand. Its index and its compaction do nothing by themselves.
type rig struct {
	*Embedded
	t    *testing.T
	disk *faultDisk
	dir  string
	opts Options
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, disk: newFaultDisk(), dir: tempDir(t, true)}
	r.opts = Options{lazy: 2 * time.Millisecond, tick: time.Hour, calm: 1, MinFree: 1}
	for _, c := range change {
		c(&r.opts)
	}
	r.start()
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	o := r.opts
	o.disk = r.disk
	q, err := Open(r.dir, o)
	if err != nil {
		r.t.Fatalf("open: %v", err)
	}
	r.Embedded = q
}

// restart closes the queue in order and opens it again.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatalf("close: %v", err)
	}
	r.start()
}

// kill ends the queue as kill -9 does: the index stays where it is, what was written stays written.
func (r *rig) kill() {
	r.t.Helper()
	r.disk = r.disk.killed()
	r.index.mu.Lock()
	r.index.ops, r.index.marks, r.index.filling = nil, nil, false
	r.index.mu.Unlock()
	_ = r.Close()
}

// dropIndex deletes the index of a closed queue.
func (r *rig) dropIndex() {
	r.t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(r.dir + "/index.db" + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Fatal(err)
		}
	}
}

// rebuild opens the queue again without its index.
func (r *rig) rebuild() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatalf("close: %v", err)
	}
	r.dropIndex()
	r.start()
}

func (r *rig) take(n int, rcpts ...string) (mail.ID, error) {
	env := &mail.Envelope{From: "sender@example.org"}
	for _, rc := range rcpts {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: rc})
	}
	d, err := r.Create(env)
	if err != nil {
		return 0, err
	}
	defer d.Abort()
	if _, err := io.WriteString(d, body(n)); err != nil {
		return 0, err
	}
	return env.ID, d.Commit(context.Background(), nil)
}

func body(n int) string { return strings.Repeat("0123456789abcde\n", n/16+1)[:n] }

// commit takes in a message of n octets.
func (r *rig) commit(n int, rcpts ...string) mail.ID {
	r.t.Helper()
	if len(rcpts) == 0 {
		rcpts = []string{"a@one.example"}
	}
	id, err := r.take(n, rcpts...)
	if err != nil {
		r.t.Fatalf("take a message of %d octets: %v", n, err)
	}
	return id
}

func (r *rig) lease() map[Key]*Delivery {
	r.t.Helper()
	ds, err := r.Lease(context.Background(), LeaseQuery{Now: time.Now().Add(time.Minute), Max: 1 << 20})
	if err != nil {
		r.t.Fatalf("lease: %v", err)
	}
	m := make(map[Key]*Delivery)
	for _, d := range ds {
		m[d.Key] = d
	}
	return m
}

// done ends messages; what else was due is put off to tomorrow.
func (r *rig) done(ids ...mail.ID) {
	r.t.Helper()
	ended := make(map[mail.ID]bool)
	for _, id := range ids {
		ended[id] = true
	}
	for k, d := range r.lease() {
		s := Settlement{Key: k, Next: DeliveryState{Attempts: 1, Due: tomorrow, Last: "later"}}
		if ended[k.ID] {
			s.Done = d.Recipients
		}
		if err := r.Settle(s); err != nil {
			r.t.Fatalf("settle: %v", err)
		}
	}
}

var tomorrow = time.Now().Add(24 * time.Hour).Truncate(time.Millisecond).UTC()

// end ends one message that may be put off.
func (r *rig) end(id mail.ID) {
	r.t.Helper()
	if _, err := r.Change(context.Background(), Filter{IDs: []mail.ID{id}}, DeleteOrder, time.Now()); err != nil {
		r.t.Fatalf("delete: %v", err)
	}
}

func (r *rig) flushed() {
	r.t.Helper()
	if err := r.writer.flush(); err != nil {
		r.t.Fatalf("flush: %v", err)
	}
}

// follow brings the index up to date.
func (r *rig) follow() {
	r.t.Helper()
	r.flushed()
	if err := r.index.follow(0); err != nil {
		r.t.Fatalf("index: %v", err)
	}
}

// compacted compacts while the index follows.
func (r *rig) compacted() {
	r.t.Helper()
	r.follow()
	if err := r.compact(); err != nil {
		r.t.Fatalf("compact: %v", err)
	}
}

// compact compacts while the index follows.
func (r *rig) compact() error {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_ = r.index.follow(0)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	return r.keeper.compact()
}

func (r *rig) content(id mail.ID) (string, error) {
	c, err := r.Open(id)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

// has tests that exactly these messages are in the queue, whole.
func (r *rig) has(n int, ids ...mail.ID) {
	r.t.Helper()
	got := r.everyone()
	if len(got) != len(ids) {
		r.t.Fatalf("the queue has %v, want %v", got, ids)
	}
	for i, id := range ids {
		if got[i] != id {
			r.t.Fatalf("the queue has %v, want %v", got, ids)
		}
		if text, err := r.content(id); err != nil || text != body(n) {
			r.t.Errorf("%s has a content of %d octets, %v", id, len(text), err)
		}
	}
}

// segments returns the numbers of the segments' files.
func (r *rig) segments() []uint32 {
	var nos []uint32
	for _, name := range r.disk.find(logDir + "/") {
		if s, ok := parseSegment(strings.TrimPrefix(name, logDir+"/")); ok {
			nos = append(nos, s.no)
		}
	}
	return nos
}

func small(o *Options) { o.segmentSize = 8 << 10 }
