package route

import (
	"fmt"
	"log/slog"
	"testing"

	"ukai/internal/classify"
	"ukai/internal/health"
)

// benchScene is a table with pools, patterns and a book in which the preferred way to google is shut, or not.
func benchScene(tb testing.TB, blocked bool) (*Table, *Request, *health.Book) {
	tb.Helper()
	table, err := NewTable(
		[]Egress{{Name: "direct"}, {Name: "relay-a", WarmUp: 1000}, {Name: "relay-b", SenderDomains: []string{"example.org", "*.example.net"}}, {Name: "relay-c", Providers: []string{"google"}}},
		[]Pool{{Name: "default", Egresses: []int{0, 1, 2, 3}}, {Name: "news", Egresses: []int{1, 0}, Senders: []string{"*.news.example.org"}}, {Name: "shop", Egresses: []int{2, 0}, Accounts: []string{"shop"}}},
		Options{Mode: Act})
	if err != nil {
		tb.Fatal(err)
	}
	book := health.New(health.Options{}, slog.New(slog.DiscardHandler))
	for i := range 4 {
		ev := health.Evidence{At: noon, Key: health.Key{Egress: "direct", Provider: "google"}, MsgID: fmt.Sprint(i)}
		ev.Verdict = classify.Verdict{Action: classify.Deliver}
		if blocked {
			ev.Verdict = classify.Verdict{Action: classify.Fail, Reputation: true}
			ev.Outcome.Reply.Code = 550
		}
		book.Observe(ev)
		ev.Key.Egress, ev.Verdict = "relay-a", classify.Verdict{Action: classify.Deliver}
		book.Observe(ev)
	}
	return table, &Request{Provider: "google", Sender: "example.org", Account: "office"}, book
}

func TestChooseAllocatesNothing(t *testing.T) {
	for _, blocked := range []bool{false, true} {
		table, req, book := benchScene(t, blocked)
		want := "send direct preferred"
		if blocked {
			want = "send relay-a detour_blocked"
		}
		d := table.Choose(req, book, noon)
		if got := render(table, &d); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if n := testing.AllocsPerRun(1000, func() { table.Choose(req, book, noon) }); n != 0 {
			t.Errorf("%s: %v allocations", want, n)
		}
	}
}

func benchmarkChoose(b *testing.B, blocked bool) {
	table, req, book := benchScene(b, blocked)
	b.ReportAllocs()
	for b.Loop() {
		table.Choose(req, book, noon)
	}
}

func BenchmarkChooseThePreferredWay(b *testing.B) { benchmarkChoose(b, false) }

func BenchmarkChooseADetour(b *testing.B) { benchmarkChoose(b, true) }

func BenchmarkChooseAmong16ShutWays(b *testing.B) {
	egresses := make([]Egress, 16)
	book := health.New(health.Options{}, slog.New(slog.DiscardHandler))
	for i := range egresses {
		egresses[i].Name = fmt.Sprint("e", i)
		book.Block(health.Key{Egress: egresses[i].Name, Provider: "google"}, health.Pin{At: noon})
	}
	table, err := NewTable(egresses, nil, Options{Mode: Act})
	if err != nil {
		b.Fatal(err)
	}
	req := &Request{Provider: "google"}
	b.ReportAllocs()
	for b.Loop() {
		table.Choose(req, book, noon)
	}
}
