package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ukai/internal/mail"
	"ukai/internal/queue"
)

func yes() *bool { b := true; return &b }
func no() *bool  { return new(bool) }

// selection puts four messages into the queue, which differ in everything a filter looks at.
func selection(b *bench) [4]mail.ID {
	b.Helper()
	envs := [4]*mail.Envelope{
		{From: "News@Example.org", Account: "shop", Recipients: []mail.Recipient{{Addr: "Ann@One.example"}, {Addr: "bob@two.example"}}},
		{From: "ann@example.net", Account: "shop", Recipients: []mail.Recipient{{Addr: "bob@two.example"}}},
		{From: "", Recipients: []mail.Recipient{{Addr: "ann@sub.one.example"}}},
		{From: "news@example.org", Account: "desk", Recipients: []mail.Recipient{{Addr: "carl@three.example"}, {Addr: "dora@three.example"}}},
	}
	var ids [4]mail.ID
	for i, env := range envs {
		ids[i] = b.put(env, "", "x")
	}
	for _, d := range b.lease(10) {
		s := queue.DeliveryState{Due: at(time.Hour), Attempts: 1}
		switch d.ID {
		case ids[1]:
			s.Held = true
		case ids[3]:
			s.Tag = "path:three"
		case ids[2]:
			continue // stays leased
		}
		b.settle(d, s)
	}
	return ids
}

var filters = []struct {
	f    queue.Filter
	want []int // places in the selection
}{
	{queue.Filter{}, []int{0, 1, 2, 3}},
	{queue.Filter{Sender: "news@example.org"}, []int{0, 3}},
	{queue.Filter{Sender: "NEWS@EXAMPLE.ORG"}, []int{0, 3}},
	{queue.Filter{Sender: "@Example.net"}, []int{1}},
	{queue.Filter{Sender: "@example"}, nil},
	{queue.Filter{Recipient: "ann@one.EXAMPLE"}, []int{0}},
	{queue.Filter{Recipient: "@two.example"}, []int{0, 1}},
	{queue.Filter{Recipient: "@one.example"}, []int{0}},
	{queue.Filter{Domain: "Sub.One.Example"}, []int{2}},
	{queue.Filter{Domain: "one.example"}, []int{0}},
	{queue.Filter{Account: "shop"}, []int{0, 1}},
	{queue.Filter{Account: "nobody"}, nil},
	{queue.Filter{Held: yes()}, []int{1}},
	{queue.Filter{Held: no()}, []int{0, 2, 3}},
	{queue.Filter{Tag: "path:three"}, []int{3}},
	{queue.Filter{Tag: "path:four"}, nil},
	{queue.Filter{Account: "shop", Domain: "two.example", Held: no()}, []int{0}},
	{queue.Filter{Sender: "news@example.org", Tag: "path:three"}, []int{3}},
	{queue.Filter{Limit: 2}, []int{0, 1}},
	{queue.Filter{Sender: "news@example.org", Limit: 1}, []int{0}},
}

// checkFilters asks for everything, and for what lies behind each message.
func checkFilters(b *bench, ids [4]mail.ID) {
	b.Helper()
	for _, c := range filters {
		wanted := []mail.ID{}
		for _, i := range c.want {
			wanted = append(wanted, ids[i])
		}
		if got := b.list(c.f); !slices.Equal(got, wanted) {
			b.Errorf("%+v selects %v, want %v of %v", c.f, got, wanted, ids)
		}
	}
	wantAll(b, "behind the second", b.list(queue.Filter{After: ids[1]}), ids[2], ids[3])
	wantAll(b, "by identifier", b.list(queue.Filter{IDs: []mail.ID{ids[2], ids[0], 7, ids[0]}}), ids[0], ids[2])
	wantAll(b, "by identifier and sender", b.list(queue.Filter{IDs: []mail.ID{ids[2], ids[0]}, Sender: "@example.org"}), ids[0])
	wantAll(b, "by identifier, behind one", b.list(queue.Filter{IDs: []mail.ID{ids[2], ids[0]}, After: ids[0]}), ids[2])
}

