package queue

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"ukai/internal/mail"
)

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func TestAFullDiskRefusesMailAndTakesItAgainWhenThereIsRoom(t *testing.T) {
	for _, room := range []int64{0, 10, 700, 5000} {
		t.Run(fmt.Sprintf("%d octets left", room), func(t *testing.T) {
			r := newRig(t)
			first, second := r.commit(3000), r.commit(3000)
			r.disk.set(func() { r.disk.room = room })
			for range 3 {
				if _, err := r.take(9000, "a@one.example"); !errors.Is(err, ErrFull) {
					t.Fatalf("take: %v, want ErrFull", err)
				}
			}
			r.done(first) // there may be no room for that either: it waits
			if err := r.health.check(); err != nil {
				t.Fatalf("the queue stopped: %v", err)
			}
			r.has(3000, second)
			r.disk.set(func() { r.disk.room = 1 << 30 })
			eventually(t, "mail is taken in", func() bool { _, err := r.take(3000, "a@one.example"); return err == nil })
			r.kill()
			r.dropIndex()
			r.start()
			if got := r.everyone(); len(got) != 2 || got[0] != second {
				t.Errorf("after a restart: %v, want %s and a new one", got, second)
			}
		})
	}
}

func TestAFullDiskRefusesLargeMail(t *testing.T) {
	r := newRig(t, func(o *Options) { o.inline = 1000 })
	keep := r.commit(5000)
	r.disk.set(func() { r.disk.room = 2500 })
	if _, err := r.take(5000, "a@one.example"); !errors.Is(err, ErrFull) {
		t.Errorf("take: %v, want ErrFull", err)
	}
	if n := len(r.disk.find(bigDir + "/")); n != 1 {
		t.Errorf("%d files: the half one is still there", n)
	}
	r.disk.set(func() { r.disk.room = 1 << 30 })
	eventually(t, "large mail is taken in", func() bool { _, err := r.take(5000, "a@one.example"); return err == nil })
	r.rebuild()
	if n := r.Stats().Messages; n != 2 {
		t.Errorf("%d messages, %s was there", n, keep)
	}
}

func TestMailIsRefusedBeforeTheLastOctetIsGone(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MinFree = 1 << 20 })
	id := r.commit(3000)
	r.disk.set(func() { r.disk.free = 1<<20 - 1 })
	time.Sleep(110 * time.Millisecond) // what was asked before is out of date
	if _, err := r.Create(&mail.Envelope{Recipients: []mail.Recipient{{Addr: "a@one.example"}}}); !errors.Is(err, ErrFull) {
		t.Errorf("create: %v, want ErrFull", err)
	}
	r.done(id)
	r.flushed() // what makes room goes on
	r.disk.set(func() { r.disk.free = 1<<20 + 2000 })
	time.Sleep(110 * time.Millisecond)
	if _, err := r.take(9000, "a@one.example"); !errors.Is(err, ErrFull) {
		t.Errorf("more than there is room for: %v, want ErrFull", err)
	}
	r.commit(500)
}

func TestADiskThatDoesNotSayHowMuchIsLeftIsTried(t *testing.T) {
	r := newRig(t)
	r.disk.set(func() {
		r.disk.fail = func(op, _ string) error {
			if op == "free" {
				return syscall.ENOSYS
			}
			return nil
		}
	})
	time.Sleep(110 * time.Millisecond)
	r.commit(100)
}

func TestSettlementsOfAFullDiskAreLostAtMostAsSettlements(t *testing.T) {
	r := newRig(t)
	id := r.commit(100)
	r.disk.set(func() { r.disk.room = 0 })
	r.done(id)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.disk.set(func() { r.disk.room = 1 << 30 })
	r.start()
	r.has(100, id)
}

func TestASegmentThatCannotBeBegunForWantOfRoomIsBegunLater(t *testing.T) {
	r := newRig(t, small)
	r.commit(9000)
	r.disk.set(func() {
		r.disk.fail = func(op, name string) error {
			if op == "create" {
				return syscall.EDQUOT
			}
			return nil
		}
	})
	if _, err := r.take(100, "a@one.example"); !errors.Is(err, ErrFull) {
		t.Errorf("take: %v, want ErrFull", err)
	}
	r.disk.set(func() { r.disk.fail, r.disk.room = nil, 10 })
	eventually(t, "the disk is tried again", func() bool {
		_, err := r.take(100, "a@one.example")
		return errors.Is(err, ErrFull) && r.disk.opCount() > 0 && len(r.segments()) == 1
	})
	r.disk.set(func() { r.disk.room = 1 << 30 })
	eventually(t, "mail is taken in", func() bool { _, err := r.take(100, "a@one.example"); return err == nil })
	r.rebuild()
	if n := r.Stats().Messages; n != 2 {
		t.Errorf("%d messages", n)
	}
}

