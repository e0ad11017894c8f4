package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"ukai/internal/mail"
	"ukai/internal/queue"
)

// full is an envelope with every field set.
func full() *mail.Envelope {
	return &mail.Envelope{
		From: "Büro@example.org",
		Recipients: []mail.Recipient{
			{Addr: "a@one.example", Notify: mail.NotifySuccess | mail.NotifyDelay, ORcpt: "rfc822;a+b@one.example"},
			{Addr: "ä@two.example", Notify: mail.NotifyNever},
		},
		EightBit: true, UTF8: true, RequireTLS: true, Ret: "HDRS", EnvID: "QQ314159",
		Client: netip.MustParseAddr("2001:db8::25"), Helo: "client.example.org", Account: "büro", MessageID: "x@example.org",
		FromHdr: "example.org", Class: mail.Bulk, DKIM: []string{"example.org", "example.net"},
	}
}

var taking = []test{
	{"content comes back with the head before it, of every size", func(b *bench) {
		for _, n := range []int{0, 1, 4095, 16 << 10, 16<<10 + 1, 100_000, 256 << 10, 256<<10 + 1, 3 << 20} {
			for _, head := range []string{"", "Received: from here\r\n"} {
				env := envelope("a@one.example")
				body := text(n)
				id := b.put(env, head, body)
				want(b, fmt.Sprintf("size of the envelope, %d octets", n), env.Size, int64(len(head)+n))
				if got := b.content(id); got != head+body {
					b.Errorf("%d octets with a head of %d came back as %d others", n, len(head), len(got))
				}
			}
		}
	}},
	{"content written in small pieces comes back whole", func(b *bench) {
		d, err := b.Create(envelope("a@one.example"))
		if err != nil {
			b.Fatal(err)
		}
		body := text(700_000)
		for rest := body; rest != ""; {
			n := min(len(rest), 7001)
			if _, err := io.WriteString(d, rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := d.Commit(context.Background(), []byte("A: b\r\n")); err != nil {
			b.Fatal(err)
		}
		if got := b.content(b.list(queue.Filter{})[0]); got != "A: b\r\n"+body {
			b.Error("it is not the content that was written")
		}
	}},
	{"every field of an envelope comes back, also after a restart", func(b *bench) {
		env := full()
		id := b.put(env, "", "x")
		for range 2 {
			got := b.message(id).Envelope
			if !reflect.DeepEqual(got, env) {
				b.Errorf("the envelope is\n%+v, want\n%+v", got, env)
			}
			b.restart()
		}
	}},
	{"identifiers grow, and go on growing after a restart", func(b *bench) {
		var last mail.ID
		for range 3 {
			for range 20 {
				id := b.send("a@one.example")
				if id <= last {
					b.Fatalf("%s came after %s", id, last)
				}
				last = id
			}
			b.restart()
		}
	}},
	{"a draft that is aborted or forgotten leaves nothing", func(b *bench) {
		for _, n := range []int{10, 1 << 20} {
			d, err := b.Create(envelope("a@one.example"))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.WriteString(d, text(n)); err != nil {
				b.Fatal(err)
			}
			d.Abort()
			d.Abort()
			if err := d.Commit(context.Background(), nil); err == nil {
				b.Error("an aborted draft was committed")
			}
			if _, err := d.Write([]byte("x")); err == nil {
				b.Error("an aborted draft took more content")
			}
		}
		b.none()
		want(b, "messages", b.Stats().Messages, 0)
	}},
	{"abort after commit changes nothing", func(b *bench) {
		d, err := b.Create(envelope("a@one.example"))
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Commit(context.Background(), []byte("whole\r\n")); err != nil {
			b.Fatal(err)
		}
		d.Abort()
		want(b, "content", b.content(b.one().ID), "whole\r\n")
		if err := d.Commit(context.Background(), nil); err == nil {
			b.Error("a draft was committed twice")
		}
	}},
	{"a message without recipients is refused", func(b *bench) {
		if _, err := b.Create(envelope()); err == nil {
			b.Error("it was taken")
		}
	}},
	{"commit with a cancelled context takes nothing in", func(b *bench) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d, err := b.Create(envelope("a@one.example"))
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Commit(ctx, nil); !errors.Is(err, context.Canceled) {
			b.Errorf("commit: %v, want context.Canceled", err)
		}
		b.none()
	}},
	{"many at once are all taken in, and each is delivered once", func(b *bench) {
		const clients, each = 16, 30
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for i := range each {
					b.put(envelope(fmt.Sprintf("r@d%d.example", i%7)), "", fmt.Sprintf("from %d", c))
				}
			})
		}
		seen := make(map[queue.Key]bool)
		for len(seen) < clients*each {
			ds := b.lease(50)
			if len(ds) == 0 {
				b.woken()
			}
			for _, d := range ds {
				if seen[d.Key] {
					b.Fatalf("%v was leased twice", d.Key)
				}
				seen[d.Key] = true
				b.finish(d)
			}
		}
		wg.Wait()
		b.none()
		want(b, "messages left", b.Stats().Messages, 0)
	}},
	{"after close everything says so", func(b *bench) {
		id := b.send("a@one.example")
		d, err := b.Create(envelope("a@one.example"))
		if err != nil {
			b.Fatal(err)
		}
		if err := b.Close(); err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		_, e1 := b.Create(envelope("a@one.example"))
		_, e2 := b.Lease(ctx, queue.LeaseQuery{Now: soon(), Max: 1})
		_, e3 := b.Store.Open(id)
		_, e4 := b.Get(ctx, id)
		_, e5 := b.List(ctx, queue.Filter{})
		_, e6 := b.Change(ctx, queue.Filter{}, queue.HoldOrder, time.Now())
		_, e7 := b.Release(ctx, "x", time.Now())
		e8 := b.Settle(queue.Settlement{Key: queue.Key{ID: id}})
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, d.Commit(ctx, nil)} {
			if !errors.Is(err, queue.ErrClosed) {
				b.Errorf("call %d: %v, want ErrClosed", i+1, err)
			}
		}
		if err := b.Close(); err != nil {
			b.Errorf("closing again: %v", err)
		}
	}},
}

