package queue

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/mail"
)

func TestASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	q, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("opened twice: %v, want ErrLocked with a hint", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q, err = Open(dir, Options{})
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	q.Close()
}

func TestADirectoryThatCannotBeUsedIsSaid(t *testing.T) {
	name := t.TempDir() + "/file"
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{name, name + "/below"} {
		if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "--data") {
			t.Errorf("%s: %v, want an error with a hint", dir, err)
		}
	}
}

func TestAfterAKillTheLogIsReadFromWhereTheIndexStood(t *testing.T) {
	r := newRig(t)
	a, b, c := r.commit(100), r.commit(100, "a@one.example", "b@two.example"), r.commit(100)
	r.follow()
	d := r.commit(100)
	for k, del := range r.lease() {
		s := Settlement{Key: k, Next: DeliveryState{Attempts: 2, Due: tomorrow, Tag: "x"}}
		if k.ID == a || k.ID == b && k.N == 0 {
			s.Done = del.Recipients
		}
		if err := r.Settle(s); err != nil {
			t.Fatal(err)
		}
	}
	r.flushed()
	r.kill()
	r.start()
	if r.index.filling {
		t.Error("the index was not used")
	}
	r.has(100, b, c, d)
	m, err := r.Get(t.Context(), b)
	if err != nil || len(m.Deliveries) != 1 || m.Deliveries[0].N != 1 || m.Deliveries[0].State.Tag != "x" {
		t.Errorf("the one partly done: %+v, %v", m, err)
	}
	if n := len(r.lease()); n != 0 {
		t.Errorf("%d are due", n)
	}
	r.follow()
	r.kill()
	r.start()
	r.has(100, b, c, d)
}

func TestWhatAKilledProcessHadNotSyncedIsSyncedBeforeItCounts(t *testing.T) {
	r := newRig(t)
	id := r.commit(5000)
	r.disk.set(func() {
		r.disk.fail = func(op, name string) error {
			if op == "sync" && dirOf(name) == logDir {
				return errors.New("killed here")
			}
			return nil
		}
	})
	if _, err := r.take(5000, "b@one.example"); !errors.Is(err, ErrBroken) {
		t.Fatalf("commit: %v", err)
	}
	r.kill()
	r.start()
	if n := r.Stats().Messages; n != 2 {
		t.Fatalf("%d messages: the page cache was lost?", n)
	}
	if loose := r.disk.loose(); len(loose) > 0 {
		t.Errorf("not synced, though it counts: %v", loose)
	}
	if text, err := r.content(id); err != nil || len(text) != 5000 {
		t.Error("the first is damaged")
	}
}

func TestATornEndIsCutOffSilently(t *testing.T) {
	for name, tear := range map[string]func(data []byte) []byte{
		"the last record is half there":       func(d []byte) []byte { return d[:len(d)-700] },
		"only its header is there":            func(d []byte) []byte { return d[:len(d)-1000] },
		"its content never came":              func(d []byte) []byte { clear(d[len(d)-600:]); return d },
		"the length came, the octets did not": func(d []byte) []byte { return append(d, make([]byte, 3000)...) },
		"garbage came":                        func(d []byte) []byte { return append(d, []byte(strings.Repeat("uKR1garbage", 99))...) },
		"nothing but the name came":           func([]byte) []byte { return nil },
		"a piece of the start came":           func(d []byte) []byte { return d[:7] },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			first := r.commit(1000)
			last := r.commit(1000)
			r.kill()
			r.disk.set(func() {
				for n, node := range r.disk.names {
					if dirOf(n) == logDir {
						node.data = tear(node.data)
					}
				}
			})
			r.dropIndex()
			r.start()
			switch {
			case strings.Contains(name, "start"), strings.Contains(name, "name"):
				r.has(1000)
			case strings.Contains(name, "garbage"), strings.Contains(name, "length"):
				r.has(1000, first, last)
			default:
				r.has(1000, first)
			}
			if n := r.Stats().SetAside; n != 0 {
				t.Errorf("%d were set aside", n)
			}
			if loose := r.disk.loose(); len(loose) > 0 {
				t.Errorf("not synced: %v", loose)
			}
			r.commit(1000)
			r.rebuild()
			if got := len(r.everyone()); got == 0 {
				t.Error("what came after is lost")
			}
		})
	}
}

func TestASegmentOfALaterVersionIsNotTouched(t *testing.T) {
	r := newRig(t)
	r.commit(100)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	name := r.disk.find(logDir + "/")[0]
	r.disk.set(func() { copy(r.disk.names[name].data, segmentPurpose+"2\n") })
	before := r.disk.content(name)
	o := r.opts
	o.disk = r.disk
	if _, err := Open(r.dir, o); !errors.Is(err, errLater) {
		t.Errorf("open: %v", err)
	}
	if r.disk.content(name) != before {
		t.Error("it was changed")
	}
}