// After an error of a sync nobody knows what is on the disk. It is never tried again.
func TestAnErrorOfTheDiskEndsTheWork(t *testing.T) {
	for _, c := range []struct {
		op, dir string
		size    int
	}{
		{"sync", logDir, 100}, {"write", logDir, 100}, {"syncdir", logDir, 9000}, {"create", logDir, 9000},
		{"sync", bigDir, 20_000}, {"write", bigDir, 20_000}, {"syncdir", bigDir, 20_000}, {"rename", bigDir, 20_000}, {"create", bigDir, 20_000},
	} {
		t.Run(c.op+" in "+c.dir, func(t *testing.T) {
			r := newRig(t, small, func(o *Options) { o.inline = 10_000 })
			id := r.commit(9000)
			calls := 0
			trouble := errors.New("input/output error")
			r.disk.set(func() {
				r.disk.fail = func(op, name string) error {
					if op == c.op && (dirOf(name) == c.dir) {
						calls++
						return trouble
					}
					return nil
				}
			})
			for range 3 {
				if _, err := r.take(c.size, "a@one.example"); !errors.Is(err, ErrBroken) {
					t.Errorf("take: %v, want ErrBroken", err)
				}
			}
			if calls != 1 {
				t.Errorf("it was tried %d times", calls)
			}
			if s := r.Stats().Broken; s == "" {
				t.Error("the statistics do not say why")
			}
			ctx, now := t.Context(), time.Now()
			_, e1 := r.Create(&mail.Envelope{Recipients: []mail.Recipient{{Addr: "a@one.example"}}})
			_, e2 := r.Embedded.Lease(ctx, LeaseQuery{Now: now, Max: 1})
			_, e3 := r.Open(id)
			_, e4 := r.Get(ctx, id)
			_, e5 := r.List(ctx, Filter{})
			_, e6 := r.Change(ctx, Filter{}, HoldOrder, now)
			_, e7 := r.Release(ctx, "x", now)
			e8 := r.Settle(Settlement{Key: Key{ID: id}})
			for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
				if !errors.Is(err, ErrBroken) {
					t.Errorf("call %d: %v, want ErrBroken", i+1, err)
				}
			}
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			r.disk.set(func() { r.disk.fail = nil })
			r.start()
			if got := r.everyone(); len(got) == 0 || got[0] != id {
				t.Errorf("after a restart: %v", got)
			}
		})
	}
}

func TestAFullDiskWhoseSegmentCannotBeCutBackEndsTheWork(t *testing.T) {
	r := newRig(t)
	r.commit(100)
	r.disk.set(func() {
		r.disk.room = 50
		r.disk.fail = func(op, _ string) error {
			if op == "truncate" {
				return errors.New("trouble")
			}
			return nil
		}
	})
	if _, err := r.take(1000, "a@one.example"); !errors.Is(err, ErrBroken) {
		t.Errorf("take: %v, want ErrBroken", err)
	}
}

func TestADraftThatFailedOnceFailsForGood(t *testing.T) {
	r := newRig(t, func(o *Options) { o.inline = 1000 })
	d, err := r.Create(&mail.Envelope{Recipients: []mail.Recipient{{Addr: "a@one.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	r.disk.set(func() { r.disk.room = 500 })
	_, werr := d.Write([]byte(body(9000)))
	r.disk.set(func() { r.disk.room = 1 << 30 })
	_, again := d.Write([]byte("x"))
	for _, err := range []error{werr, again, d.Commit(t.Context(), nil)} {
		if !errors.Is(err, ErrFull) {
			t.Errorf("%v, want ErrFull", err)
		}
	}
	if n := len(r.disk.find(bigDir)); n != 0 {
		t.Errorf("%d files are left", n)
	}
}
