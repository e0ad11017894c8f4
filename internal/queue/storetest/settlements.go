package storetest

import (
	"errors"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"ukai/internal/queue"
)

var settling = []test{
	{"a delivery whose recipients are done is gone", func(b *bench) {
		id := b.send("a@one.example", "b@one.example")
		b.finish(b.one())
		b.none()
		if _, err := b.Get(b.Context(), id); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("get: %v, want ErrNotFound", err)
		}
		want(b, "messages", b.Stats().Messages, 0)
	}},
	{"a message is there until its last delivery is done", func(b *bench) {
		id := b.send("a@one.example", "b@two.example")
		ds := b.lease(2)
		b.finish(ds[0])
		m := b.message(id)
		if len(m.Deliveries) != 1 || m.Deliveries[0].Domain != ds[1].Domain {
			b.Errorf("%d deliveries are left", len(m.Deliveries))
		}
		want(b, "content", b.content(id), "Subject: hello\r\n\r\nhello\r\n")
		b.finish(ds[1])
		want(b, "messages", b.Stats().Messages, 0)
	}},
	{"recipients that are left are tried again, the others are not", func(b *bench) {
		b.send("a@one.example", "b@one.example", "c@one.example", "d@one.example")
		d := b.one()
		b.settle(d, queue.DeliveryState{Attempts: 1, Due: at(0)}, 1, 3)
		d = b.leaseAs(queue.LeaseQuery{Now: at(time.Hour), Max: 1})[0]
		wantAll(b, "left", d.Recipients, 0, 2)
		b.settle(d, queue.DeliveryState{Attempts: 2, Due: at(0)}, 2)
		d = b.leaseAs(queue.LeaseQuery{Now: at(time.Hour), Max: 1})[0]
		wantAll(b, "left", d.Recipients, 0)
	}},
	{"the state of a delivery comes back as it was settled", func(b *bench) {
		id := b.send("a@one.example")
		s := queue.DeliveryState{Attempts: 3, Due: at(time.Hour), Warned: true, Tag: "path:google", Last: "451 4.7.1 später"}
		b.settle(b.one(), s)
		for range 2 {
			if got := b.message(id).Deliveries[0].State; !reflect.DeepEqual(got, s) {
				b.Errorf("the state is %+v, want %+v", got, s)
			}
			b.restart()
		}
		d := b.leaseAs(queue.LeaseQuery{Now: at(2 * time.Hour), Max: 1})[0]
		if !reflect.DeepEqual(d.State, s) {
			b.Errorf("leased with %+v, want %+v", d.State, s)
		}
	}},
	{"of the last reply at most 500 octets are kept, in whole characters", func(b *bench) {
		id := b.send("a@one.example")
		b.settle(b.one(), queue.DeliveryState{Due: at(time.Hour), Last: strings.Repeat("迂回", 200)})
		last := b.message(id).Deliveries[0].State.Last
		if len(last) > 500 || len(last) < 490 || !utf8.ValidString(last) {
			b.Errorf("%d octets were kept, valid: %v", len(last), utf8.ValidString(last))
		}
	}},
	{"what is not leased cannot be settled", func(b *bench) {
		id := b.send("a@one.example")
		if err := b.Settle(queue.Settlement{Key: queue.Key{ID: id}, Done: []int{0}}); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("never leased: %v, want ErrNotFound", err)
		}
		d := b.one()
		b.settle(d, queue.DeliveryState{Due: at(time.Hour)})
		if err := b.Settle(queue.Settlement{Key: d.Key, Done: []int{0}}); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("settled twice: %v, want ErrNotFound", err)
		}
		if err := b.Settle(queue.Settlement{Key: queue.Key{ID: id, N: 7}}); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("no such delivery: %v, want ErrNotFound", err)
		}
		want(b, "messages", b.Stats().Messages, 1)
	}},
	{"a caller may do as he likes with the recipients he was given", func(b *bench) {
		b.send("a@one.example", "b@one.example")
		d := b.one()
		d.Recipients[0], d.Recipients[1] = 9, 9
		b.settle(d, queue.DeliveryState{Due: at(0)}, 0)
		d = b.leaseAs(queue.LeaseQuery{Now: at(time.Hour), Max: 1})[0]
		wantAll(b, "left", d.Recipients, 1)
	}},
	{"recipients that are not open can be settled without harm", func(b *bench) {
		b.send("a@one.example", "b@one.example", "c@two.example")
		for _, d := range b.lease(2) {
			if d.Domain == "one.example" {
				b.settle(d, queue.DeliveryState{Due: at(0)}, 2, 99, -1, 0)
			}
		}
		d := b.leaseAs(queue.LeaseQuery{Now: at(time.Hour), Max: 5})
		if len(d) != 1 || len(d[0].Recipients) != 1 || d[0].Recipients[0] != 1 {
			b.Errorf("%d deliveries are due", len(d))
		}
	}},
	{"the deliveries of a message go their own ways", func(b *bench) {
		id := b.send("a@one.example", "b@two.example", "c@three.example")
		for _, d := range b.lease(3) {
			switch d.Domain {
			case "one.example":
				b.finish(d)
			case "two.example":
				b.settle(d, queue.DeliveryState{Attempts: 1, Due: at(time.Hour)})
			case "three.example":
				b.settle(d, queue.DeliveryState{Attempts: 1, Held: true})
			}
		}
		b.restart()
		m := b.message(id)
		if len(m.Deliveries) != 2 {
			b.Fatalf("%d deliveries are left", len(m.Deliveries))
		}
		ds := b.leaseAs(queue.LeaseQuery{Now: at(2 * time.Hour), Max: 5})
		if len(ds) != 1 || ds[0].Domain != "two.example" {
			b.Errorf("%d deliveries are due", len(ds))
		}
	}},
}

