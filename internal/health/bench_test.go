package health

import (
	"log/slog"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

func benchBook() (*Book, Evidence) {
	b := New(Options{}, slog.New(slog.DiscardHandler))
	ev := Evidence{
		At: time.Date(2019, 4, 15, 0, 0, 0, 0, time.UTC), Key: Key{"direct", "google"}, MsgID: "01",
		Verdict: classify.Verdict{Class: "delivered", Action: classify.Deliver},
		Outcome: outcome.Outcome{Phase: outcome.EndOfData, Reply: mail.Reply{Code: 250, Lines: []string{"2.0.0 OK"}}},
	}
	b.Observe(ev)
	return b, ev
}

func BenchmarkObserveAcceptedMail(b *testing.B) {
	book, ev := benchBook()
	b.ReportAllocs()
	for b.Loop() {
		ev.At = ev.At.Add(time.Millisecond)
		book.Observe(ev)
	}
}

func BenchmarkObserveAcceptedMailFromAllCores(b *testing.B) {
	book, ev := benchBook()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			book.Observe(ev)
		}
	})
}

func BenchmarkPath(b *testing.B) {
	book, _ := benchBook()
	b.ReportAllocs()
	for b.Loop() {
		if book.Path("direct", "google").State != Healthy {
			b.Fatal("not healthy")
		}
	}
}

func BenchmarkTickOver20000HealthyPaths(b *testing.B) {
	book, ev := benchBook()
	for i := range 20000 {
		ev.Key.Provider = mail.ID(i).String()
		book.Observe(ev)
	}
	b.ResetTimer()
	for b.Loop() {
		book.Tick(ev.At)
	}
}
