package health

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/outcome"
	"ukai/internal/store"
)

func openDB(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "control.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func loadDesk(t *testing.T, db *store.DB) *desk {
	t.Helper()
	d := newDesk(t, Options{})
	if err := d.Load(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return d
}

func save(t *testing.T, d *desk) {
	t.Helper()
	if err := d.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// play tells a story without looking at it.
func play(d *desk, steps []step) {
	for _, s := range steps {
		d.now = d.now.Add(s.in)
		s.do(d)
	}
}

func TestARestartChangesNothingButTheWindow(t *testing.T) {
	for name, steps := range stories {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			d := loadDesk(t, db)
			play(d, steps)
			save(t, d)
			before, known := d.Get(pathKey, d.now)
			again := loadDesk(t, db)
			after, _ := again.Get(pathKey, d.now)
			if !known {
				return
			}
			before.Counts = Counts{}
			if before.Probe.Running {
				before.State, before.Why, before.Probe.Running = Blocked, "health.why.probe_lost", false
			}
			before.Since, after.Since = before.Since.Truncate(time.Millisecond), after.Since.UTC()
			was, is := asJSON(t, before), asJSON(t, after)
			if was != is {
				t.Errorf("before %s\nafter  %s", was, is)
			}
		})
	}
}

func TestARestartKeepsBlockedPathsBlockedAndProbesThemInTime(t *testing.T) {
	db := openDB(t)
	d := loadDesk(t, db)
	play(d, blockedByThree)
	save(t, d)
	again := loadDesk(t, db)
	again.now = d.now
	begin(false)(again)
	if p, q := again.Path("direct", "google"), d.Path("direct", "google"); p.State != Blocked || !p.ProbeAt.Equal(q.ProbeAt) {
		t.Fatalf("after the restart %+v", p)
	}
	again.now = d.now.Add(mins)
	begin(true)(again)
	save(t, again)

	third := loadDesk(t, db) // the probe was on its way
	third.now = again.now
	begin(true)(third)
	if got := told(probeGood(third)); got != "probing>probing probe_good" {
		t.Errorf("after the second restart: %s", got)
	}
}

func TestPinsListingsAndTheDaysCountSurvive(t *testing.T) {
	db := openDB(t)
	d := loadDesk(t, db)
	times(7, accept)(d)
	pinned(time.Hour)(d)
	listed(true, "spamhaus-pbl")(d)
	d.Slow(pathKey, d.now.Add(time.Hour), d.now)
	save(t, d)
	d = loadDesk(t, db)
	d.now = start.Add(sec)
	if got := told(listed(true, "spamhaus-pbl")(d)); got != "" {
		t.Errorf("the listing was forgotten: %s", got)
	}
	in, _ := d.Get(pathKey, d.now)
	if in.Pin == nil || in.Pin.Why != "we know better" || in.Pin.By != "root" || in.Sent != 7 || !in.Slow.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", in)
	}
	unpinned(d)
	save(t, d)
	d = loadDesk(t, db)
	if p := d.Path("direct", "google"); p.State != Healthy || p.Pinned || p.Sent != 7 {
		t.Errorf("cleared: %+v", p)
	}
}

func TestForgottenPathsLeaveTheDatabase(t *testing.T) {
	db := openDB(t)
	d := loadDesk(t, db)
	accept(d)
	save(t, d)
	d.now = d.now.Add(49 * time.Hour)
	d.Tick(d.now)
	save(t, d)
	if n := len(loadDesk(t, db).List(d.now)); n != 0 {
		t.Errorf("%d paths are still in the database", n)
	}
	accept(d) // and come again
	save(t, d)
	if n := len(loadDesk(t, db).List(d.now)); n != 1 {
		t.Errorf("%d paths", n)
	}
}