var restarting = []test{
	{"what was queued, deferred, held and leased is there after a restart", func(b *bench) {
		ids := []any{b.send("queued@one.example"), b.send("deferred@two.example"), b.send("held@three.example"), b.send("leased@four.example")}
		for _, d := range b.lease(4) {
			switch d.Domain {
			case "two.example":
				b.settle(d, queue.DeliveryState{Attempts: 1, Due: at(time.Hour)})
			case "three.example":
				b.settle(d, queue.DeliveryState{Attempts: 1, Due: at(0), Held: true})
			}
		}
		b.restart()
		want(b, "messages", b.Stats().Messages, len(ids))
		want(b, "held", b.Stats().Held, 1)
		want(b, "leased", b.Stats().Leased, 0)
		domains := make(map[string]bool)
		for _, d := range b.lease(5) {
			domains[d.Domain] = true
		}
		if !reflect.DeepEqual(domains, map[string]bool{"one.example": true, "four.example": true}) {
			b.Errorf("due after a restart: %v", domains)
		}
	}},
	{"what was done stays done after many restarts", func(b *bench) {
		for round := range 5 {
			for range 10 {
				b.put(envelope("a@one.example"), "", text(round*100_000))
			}
			ds := b.lease(10)
			want(b, "leased", len(ds), 10)
			for _, d := range ds {
				b.finish(d)
			}
			b.restart()
			b.none()
			want(b, "messages", b.Stats().Messages, 0)
		}
	}},
	{"contents are the same after a restart", func(b *bench) {
		small, large := b.put(envelope("a@one.example"), "H: s\r\n", text(5000)), b.put(envelope("a@one.example"), "H: l\r\n", text(1_000_000))
		b.restart()
		if b.content(small) != "H: s\r\n"+text(5000) || b.content(large) != "H: l\r\n"+text(1_000_000) {
			b.Error("they changed")
		}
	}},
	{"what is due wakes the caller after a restart", func(b *bench) {
		b.send("a@one.example")
		b.restart()
		b.woken()
		b.one()
	}},
}
