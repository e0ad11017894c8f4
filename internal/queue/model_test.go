package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/mail"
)

// model is what the queue must hold, kept beside it by the simplest means.
//
// A power cut may take back settlements that were not synced, the last ones first. Therefore a delivery has a row of states,
// from the last that is certain to the current one; after a cut any of them may be the one that is found.
type model struct {
	t    testing.TB
	rng  *rand.Rand
	dir  string
	disk *faultDisk
	q    *Embedded
	now  time.Time

	messages map[mail.ID]*modelMessage
	leased   []*Delivery
	unsynced []*modelDelivery // with more than one possible state
	serial   int
}

type modelMessage struct {
	env     *mail.Envelope
	content string
	certain bool // it was acknowledged
	dels    []*modelDelivery
}

type modelDelivery struct {
	rcpts  []int // all
	states []modelState
}

type modelState struct {
	open  []int // none: done
	state DeliveryState
}

func (d *modelDelivery) current() modelState { return d.states[len(d.states)-1] }

// step appends a state; it is certain only after the next sync.
func (m *model) step(d *modelDelivery, s modelState) {
	d.states = append(d.states, s)
	m.unsynced = append(m.unsynced, d)
}

// synced: all that was settled so far is durable.
func (m *model) synced() {
	for _, d := range m.unsynced {
		d.states = []modelState{d.current()}
	}
	m.unsynced = nil
	for id, msg := range m.messages {
		if msg.done() {
			delete(m.messages, id)
		}
	}
}

func (m *modelMessage) done() bool {
	return !slices.ContainsFunc(m.dels, func(d *modelDelivery) bool { return len(d.current().open) > 0 })
}

// mayBeGone tells whether a cut may leave nothing of a message.
func (m *modelMessage) mayBeGone() bool {
	for _, d := range m.dels {
		if !slices.ContainsFunc(d.states, func(s modelState) bool { return len(s.open) == 0 }) {
			return !m.certain
		}
	}
	return true
}

func newModel(t testing.TB, seed uint64, disk *faultDisk) *model {
	t.Helper()
	m := &model{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), dir: tempDir(t, disk != nil), disk: disk,
		now: time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC(), messages: make(map[mail.ID]*modelMessage),
	}
	m.open()
	return m
}

// tempDir is a directory for a test; in memory, where the machine has such a thing, if nothing in it need survive.
func tempDir(t testing.TB, volatile bool) string {
	t.Helper()
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); !volatile || err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "ukai-queue-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// tiny are options under which everything happens soon: small segments, small inline contents, a hasty index.
func tiny(d disk) Options {
	return Options{
		disk: d, segmentSize: 16 << 10, inline: 3000, lazy: 2 * time.Millisecond, settle: 4 * time.Millisecond, tick: 4 * time.Millisecond, calm: 1,
		MinFree: 1,
	}
}

func (m *model) open() {
	m.t.Helper()
	var d disk
	if m.disk != nil {
		d = m.disk
	}
	q, err := Open(m.dir, tiny(d))
	if err != nil {
		m.t.Fatalf("open: %v", err)
	}
	m.q = q
	m.leased = nil
}

// close closes the queue in order: everything is durable then.
func (m *model) close() {
	m.t.Helper()
	if err := m.q.Close(); err != nil {
		m.t.Fatalf("close: %v", err)
	}
	m.synced()
}

// forgetIndex deletes the index of a closed queue, or damages it.
func (m *model) forgetIndex() {
	m.t.Helper()
	name := filepath.Join(m.dir, "index.db")
	switch m.rng.IntN(3) {
	case 0:
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(name + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				m.t.Fatal(err)
			}
		}
	case 1:
		if err := os.WriteFile(name, []byte("this is no database, and longer than the header of one: "+strings.Repeat("x", 200)), 0o600); err != nil {
			m.t.Fatal(err)
		}
	case 2:
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			m.t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			m.t.Fatal(err)
		}
		for at := int64(4096); at < info.Size(); at += 4096 {
			if _, err := f.WriteAt([]byte("damage"), at); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// draft is a message that is being taken in.
type modelDraft struct {
	env     *mail.Envelope
	head    string
	content string
	err     error
}

func (m *model) newDraft() *modelDraft {
	m.serial++
	env := &mail.Envelope{From: fmt.Sprintf("s%d@example.org", m.serial%7), Account: "shop", Client: mustAddr("192.0.2.7")}
	for i := range 1 + m.rng.IntN(4) {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: fmt.Sprintf("r%d@d%d.example", i, m.rng.IntN(4))})
	}
	size := m.rng.IntN(2000)
	if m.rng.IntN(8) == 0 {
		size += 3000 + m.rng.IntN(9000)
	}
	content := strings.Repeat(fmt.Sprintf("%d,", m.serial), size/len(fmt.Sprintf("%d,", m.serial)))
	return &modelDraft{env: env, content: content, head: fmt.Sprintf("Received: %d\r\n", m.serial)}
}