var asking = []test{
	{"a filter selects what it says, for mail just taken in", func(b *bench) { checkFilters(b, selection(b)) }},
	{"a filter selects what it says, after a restart", func(b *bench) {
		ids := selection(b)
		b.restart()
		checkFilters(b, ids)
	}},
	{"a filter selects what it says, for mail that has been there for a while", func(b *bench) {
		ids := selection(b)
		time.Sleep(time.Second) // longer than an engine may put off what it does for searching
		checkFilters(b, ids)
	}},
	{"a long list comes in pages, in order of acceptance", func(b *bench) {
		var ids, got []mail.ID
		for i := range 120 {
			ids = append(ids, b.send(fmt.Sprintf("a@d%d.example", i%3)))
		}
		for after := mail.ID(0); ; {
			part := b.list(queue.Filter{After: after, Limit: 50})
			if len(part) == 0 {
				break
			}
			got = append(got, part...)
			after = part[len(part)-1]
		}
		wantAll(b, "pages", got, ids...)
	}},
	{"get shows the deliveries that are not done, leased ones too", func(b *bench) {
		id := b.send("a@one.example", "b@two.example")
		for _, d := range b.lease(2) {
			if d.Domain == "one.example" {
				b.finish(d)
			}
		}
		m := b.message(id)
		if len(m.Deliveries) != 1 || m.Deliveries[0].Domain != "two.example" || m.Deliveries[0].N != 1 {
			b.Errorf("%+v", m.Deliveries)
		}
		if _, err := b.Get(b.Context(), id+1); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("another: %v, want ErrNotFound", err)
		}
		if _, err := b.Store.Open(id + 1); !errors.Is(err, queue.ErrNotFound) {
			b.Errorf("open another: %v, want ErrNotFound", err)
		}
	}},
	{"the statistics count", func(b *bench) {
		want(b, "oldest of none", b.Stats().Oldest.IsZero(), true)
		first := b.send("a@one.example", "b@two.example")
		b.send("a@one.example")
		s := b.Stats()
		want(b, "messages", s.Messages, 2)
		want(b, "deliveries", s.Deliveries, 3)
		want(b, "oldest", s.Oldest.UnixMilli(), first.Time().UnixMilli())
		want(b, "commits", s.Commits, 2)
		if s.Bytes <= 0 || s.Syncs == 0 {
			b.Errorf("octets %d, syncs %d", s.Bytes, s.Syncs)
		}
		b.lease(1)
		want(b, "leased", b.Stats().Leased, 1)
		b.change(queue.Filter{IDs: []mail.ID{first}}, queue.HoldOrder)
		if held := b.Stats().Held; held < 1 || held > 2 {
			b.Errorf("held %d", held)
		}
	}},
}