var leasing = []test{
	{"recipients are grouped by domain, without regard to case", func(b *bench) {
		b.send("a@One.example", "b@two.example", "c@ONE.example", "postmaster")
		got := make(map[string][]int)
		for _, d := range b.lease(10) {
			got[d.Domain] = d.Recipients
			want(b, "attempts", d.State.Attempts, 0)
		}
		if w := map[string][]int{"one.example": {0, 2}, "two.example": {1}, "": {3}}; !reflect.DeepEqual(got, w) {
			b.Errorf("the deliveries are %v, want %v", got, w)
		}
		b.none()
	}},
	{"a domain with much mail does not keep another waiting", func(b *bench) {
		for range 100 {
			b.send("a@much.example")
		}
		b.send("a@little.example")
		b.send("a@less.example")
		domains := make(map[string]int)
		for _, d := range b.lease(6) {
			domains[d.Domain]++
		}
		if domains["little.example"] != 1 || domains["less.example"] != 1 || domains["much.example"] != 4 {
			b.Errorf("six leases gave %v", domains)
		}
	}},
	{"within a domain the oldest goes first", func(b *bench) {
		var ids, got []mail.ID
		for range 20 {
			ids = append(ids, b.send("a@one.example"))
		}
		for _, d := range b.lease(20) {
			got = append(got, d.ID)
		}
		wantAll(b, "order", got, ids...)
	}},
	{"domains that the caller skips are left out, and come later", func(b *bench) {
		b.send("a@one.example")
		b.send("a@two.example")
		ds := b.leaseAs(queue.LeaseQuery{Now: soon(), Max: 10, Skip: func(d string) bool { return d == "one.example" }})
		if len(ds) != 1 || ds[0].Domain != "two.example" {
			b.Fatalf("leased %d deliveries", len(ds))
		}
		want(b, "domain of the next", b.one().Domain, "one.example")
	}},
	{"no more than asked for of one domain are handed out at once", func(b *bench) {
		for range 5 {
			b.send("a@one.example")
			b.send("a@two.example")
		}
		for _, n := range []int{4, 4, 2, 0} {
			want(b, "leased", len(b.leaseAs(queue.LeaseQuery{Now: soon(), Max: 10, PerDomain: 2})), n)
		}
	}},
	{"what is not due yet is not leased", func(b *bench) {
		b.send("a@one.example")
		b.settle(b.one(), queue.DeliveryState{Attempts: 1, Due: at(time.Hour)})
		b.none()
		ds := b.leaseAs(queue.LeaseQuery{Now: at(2 * time.Hour), Max: 1})
		want(b, "leased an hour later", len(ds), 1)
	}},
	{"due order within a domain is by time, not by age", func(b *bench) {
		first, second := b.send("a@one.example"), b.send("a@one.example")
		for _, d := range b.lease(2) {
			due := at(2 * time.Hour)
			if d.ID == second {
				due = at(time.Hour)
			}
			b.settle(d, queue.DeliveryState{Due: due})
		}
		var got []mail.ID
		for _, d := range b.leaseAs(queue.LeaseQuery{Now: at(3 * time.Hour), Max: 2}) {
			got = append(got, d.ID)
		}
		wantAll(b, "order", got, second, first)
	}},
	{"new mail and mail whose time has come wake the caller", func(b *bench) {
		b.calm()
		b.send("a@one.example")
		b.woken()
		d := b.one()
		b.calm()
		due := time.Now().Add(150 * time.Millisecond)
		b.settle(d, queue.DeliveryState{Due: due})
		var ds []*queue.Delivery
		for len(ds) == 0 {
			b.woken()
			ds = b.leaseAs(queue.LeaseQuery{Now: time.Now(), Max: 1})
		}
		if early := time.Until(due); early > time.Millisecond {
			b.Errorf("it was leased %v before its time", early)
		}
	}},
	{"the content of what is leased can be read until it is settled", func(b *bench) {
		id := b.put(envelope("a@one.example"), "", strings.Repeat("x", 400_000))
		d := b.one()
		r, err := b.Store.Open(id)
		if err != nil {
			b.Fatal(err)
		}
		b.finish(d)
		if got, err := io.ReadAll(r); err != nil || len(got) != 400_000 {
			b.Errorf("a reader opened before got %d octets, %v", len(got), err)
		}
		r.Close()
		r.Close()
		if _, err := r.Read(make([]byte, 1)); err == nil {
			b.Error("a closed reader reads on")
		}
		if _, err := b.Store.Open(id); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("open after the end: %v, want ErrNotFound", err)
		}
	}},
	{"lease with a cancelled context takes nothing", func(b *bench) {
		b.send("a@one.example")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := b.Lease(ctx, queue.LeaseQuery{Now: soon(), Max: 1}); !errors.Is(err, context.Canceled) {
			b.Errorf("lease: %v", err)
		}
		b.one()
	}},
}