func TestUnreadableRowsCostTheirDetailsOnly(t *testing.T) {
	db := openDB(t)
	d := loadDesk(t, db)
	play(d, blockedByThree)
	save(t, d)
	insert := `INSERT INTO health_path (egress, provider, state, since, day, sent, record) VALUES (?, 'google', ?, 0, 0, 0, ?)`
	for _, r := range [][3]any{{"torn", "blocked", `{"probe":`}, {"odd", "bewitched", `{}`}, {"bare", "recovering", `{}`}, {"minus", "blocked", `{"tale":{"old":-3,"kept":[{}]}}`}} {
		if _, err := db.Write.Exec(insert, r[:]...); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	d = newDesk(t, Options{})
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	if err := d.Load(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	for egress, want := range map[string]State{"direct": Blocked, "torn": Blocked, "odd": Healthy, "bare": Recovering, "minus": Blocked} {
		if got := d.Path(egress, "google").State; got != want {
			t.Errorf("%s is %s, want %s", egress, got, want)
		}
	}
	if n := strings.Count(log.String(), "unreadable"); n != 2 {
		t.Errorf("%d warnings: %s", n, &log)
	}
	d.now = start.Add(time.Hour)
	if !d.BeginProbe(Key{"torn", "google"}, d.now) || !d.BeginProbe(Key{"minus", "google"}, d.now) {
		t.Error("a path without details gets no probe")
	}
	if d.Path("bare", "google").Share == 0 {
		t.Error("a recovering path has no share")
	}
}

func TestWhatCouldNotBeSavedIsSavedLater(t *testing.T) {
	db := openDB(t)
	d := loadDesk(t, db)
	accept(d)
	save(t, d)
	d.now = d.now.Add(49 * time.Hour)
	d.Tick(d.now) // one to delete
	play(d, blockedByThree)
	if _, err := db.Write.Exec(`ALTER TABLE health_path RENAME TO elsewhere`); err != nil {
		t.Fatal(err)
	}
	if err := d.Save(t.Context()); err == nil {
		t.Fatal("saved into a table that is not there")
	}
	if _, err := db.Write.Exec(`ALTER TABLE elsewhere RENAME TO health_path`); err != nil {
		t.Fatal(err)
	}
	save(t, d)
	if p := loadDesk(t, db).Path("direct", "google"); p.State != Blocked {
		t.Errorf("after the trouble %+v", p)
	}
}

func TestAPathThatHasNoJSONDoesNotStopTheOthers(t *testing.T) {
	db := openDB(t)
	d := loadDesk(t, db)
	d.Block(Key{"direct", "odd"}, Pin{At: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)})
	accept(d)
	save(t, d)
	if n := len(loadDesk(t, db).List(d.now)); n != 1 {
		t.Errorf("%d paths were saved, want 1", n)
	}
}

func TestLoadFailsWhereTheDatabaseDoes(t *testing.T) {
	db := openDB(t)
	db.Close()
	if err := newDesk(t, Options{}).Load(t.Context(), db); err == nil {
		t.Error("a closed database was loaded")
	}
	db = openDB(t)
	loadDesk(t, db)
	if _, err := db.Write.Exec(`DROP TABLE health_path`); err != nil {
		t.Fatal(err)
	}
	if err := newDesk(t, Options{}).Load(t.Context(), db); err == nil {
		t.Error("a database without the table was loaded")
	}
	if err := newDesk(t, Options{}).Save(t.Context()); err != nil {
		t.Errorf("without a database: %v", err)
	}
}

func TestRunTicksSavesAndEndsWithASave(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(filepath.Join(dir, "control.db"), false)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		d := newDesk(t, Options{})
		if err := d.Load(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		saved := func() string {
			synctest.Wait()
			var state string
			if err := db.Read.QueryRow(`SELECT state FROM health_path WHERE provider = 'google'`).Scan(&state); err != nil {
				return err.Error()
			}
			return state
		}
		d.now = time.Now()
		refuse(d)
		if got := saved(); got != "suspect" {
			t.Errorf("right after the change: %s", got)
		}
		time.Sleep(10*mins + 2*sec)
		if got := saved(); got != "healthy" {
			t.Errorf("after the window: %s", got)
		}
		d.now = time.Now()
		times(3, accept)(d)
		time.Sleep(6 * sec)
		var sent int
		synctest.Wait()
		if err := db.Read.QueryRow(`SELECT sent FROM health_path`).Scan(&sent); err != nil || sent != 3 {
			t.Errorf("sent %d, %v", sent, err)
		}
		accept(d)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := db.Read.QueryRow(`SELECT sent FROM health_path`).Scan(&sent); err != nil || sent != 4 {
			t.Errorf("sent %d after the end, %v", sent, err)
		}
	})
}

func TestRunGoesOnWithoutItsDatabase(t *testing.T) {
	db := openDB(t)
	var log bytes.Buffer
	d := loadDesk(t, db)
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	db.Close()
	accept(d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "health not saved") {
		t.Errorf("log: %s", &log)
	}
	d.Observe(d.evidence(ipVerdict, 550, outcome.EndOfData))
	if d.Path("direct", "google").State != Suspect {
		t.Error("the book stopped with its database")
	}
}