// commit takes some messages in at once, so that they share groups.
func (m *model) commit(n int) {
	drafts := make([]*modelDraft, n)
	var wg sync.WaitGroup
	for i := range drafts {
		d := m.newDraft()
		drafts[i] = d
		wg.Go(func() { d.err = m.take(d) })
	}
	wg.Wait()
	for _, d := range drafts {
		if d.err == nil {
			// The queue of records is first in, first out: what was settled before is durable, too.
			m.synced()
			break
		}
	}
	for _, d := range drafts {
		if d.env.ID == 0 {
			continue // Create was refused
		}
		msg := &modelMessage{env: d.env, content: d.head + d.content, certain: d.err == nil}
		for _, g := range groups(d.env) {
			msg.dels = append(msg.dels, &modelDelivery{
				rcpts:  g.rcpts,
				states: []modelState{{g.rcpts, DeliveryState{Due: d.env.Accepted}}},
			})
		}
		if d.err == nil || m.q.health.broken.Load() != nil {
			m.messages[d.env.ID] = msg
		}
	}
}

func (m *model) take(d *modelDraft) error {
	w, err := m.q.Create(d.env)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, d.content); err != nil {
		w.Abort()
		return err
	}
	return w.Commit(context.Background(), []byte(d.head))
}

// lease takes due deliveries.
func (m *model) lease(n int) {
	m.t.Helper()
	ds, err := m.q.Lease(context.Background(), LeaseQuery{Now: m.now, Max: n})
	if err != nil {
		if m.broken(err) {
			return
		}
		m.t.Fatalf("lease: %v", err)
	}
	for _, d := range ds {
		msg := m.messages[d.ID]
		if msg == nil || d.N >= len(msg.dels) {
			m.t.Fatalf("leased %v, which the queue should not have", d.Key)
		}
		cur := msg.dels[d.N].current()
		if !slices.Equal(cur.open, d.Recipients) || !reflect.DeepEqual(cur.state, d.State) {
			m.t.Fatalf("leased %v with %v %+v, want %v %+v", d.Key, d.Recipients, d.State, cur.open, cur.state)
		}
		if cur.state.Held || cur.state.Due.After(m.now) {
			m.t.Fatalf("leased %v, which is held or not due: %+v", d.Key, cur.state)
		}
		m.leased = append(m.leased, d)
	}
}

// settle settles some of what is leased.
func (m *model) settle(n int) {
	m.t.Helper()
	for range min(n, len(m.leased)) {
		i := m.rng.IntN(len(m.leased))
		d := m.leased[i]
		m.leased = slices.Delete(m.leased, i, i+1)
		md := m.messages[d.ID].dels[d.N]
		s := Settlement{Key: d.Key, Next: m.state(d.State.Attempts + 1)}
		left := modelState{state: s.Next}
		for _, r := range d.Recipients {
			if m.rng.IntN(3) > 0 {
				s.Done = append(s.Done, r)
			} else {
				left.open = append(left.open, r)
			}
		}
		if err := m.q.Settle(s); err != nil && !m.broken(err) {
			m.t.Fatalf("settle: %v", err)
		}
		m.step(md, left)
	}
}

func (m *model) state(attempts int) DeliveryState {
	s := DeliveryState{Attempts: attempts, Due: m.now.Add(time.Duration(m.rng.IntN(3)) * time.Minute), Last: "451 later"}
	switch m.rng.IntN(6) {
	case 0:
		s.Held = true
	case 1:
		s.Tag = fmt.Sprintf("path:%d", m.rng.IntN(2))
	case 2:
		s.Warned = true
	}
	return s
}

// broken tells whether an error is what a queue without power says.
func (m *model) broken(err error) bool {
	return m.disk != nil && (errors.Is(err, ErrBroken) || errors.Is(err, errPower))
}

func (m *model) isLeased(k Key) bool {
	return slices.ContainsFunc(m.leased, func(d *Delivery) bool { return d.Key == k })
}

