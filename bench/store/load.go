package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/mail"
	"ukai/internal/queue"
)

// load is what works on the queue.
type load struct {
	plan  *plan
	store queue.Store
	text  []byte
	room  chan struct{} // one for each message in the queue

	ending  atomic.Bool
	done    atomic.Int64
	acks    []time.Duration // of one submitter in four
	mu      sync.Mutex      // guards acks and err
	err     error
	ready   chan *queue.Delivery
	waiting chan struct{}
}

func newLoad(p *plan, s queue.Store) *load {
	text := make([]byte, p.Size+1<<16)
	for i := range text {
		text[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[rand.IntN(64)]
		if i%78 == 77 {
			text[i] = '\n'
		}
	}
	return &load{
		plan: p, store: s, text: text, room: make(chan struct{}, p.Inside),
		ready: make(chan *queue.Delivery, 256), waiting: make(chan struct{}, 1),
	}
}

// envelope is like a shop's: one to three recipients, often at the same large domains.
func envelope(n int) *mail.Envelope {
	env := &mail.Envelope{
		From:   fmt.Sprintf("bounce+%d@shop%d.example.org", n, n%50),
		Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), Helo: "app1.shop.example.org", Account: "shop",
		MessageID: fmt.Sprintf("%d.20190415090000@shop.example.org", n), FromHdr: "shop.example.org", DKIM: []string{"shop.example.org"},
	}
	for i := range 1 + n%7/5 {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: fmt.Sprintf("customer%d.%d@d%d.example", n, i, n%500)})
	}
	return env
}

// commit takes one message in. Its content carries its own checksum.
func (l *load) commit(ctx context.Context, n int, buf []byte) error {
	d, err := l.store.Create(envelope(n))
	if err != nil {
		return err
	}
	copy(buf[4:], l.text[n%(1<<16):][:len(buf)-4])
	binary.LittleEndian.PutUint32(buf, crc32.ChecksumIEEE(buf[4:]))
	if _, err := d.Write(buf); err != nil {
		return err
	}
	return d.Commit(ctx, nil)
}

// fill puts the backlog in, each message deferred to tomorrow.
func (l *load) fill() (float64, error) {
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	ctx := context.Background()
	for range l.plan.Submitters {
		wg.Go(func() {
			buf := make([]byte, l.plan.Size)
			for n := next.Add(1); n <= int64(l.plan.Backlog); n = next.Add(1) {
				if err := l.commit(ctx, int(n), buf); err != nil {
					l.fail(err)
					return
				}
			}
		})
	}
	filled := make(chan struct{})
	go func() { wg.Wait(); close(filled) }()
	for done := false; !done; {
		select {
		case <-filled:
			done = true
		case <-l.store.Wake():
		}
		if err := l.postpone(ctx); err != nil {
			return 0, err
		}
	}
	if err := l.failure(); err != nil {
		return 0, err
	}
	rate := float64(l.plan.Backlog) / time.Since(began).Seconds()
	for l.store.Stats().IndexLag > 0 {
		time.Sleep(100 * time.Millisecond)
	}
	return rate, nil
}

// postpone defers everything that is due to tomorrow.
func (l *load) postpone(ctx context.Context) error {
	for {
		ds, err := l.store.Lease(ctx, queue.LeaseQuery{Now: time.Now(), Max: 1000})
		if err != nil || len(ds) == 0 {
			return err
		}
		for _, d := range ds {
			next := queue.DeliveryState{Attempts: 1, Due: time.Now().Add(24 * time.Hour), Last: "451 4.7.1 try again later"}
			if err := l.store.Settle(queue.Settlement{Key: d.Key, Next: next}); err != nil {
				return err
			}
		}
	}
}

