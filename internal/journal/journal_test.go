package journal

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ukai/internal/mail"
	"ukai/internal/store"
)

func open(t *testing.T, opts Options) *Journal {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	j, err := Open(t.Context(), db, opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

var day = time.Date(2019, 4, 15, 9, 12, 0, 0, time.UTC)

func TestAMessagesStoryIsReadInOrderAndAtOnce(t *testing.T) {
	j := open(t, Options{})
	var ids mail.IDs
	a, b := ids.Next(day), ids.Next(day)
	j.Record(Event{At: day, Msg: a, Kind: Accepted, From: "x@example.com", MessageID: "1@example.com"})
	j.Record(Event{At: day.Add(time.Second), Msg: b, Kind: Accepted, MessageID: "2@example.com"})
	j.Record(Event{At: day.Add(2 * time.Second), Msg: a, Kind: Attempt, Code: 550, Text: "550 5.7.1 very low reputation"})
	j.Record(Event{At: day.Add(2 * time.Second), Msg: a, Kind: Attempt, Code: 250, Detour: true})
	got, err := j.Message(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Kind != Accepted || got[1].Code != 550 || !got[2].Detour {
		t.Fatalf("story: %+v", got)
	}
	if got[0].Msg != a || !got[0].At.Equal(day) {
		t.Errorf("first event: %+v", got[0])
	}
	found, err := j.Find(t.Context(), "2@example.com", day.Add(-time.Hour))
	if err != nil || len(found) != 1 || found[0] != b {
		t.Errorf("Find: %v, %v", found, err)
	}
}

func TestPathChangesAreReadNewestFirstAndBySelection(t *testing.T) {
	j := open(t, Options{})
	for i, p := range []string{"google", "icloud", "google"} {
		j.Record(Event{At: day.Add(time.Duration(i) * time.Second), Kind: Moved, Egress: "direct", Provider: p, Before: "healthy", After: fmt.Sprint(i)})
	}
	got, err := j.Paths(t.Context(), "", "google", 10)
	if err != nil || len(got) != 2 || got[0].After != "2" || got[1].After != "0" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestABatchOfAnySizeIsWrittenWhole(t *testing.T) {
	for _, n := range []int{1, rowsAtOnce - 1, rowsAtOnce, rowsAtOnce + 1, 3*rowsAtOnce + 7} {
		j := open(t, Options{})
		for i := range n {
			j.Record(Event{At: day, Msg: 9, Kind: Attempt, Code: i})
			j.Record(Event{At: day, Kind: Moved, Egress: "direct"})
		}
		got, err := j.Message(t.Context(), 9)
		if err != nil || len(got) != n || got[n-1].Code != n-1 {
			t.Errorf("%d events: %d read, %v", n, len(got), err)
		}
		if paths, err := j.Paths(t.Context(), "", "", 10*n); err != nil || len(paths) != n {
			t.Errorf("%d changes: %d read, %v", n, len(paths), err)
		}
	}
}

func TestAFullBufferDropsAndCountsInsteadOfBlocking(t *testing.T) {
	j := open(t, Options{Buffer: 10})
	for range 25 {
		j.Record(Event{At: day, Msg: 1, Kind: Attempt})
	}
	if got := j.Dropped(); got != 15 {
		t.Errorf("dropped %d, want 15", got)
	}
	if got, err := j.Message(t.Context(), 1); err != nil || len(got) != 10 {
		t.Errorf("kept %d, %v", len(got), err)
	}
}

func TestWhatTheDatabaseRefusesIsKeptForTheNextTime(t *testing.T) {
	j := open(t, Options{})
	j.Record(Event{At: day, Msg: 7, Kind: Accepted})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Sync(gone); err == nil {
		t.Fatal("a write with a dead context succeeded")
	}
	if got, err := j.Message(t.Context(), 7); err != nil || len(got) != 1 {
		t.Errorf("after the refusal: %d events, %v", len(got), err)
	}
}

func TestRunWritesTheRestWhenItEndsAndPruneForgetsTheOld(t *testing.T) {
	j := open(t, Options{Flush: time.Hour, Keep: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := j.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var ids mail.IDs
	old, young := ids.Next(day.Add(-2*time.Hour)), ids.Next(day)
	j.Record(Event{At: day.Add(-2 * time.Hour), Msg: old, Kind: Accepted})
	j.Record(Event{At: day, Msg: young, Kind: Accepted})
	j.Record(Event{At: day.Add(-2 * time.Hour), Kind: Moved, Egress: "direct"})
	cancel()
	wg.Wait()
	if err := j.prune(t.Context(), day.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[mail.ID]int{old: 0, young: 1} {
		if got, err := j.Message(t.Context(), id); err != nil || len(got) != want {
			t.Errorf("%v: %d events, want %d (%v)", id, len(got), want, err)
		}
	}
	if got, err := j.Paths(t.Context(), "", "", 10); err != nil || len(got) != 0 {
		t.Errorf("old path change kept: %v, %v", got, err)
	}
}

func BenchmarkRecordAndSync(b *testing.B) {
	db, err := store.Open(filepath.Join(b.TempDir(), "ukai.db"), false)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	j, err := Open(b.Context(), db, Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	var ids mail.IDs
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := time.Now()
		j.Record(Event{At: now, Msg: ids.Next(now), Kind: Attempt, Egress: "direct", Provider: "google", Host: "mx.example.net", Remote: "192.0.2.1:25", Code: 250,
			Text: "250 2.0.0 OK", Recipients: []string{"someone@example.net"}, Phase: "end-of-data", Class: "delivered"})
		if i%4000 == 3999 {
			if err := j.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
