package unclassified

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/store"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, opts Options) *Keeper {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	k, err := Open(t.Context(), db, opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func said(provider, text string) *outcome.Outcome {
	return &outcome.Outcome{Provider: provider, Phase: outcome.RcptTo, Egress: "direct", Reply: mail.Reply{Code: 550, Lines: []string{text}}}
}

var nobodyKnows = classify.Verdict{Class: classify.Unclassified}

func list(t *testing.T, k *Keeper) []Entry {
	t.Helper()
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := k.List(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheSameReplyIsCountedAcrossWrites(t *testing.T) {
	k := open(t, Options{})
	k.Note(said("example.org", "odd thing with <ann@example.com>"), nobodyKnows, noon)
	k.Note(said("example.org", "odd thing with <bob@example.net>"), nobodyKnows, noon.Add(time.Minute))
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Note(said("example.org", "odd thing with <eve@example.net>"), nobodyKnows, noon.Add(time.Hour))
	k.Note(said("other.example", "odd thing with <eve@example.net>"), nobodyKnows, noon)
	k.Note(said("example.org", "user unknown"), classify.Verdict{Class: "user_unknown"}, noon)
	k.Note(&outcome.Outcome{Err: "connection refused"}, nobodyKnows, noon)
	all := list(t, k)
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	e := all[0]
	if e.Count != 3 || !e.First.Equal(noon) || !e.Last.Equal(noon.Add(time.Hour)) || e.Provider != "example.org" || e.Phase != "rcpt" || e.Code != 550 {
		t.Errorf("%+v", e)
	}
	if strings.Contains(e.Text, "ann") || !strings.Contains(e.Text, "odd thing") {
		t.Error(e.Text)
	}
	got, ok, err := k.Get(t.Context(), e.ID)
	if err != nil || !ok || got != e {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	if only, err := k.List(t.Context(), "other.example", 1); err != nil || len(only) != 1 || only[0].Provider != "other.example" {
		t.Errorf("%+v, %v", only, err)
	}
}

func TestTheReplyNotSeenForLongestMakesRoom(t *testing.T) {
	k := open(t, Options{Most: 10, Pending: 100})
	words := strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda my ny xi omikron")
	for i, w := range words {
		k.Note(said("example.org", "odd "+w), nobodyKnows, noon.Add(time.Duration(i)*time.Minute))
	}
	all := list(t, k)
	if len(all) != 10 {
		t.Fatalf("%d entries", len(all))
	}
	for _, e := range all {
		if strings.Contains(e.Text, "alpha") || strings.Contains(e.Text, "epsilon") {
			t.Errorf("still there: %s", e.Text)
		}
	}
}

func TestRepliesAreNumberedAsTheyCame(t *testing.T) {
	k := open(t, Options{})
	for i := range 20 {
		k.Note(said("example.org", "odd "+strings.Repeat("x", i+1)), nobodyKnows, noon.Add(time.Duration(i)*time.Second))
	}
	for _, e := range list(t, k) {
		if want := int64(e.First.Sub(noon)/time.Second) + 1; e.ID != want {
			t.Errorf("%s has the number %d, want %d", e.Text, e.ID, want)
		}
	}
}

func TestMoreThanCanWaitIsDroppedAndCounted(t *testing.T) {
	k := open(t, Options{Pending: 2})
	for _, w := range []string{"alpha", "beta", "gamma", "delta", "alpha"} {
		k.Note(said("example.org", "odd "+w), nobodyKnows, noon)
	}
	if n := k.Dropped(); n != 2 {
		t.Errorf("%d dropped", n)
	}
	if all := list(t, k); len(all) != 2 || all[0].Count != 2 {
		t.Errorf("%+v", all)
	}
}

func TestWhatIsForgottenIsGoneUntilItComesAgain(t *testing.T) {
	k := open(t, Options{})
	k.Note(said("", "odd alpha"), nobodyKnows, noon)
	k.Note(said("", "odd beta"), nobodyKnows, noon)
	all := list(t, k)
	if n, err := k.Forget(t.Context(), all[0].ID); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := k.Forget(t.Context(), all[0].ID); n != 0 || err != nil {
		t.Errorf("twice: %d, %v", n, err)
	}
	if _, ok, err := k.Get(t.Context(), all[0].ID); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	k.Note(said("", "odd alpha"), nobodyKnows, noon)
	k.Note(said("", "odd beta"), nobodyKnows, noon)
	if all := list(t, k); len(all) != 2 {
		t.Errorf("%+v", all)
	}
	if n, err := k.Forget(t.Context(), 0); n != 2 || err != nil {
		t.Errorf("all: %d, %v", n, err)
	}
}

func TestRunWritesWhatIsLeftWhenItIsTold(t *testing.T) {
	k := open(t, Options{})
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var notes sync.WaitGroup
	for n := range 4 {
		notes.Go(func() {
			for range 50 {
				k.Note(said(fmt.Sprintf("provider%d", n), "odd thing"), nobodyKnows, noon)
			}
		})
	}
	notes.Wait()
	stop()
	all.Wait()
	got, err := k.List(t.Context(), "", 0)
	if err != nil || len(got) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, e := range got {
		if e.Count != 50 {
			t.Errorf("%+v", e)
		}
	}
}

func TestWhatCannotBeWrittenIsKeptForTheNextTime(t *testing.T) {
	k := open(t, Options{})
	k.Note(said("", "odd alpha"), nobodyKnows, noon)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Flush(gone); err == nil {
		t.Fatal("written although it was told not to")
	}
	if all := list(t, k); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}