var ordering = []test{
	{"what is held is not leased until it is released", func(b *bench) {
		id := b.send("a@one.example", "b@two.example")
		want(b, "changed", b.change(queue.Filter{Domain: "one.example"}, queue.HoldOrder), 1)
		d := b.one()
		want(b, "domain", d.Domain, "two.example")
		b.finish(d)
		b.restart()
		b.none()
		want(b, "held", b.message(id).Deliveries[0].State.Held, true)
		want(b, "retrying what is held changes it", b.change(queue.Filter{}, queue.RetryOrder), 1)
		b.none()
		b.calm()
		want(b, "changed", b.change(queue.Filter{Held: yes()}, queue.ReleaseOrder), 1)
		b.woken()
		want(b, "held", b.one().State.Held, false)
	}},
	{"what is deferred is due at once after a retry", func(b *bench) {
		b.send("a@one.example")
		b.settle(b.one(), queue.DeliveryState{Attempts: 4, Due: at(time.Hour), Tag: "t", Last: "try later"})
		b.calm()
		b.change(queue.Filter{}, queue.RetryOrder)
		b.woken()
		d := b.one()
		want(b, "attempts", d.State.Attempts, 4)
		want(b, "tag", d.State.Tag, "")
		want(b, "last", d.State.Last, "try later")
	}},
	{"what is deleted is gone, also after a restart", func(b *bench) {
		keep := b.send("a@one.example")
		b.send("a@two.example")
		b.put(envelope("b@two.example"), "", text(500_000))
		want(b, "changed", b.change(queue.Filter{Domain: "two.example"}, queue.DeleteOrder), 2)
		for range 2 {
			wantAll(b, "left", b.list(queue.Filter{}), keep)
			b.restart()
		}
	}},
	{"deleting one delivery of a message leaves the others", func(b *bench) {
		id := b.send("a@one.example", "b@two.example", "c@two.example")
		want(b, "changed", b.change(queue.Filter{Recipient: "c@two.example"}, queue.DeleteOrder), 1)
		for range 2 {
			m := b.message(id)
			if len(m.Deliveries) != 1 || m.Deliveries[0].Domain != "one.example" {
				b.Errorf("%d deliveries are left", len(m.Deliveries))
			}
			b.restart()
		}
	}},
	{"an order to what is leased counts when it is settled", func(b *bench) {
		for _, c := range []struct {
			order queue.Order
			check func()
		}{
			{queue.HoldOrder, func() { b.none(); want(b, "held", b.Stats().Held, 1) }},
			{queue.RetryOrder, func() { b.finish(b.one()) }},
			{queue.ReleaseOrder, func() { b.finish(b.one()) }},
			{queue.DeleteOrder, func() { b.none(); want(b, "messages", b.Stats().Messages, 0) }},
		} {
			id := b.send("a@one.example")
			d := b.one()
			want(b, "changed", b.change(queue.Filter{IDs: []mail.ID{id}}, c.order), 1)
			b.none()
			b.settle(d, queue.DeliveryState{Attempts: 1, Due: at(time.Hour)})
			c.check()
			b.change(queue.Filter{}, queue.DeleteOrder)
		}
	}},
	{"mail that was ordered to be held or deleted while leased does not go out after a restart", func(b *bench) {
		held, deleted := b.send("a@one.example"), b.send("a@two.example")
		b.lease(2)
		b.change(queue.Filter{IDs: []mail.ID{held}}, queue.HoldOrder)
		b.change(queue.Filter{IDs: []mail.ID{deleted}}, queue.DeleteOrder)
		b.restart()
		b.none()
		wantAll(b, "left", b.list(queue.Filter{Held: yes()}), held)
		wantAll(b, "in all", b.list(queue.Filter{}), held)
	}},
	{"an order has a limit when it is given one", func(b *bench) {
		for range 5 {
			b.send("a@one.example")
		}
		want(b, "changed", b.change(queue.Filter{Limit: 2}, queue.HoldOrder), 2)
		want(b, "due", len(b.lease(10)), 3)
	}},
	{"an order that does not exist is refused", func(b *bench) {
		b.send("a@one.example")
		if _, err := b.Change(b.Context(), queue.Filter{}, "shred", time.Now()); err == nil {
			b.Error("it was taken")
		}
	}},
	{"what waits for a tag is due when the tag is released", func(b *bench) {
		for range 3 {
			b.send("a@one.example")
		}
		for i, d := range b.lease(3) {
			b.settle(d, queue.DeliveryState{Attempts: 1, Due: at(time.Hour), Tag: []string{"x", "x", "y"}[i], Last: "shut"})
		}
		b.restart()
		b.calm()
		n, err := b.Release(b.Context(), "x", time.Now())
		if err != nil || n != 2 {
			b.Fatalf("released %d, %v", n, err)
		}
		b.woken()
		ds := b.lease(10)
		want(b, "due", len(ds), 2)
		for _, d := range ds {
			want(b, "tag", d.State.Tag, "")
			want(b, "last", d.State.Last, "shut")
		}
		for _, tag := range []string{"x", "", "z"} {
			if n, err := b.Release(b.Context(), tag, time.Now()); err != nil || n != 0 {
				b.Errorf("releasing %q: %d, %v", tag, n, err)
			}
		}
		want(b, "y due in its time", len(b.leaseAs(queue.LeaseQuery{Now: at(2 * time.Hour), Max: 5})), 1)
	}},
	{"a release does not end a hold", func(b *bench) {
		b.send("a@one.example")
		b.settle(b.one(), queue.DeliveryState{Due: at(time.Hour), Tag: "x", Held: true})
		if n, err := b.Release(b.Context(), "x", time.Now()); err != nil || n != 1 {
			b.Errorf("released %d, %v", n, err)
		}
		b.none()
	}},
}
