package queue

import (
	"io"
	"testing"
	"time"

	"ukai/internal/mail"
)

// BenchmarkMessage takes a message of 10 KB in, leases, reads and settles it, many at once.
func BenchmarkMessage(b *testing.B) {
	q, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	text := []byte(body(10_000))
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, len(text))
		for pb.Next() {
			env := &mail.Envelope{From: "a@example.org", Recipients: []mail.Recipient{{Addr: "b@one.example"}}}
			d, err := q.Create(env)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = d.Write(text)
			if err := d.Commit(b.Context(), nil); err != nil {
				b.Error(err)
				return
			}
			ds, err := q.Lease(b.Context(), LeaseQuery{Now: time.Now(), Max: 1})
			if err != nil {
				b.Error(err)
				return
			}
			for _, d := range ds {
				r, err := q.Open(d.ID)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.ReadFull(r, buf)
				r.Close()
				if err := q.Settle(Settlement{Key: d.Key, Done: d.Recipients}); err != nil {
					b.Error(err)
					return
				}
			}
		}
	})
}