func TestAnIndexThatDoesNotFitIsMadeAnew(t *testing.T) {
	// Each case damages a closed queue of three messages, of which the log still has all or the first.
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, r *rig)
		left   int
	}{
		{"deleted", func(_ *testing.T, r *rig) { r.dropIndex() }, 3},
		{"no database", func(t *testing.T, r *rig) { write(t, r.dir+"/index.db", strings.Repeat("nonsense", 1000)) }, 3},
		{"empty", func(t *testing.T, r *rig) { r.dropIndex(); write(t, r.dir+"/index.db", "") }, 3},
		{"a row is missing", func(t *testing.T, r *rig) { r.sql(`DELETE FROM message WHERE id IN (SELECT min(id) FROM message)`) }, 3},
		{"a row is changed", func(t *testing.T, r *rig) { r.sql(`UPDATE message SET schedule = x'0102030405060708'`) }, 3},
		{"incomplete", func(t *testing.T, r *rig) { r.sql(`DELETE FROM position`) }, 3},
		{"ahead of the log", func(t *testing.T, r *rig) { r.sql(`UPDATE position SET offset = offset + 4096`) }, 3},
		{"of another log", func(t *testing.T, r *rig) { r.sql(`UPDATE position SET salt = salt + 1`) }, 3},
		{"of a segment that is not there", func(t *testing.T, r *rig) { r.sql(`UPDATE position SET segment = 9`) }, 3},
		{"a table is missing", func(t *testing.T, r *rig) { r.sql(`DROP TABLE message`) }, 3},
		{"of a later version", func(t *testing.T, r *rig) { r.sql(`UPDATE migration SET version = 99`) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.follow()
			ids := []mail.ID{r.commit(100), r.commit(100), r.commit(100)}
			r.done()
			r.follow()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, r)
			r.start()
			if !r.index.filling {
				t.Error("the index was used as it is")
			}
			r.has(100, ids[:c.left]...)
			r.follow()
			if r.index.filling {
				t.Error("it is still being filled")
			}
			r.restart()
			if r.index.filling {
				t.Error("the new index was not used")
			}
			r.has(100, ids[:c.left]...)
			if n := len(r.lease()); n != 0 {
				t.Errorf("%d are due that were put off", n)
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sql changes the index of a closed queue.
func (r *rig) sql(stmt string) {
	r.t.Helper()
	db, err := openIndexDB(r.t.Context(), r.dir+"/index.db")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Write.Exec(stmt); err != nil {
		r.t.Fatal(err)
	}
}

func TestIdentifiersAreNotGivenTwiceWhenTheClockWasSetBack(t *testing.T) {
	for _, withIndex := range []bool{true, false} {
		now := time.Now()
		r := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
		last := r.commit(100)
		r.done(last) // nothing but the record of its end speaks of it
		r.follow()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-time.Hour)
		if !withIndex {
			r.dropIndex()
		}
		r.start()
		if id := r.commit(100); id <= last {
			t.Errorf("with index %v: %s was given after %s", withIndex, id, last)
		}
	}
}

func TestFilesOfLargeMessagesThatNobodyNamesAreRemoved(t *testing.T) {
	r := newRig(t, func(o *Options) { o.inline = 1000 })
	keep, gone := r.commit(5000), r.commit(5000)
	d, err := r.Create(&mail.Envelope{Recipients: []mail.Recipient{{Addr: "a@one.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte(body(9000))); err != nil {
		t.Fatal(err)
	}
	if n := len(r.disk.find(partSuffix)); n != 1 {
		t.Fatalf("%d drafts on the disk", n)
	}
	r.disk.set(func() {
		r.disk.fail = func(op, name string) error {
			if op == "remove" {
				return errors.New("not today")
			}
			return nil
		}
	})
	r.done(gone)
	r.flushed()
	r.kill()
	r.disk.set(func() { r.disk.names[bigDir+"/README"] = &inode{} })
	r.start()
	want := []string{bigDir + "/README", bigName(keep)}
	slices.Sort(want)
	if got := r.disk.find(bigDir + "/"); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	r.has(5000, keep)
}

func TestAnUnreadableDiskIsAnErrorAndNotAnEmptyQueue(t *testing.T) {
	for _, op := range []string{"mkdir", "list", "open", "read", "sync", "truncate"} {
		t.Run(op, func(t *testing.T) {
			r := newRig(t)
			id := r.commit(100)
			r.kill()
			r.disk.set(func() {
				for n, node := range r.disk.names {
					if dirOf(n) == logDir {
						node.data = append(node.data, "torn"...)
					}
				}
				r.disk.fail = func(o, _ string) error {
					if o == op {
						return errors.New("trouble")
					}
					return nil
				}
			})
			r.dropIndex()
			o := r.opts
			o.disk = r.disk
			if _, err := Open(r.dir, o); err == nil {
				t.Error("opened")
			}
			r.disk.set(func() { r.disk.fail = nil })
			r.start()
			r.has(100, id)
		})
	}
}

func TestTwoSegmentsWithOneNumberAreRefused(t *testing.T) {
	r := newRig(t)
	r.commit(100)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.disk.set(func() { r.disk.names[logDir+"/0000000001-0000000000000000.seg"] = &inode{data: make([]byte, 100)} })
	o := r.opts
	o.disk = r.disk
	if _, err := Open(r.dir, o); err == nil || !strings.Contains(err.Error(), "number 1") {
		t.Errorf("open: %v", err)
	}
}