// run measures.
func (l *load) run(r *result) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var in, out sync.WaitGroup
	for i := range l.plan.Submitters {
		in.Go(func() { l.submit(ctx, i) })
	}
	out.Go(func() { l.lease(ctx) })
	for range l.plan.Deliverers {
		out.Go(func() { l.deliver() })
	}
	time.Sleep(l.plan.Warm)
	l.mu.Lock()
	l.acks = l.acks[:0]
	l.mu.Unlock()
	before, st, cpu, began := l.done.Load(), l.store.Stats(), used(), time.Now()
	time.Sleep(l.plan.Time)
	n := float64(l.done.Load() - before)
	after, took := l.store.Stats(), time.Since(began)
	r.Rate = n / took.Seconds()
	r.CPU = float64((used() - cpu).Microseconds()) / n
	r.Group = float64(after.Commits-st.Commits) / max(float64(after.Syncs-st.Syncs), 1)
	r.Syncs = float64(after.Syncs-st.Syncs) / took.Seconds()
	r.Resident = resident()
	l.mu.Lock()
	r.acks(l.acks)
	l.mu.Unlock()
	l.ending.Store(true)
	in.Wait()
	for len(l.room) > 0 && l.failure() == nil {
		time.Sleep(time.Millisecond)
	}
	cancel()
	out.Wait()
	return l.failure()
}

func (l *load) submit(ctx context.Context, who int) {
	buf := make([]byte, l.plan.Size)
	for n := who; !l.ending.Load() && l.failure() == nil; n += l.plan.Submitters {
		l.room <- struct{}{}
		began := time.Now()
		if err := l.commit(ctx, n, buf); err != nil {
			l.fail(err)
			return
		}
		if who%4 == 0 {
			l.mu.Lock()
			l.acks = append(l.acks, time.Since(began))
			l.mu.Unlock()
		}
	}
}

// lease hands due deliveries to the deliverers.
func (l *load) lease(ctx context.Context) {
	defer close(l.ready)
	for {
		ds, err := l.store.Lease(ctx, queue.LeaseQuery{Now: time.Now(), Max: 64})
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				l.fail(err)
			}
			return
		}
		for _, d := range ds {
			l.ready <- d
		}
		if len(ds) > 0 {
			continue
		}
		select {
		case <-l.store.Wake():
		case <-ctx.Done():
			return
		}
	}
}

func (l *load) deliver() {
	buf := make([]byte, l.plan.Size)
	for d := range l.ready {
		if err := l.deliverOne(d, buf); err != nil {
			l.fail(err)
		}
	}
}

func (l *load) deliverOne(d *queue.Delivery, buf []byte) error {
	r, err := l.store.Open(d.ID)
	if err != nil {
		return fmt.Errorf("open %s: %w", d.ID, err)
	}
	_, err = io.ReadFull(r, buf)
	r.Close()
	if err != nil {
		return fmt.Errorf("read %s: %w", d.ID, err)
	}
	if binary.LittleEndian.Uint32(buf) != crc32.ChecksumIEEE(buf[4:]) {
		return fmt.Errorf("%s is not what was taken in", d.ID)
	}
	s := queue.Settlement{Key: d.Key, Done: d.Recipients}
	if d.State.Attempts < 3 && int(uint64(d.ID)*2654435761>>8%100) < l.plan.Defer {
		s.Done = nil
		s.Next = queue.DeliveryState{
			Attempts: d.State.Attempts + 1, Due: time.Now().Add(time.Duration(200+rand.IntN(200)) * time.Millisecond),
			Last: "451 4.7.1 greylisted, try again later",
		}
	}
	if err := l.store.Settle(s); err != nil {
		return err
	}
	if s.Done != nil {
		l.done.Add(1)
		<-l.room
	}
	return nil
}

// search times a search by sender over the backlog.
func (l *load) search() (time.Duration, error) {
	began := time.Now()
	_, err := l.store.List(context.Background(), queue.Filter{Sender: "bounce+77@shop27.example.org"})
	return time.Since(began), err
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

func (l *load) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
