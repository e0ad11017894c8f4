// Package storetest is what every queue.Store promises, as tests. An engine that passes them can be put in the place of
// another without anybody noticing.
//
// The tests know nothing of an engine but how to open it and how to open it again. What needs more (a power cut, a full or
// broken disk) is tested beside the engine.
package storetest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"ukai/internal/mail"
	"ukai/internal/queue"
)

// Open returns a new, empty store.
type Open func(t *testing.T) queue.Store

// Reopen closes a store and opens its data again, as a restart does.
type Reopen func(t *testing.T, s queue.Store) queue.Store

// Run runs all tests.
func Run(t *testing.T, open Open, reopen Reopen) {
	for _, part := range [][]test{taking, leasing, settling, asking, ordering, restarting} {
		for _, c := range part {
			t.Run(c.name, func(t *testing.T) {
				b := &bench{T: t, Store: open(t), reopen: reopen}
				t.Cleanup(func() { _ = b.Close() })
				c.run(b)
			})
		}
	}
}

// test is one promise; its name is the sentence.
type test struct {
	name string
	run  func(b *bench)
}

// bench is a store on the bench, with what the tests do to it again and again.
type bench struct {
	*testing.T
	queue.Store
	reopen Reopen
}

// restart opens the store again.
func (b *bench) restart() {
	b.Helper()
	b.Store = b.reopen(b.T, b.Store)
}

// Open is the store's, not the test's.
func (b *bench) content(id mail.ID) string {
	b.Helper()
	r, err := b.Store.Open(id)
	if err != nil {
		b.Fatalf("open %s: %v", id, err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		b.Fatalf("read %s: %v", id, err)
	}
	return string(got)
}

// envelope makes an envelope to some recipients.
func envelope(rcpts ...string) *mail.Envelope {
	env := &mail.Envelope{From: "sender@example.org", Account: "shop"}
	for _, r := range rcpts {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: r})
	}
	return env
}

// put takes a message in.
func (b *bench) put(env *mail.Envelope, head, body string) mail.ID {
	b.Helper()
	d, err := b.Create(env)
	if err != nil {
		b.Fatalf("create: %v", err)
	}
	if _, err := io.WriteString(d, body); err != nil {
		b.Fatalf("write: %v", err)
	}
	if err := d.Commit(context.Background(), []byte(head)); err != nil {
		b.Fatalf("commit: %v", err)
	}
	return env.ID
}

// send takes a small message in.
func (b *bench) send(rcpts ...string) mail.ID {
	b.Helper()
	return b.put(envelope(rcpts...), "", "Subject: hello\r\n\r\nhello\r\n")
}

// soon is a time at which everything that was just taken in is due.
func soon() time.Time { return time.Now().Add(time.Minute) }

// at is soon, to the millisecond: what a store keeps.
func at(d time.Duration) time.Time { return soon().Add(d).UTC().Truncate(time.Millisecond) }

// lease takes up to n deliveries.
func (b *bench) lease(n int) []*queue.Delivery {
	b.Helper()
	return b.leaseAs(queue.LeaseQuery{Now: soon(), Max: n})
}

func (b *bench) leaseAs(q queue.LeaseQuery) []*queue.Delivery {
	b.Helper()
	ds, err := b.Lease(context.Background(), q)
	if err != nil {
		b.Fatalf("lease: %v", err)
	}
	if len(ds) > q.Max {
		b.Fatalf("leased %d deliveries, asked for %d", len(ds), q.Max)
	}
	return ds
}

// one leases the only delivery that is due.
func (b *bench) one() *queue.Delivery {
	b.Helper()
	ds := b.lease(10)
	if len(ds) != 1 {
		b.Fatalf("leased %d deliveries, want 1", len(ds))
	}
	return ds[0]
}

// none tests that nothing is due.
func (b *bench) none() {
	b.Helper()
	if ds := b.lease(10); len(ds) != 0 {
		b.Fatalf("leased %d deliveries (the first is %v), want none", len(ds), ds[0].Key)
	}
}

// settle settles a delivery: done recipients, and the state of the others.
func (b *bench) settle(d *queue.Delivery, next queue.DeliveryState, done ...int) {
	b.Helper()
	if err := b.Settle(queue.Settlement{Key: d.Key, Done: done, Next: next}); err != nil {
		b.Fatalf("settle %v: %v", d.Key, err)
	}
}

// finish settles a delivery with all its recipients done.
func (b *bench) finish(d *queue.Delivery) {
	b.Helper()
	b.settle(d, queue.DeliveryState{}, d.Recipients...)
}

// message gets a message.
func (b *bench) message(id mail.ID) *queue.Message {
	b.Helper()
	m, err := b.Get(context.Background(), id)
	if err != nil {
		b.Fatalf("get %s: %v", id, err)
	}
	return m
}

// list lists the messages that f selects.
func (b *bench) list(f queue.Filter) []mail.ID {
	b.Helper()
	ms, err := b.List(context.Background(), f)
	if err != nil {
		b.Fatalf("list: %v", err)
	}
	ids := []mail.ID{}
	for _, m := range ms {
		ids = append(ids, m.Envelope.ID)
	}
	return ids
}

// change gives an order.
func (b *bench) change(f queue.Filter, o queue.Order) int {
	b.Helper()
	n, err := b.Change(context.Background(), f, o, time.Now())
	if err != nil {
		b.Fatalf("%s: %v", o, err)
	}
	return n
}

// want fails unless got is what is wanted.
func want[T comparable](b *bench, what string, got, wanted T) {
	b.Helper()
	if got != wanted {
		b.Errorf("%s is %v, want %v", what, got, wanted)
	}
}

func wantAll[T comparable](b *bench, what string, got []T, wanted ...T) {
	b.Helper()
	if !slices.Equal(got, wanted) {
		b.Errorf("%s: %v, want %v", what, got, wanted)
	}
}

// woken waits for the store to say that something may be due.
func (b *bench) woken() {
	b.Helper()
	select {
	case <-b.Wake():
	case <-time.After(10 * time.Second):
		b.Fatal("nothing woke up the caller in 10 s")
	}
}

// calm takes a wake-up that is already there.
func (b *bench) calm() {
	select {
	case <-b.Wake():
	default:
	}
}

// text returns n octets that do not repeat.
func text(n int) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		b.WriteString("line ")
		for k := i; ; k /= 10 {
			b.WriteByte(byte('0' + k%10))
			if k < 10 {
				break
			}
		}
		b.WriteString("\r\n")
	}
	return b.String()[:n]
}