// order gives an order to the deliveries of one domain that are not leased.
func (m *model) order() {
	m.t.Helper()
	domain := fmt.Sprintf("d%d.example", m.rng.IntN(4))
	if slices.ContainsFunc(m.leased, func(d *Delivery) bool { return d.Domain == domain }) {
		return
	}
	o := []Order{HoldOrder, ReleaseOrder, RetryOrder, DeleteOrder}[m.rng.IntN(4)]
	want := 0
	for _, msg := range m.messages {
		for n, d := range msg.dels {
			if groups(msg.env)[n].domain != domain || len(d.current().open) == 0 {
				continue
			}
			want++
			s := d.current()
			if o.amend(&s.state, m.now); o == DeleteOrder {
				s.open = nil
			}
			m.step(d, s)
		}
	}
	got, err := m.q.Change(context.Background(), Filter{Domain: domain}, o, m.now)
	switch {
	case err != nil && !m.broken(err):
		m.t.Fatalf("%s: %v", o, err)
	case err == nil && got != want:
		m.t.Fatalf("%s changed %d messages, want %d", o, got, want)
	case err == nil && got > 0:
		m.synced()
	}
}

// release releases a tag.
func (m *model) release() {
	m.t.Helper()
	tag := fmt.Sprintf("path:%d", m.rng.IntN(2))
	want := 0
	for _, msg := range m.messages {
		for n, d := range msg.dels {
			if s := d.current(); len(s.open) > 0 && s.state.Tag == tag && !m.isLeased(Key{msg.env.ID, n}) {
				want++
				RetryOrder.amend(&s.state, m.now)
				m.step(d, s)
			}
		}
	}
	got, err := m.q.Release(context.Background(), tag, m.now)
	if err != nil && !m.broken(err) || err == nil && got != want {
		m.t.Fatalf("released %d, %v; want %d", got, err, want)
	}
}

// act does something.
func (m *model) act() {
	m.t.Helper()
	switch m.rng.IntN(12) {
	case 0, 1, 2:
		m.commit(1 + m.rng.IntN(4))
	case 3, 4, 5:
		m.lease(1 + m.rng.IntN(8))
	case 6, 7, 8, 9:
		m.settle(1 + m.rng.IntN(5))
	case 10:
		m.order()
	case 11:
		m.release()
		m.now = m.now.Add(time.Duration(m.rng.IntN(60)) * time.Second)
	}
}

// check compares the queue with the model. After a cut, what is found becomes what is certain.
func (m *model) check(cut bool) {
	m.t.Helper()
	list, err := m.q.List(context.Background(), Filter{Limit: 1 << 30})
	if err != nil {
		m.t.Fatalf("list: %v", err)
	}
	found := make(map[mail.ID]bool)
	for _, got := range list {
		id := got.Envelope.ID
		found[id] = true
		msg := m.messages[id]
		if msg == nil {
			m.t.Fatalf("%s is in the queue, and should not be", id)
		}
		if !reflect.DeepEqual(got.Envelope, msg.env) {
			m.t.Fatalf("the envelope of %s is %+v, want %+v", id, got.Envelope, msg.env)
		}
		if text, err := m.read(id); err != nil || text != msg.content {
			m.t.Fatalf("the content of %s is wrong: %d octets, want %d: %v", id, len(text), len(msg.content), err)
		}
		msg.certain = true
		m.checkDeliveries(got, msg, cut)
	}
	for id, msg := range m.messages {
		switch {
		case found[id]:
		case cut && msg.mayBeGone(), !cut && msg.done():
			delete(m.messages, id)
		default:
			m.t.Fatalf("%s is lost", id)
		}
	}
	if n := m.q.Stats().SetAside; n != 0 {
		m.t.Fatalf("%d were set aside", n)
	}
	if cut {
		m.unsynced = nil
	}
}

func (m *model) checkDeliveries(got *Message, msg *modelMessage, cut bool) {
	m.t.Helper()
	for n, md := range msg.dels {
		var have modelState
		for _, d := range got.Deliveries {
			if d.N == n {
				have = modelState{d.Recipients, d.State}
			}
		}
		possible := md.states[len(md.states)-1:]
		if cut {
			possible = md.states
		}
		i := slices.IndexFunc(possible, func(s modelState) bool {
			if len(s.open) == 0 {
				return len(have.open) == 0
			}
			return slices.Equal(s.open, have.open) && reflect.DeepEqual(s.state, have.state)
		})
		if i < 0 {
			m.t.Fatalf("delivery %d of %s is %+v, want one of %+v", n, msg.env.ID, have, possible)
		}
		if cut {
			md.states = []modelState{possible[i]}
		}
	}
}

func (m *model) read(id mail.ID) (string, error) {
	r, err := m.q.Open(id)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}
