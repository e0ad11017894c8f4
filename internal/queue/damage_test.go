package queue

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"ukai/internal/mail"
)

// place returns the segment's file and the offset of a message's record.
func (r *rig) place(id mail.ID) (name string, off, size int64) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	_, m := r.book.find(id)
	if m == nil {
		r.t.Fatalf("%s is not there", id)
	}
	return r.book.segs[m.at.seg].name(), int64(m.at.off), int64(m.size)
}

// statePlace returns the same of the state record of its first delivery.
func (r *rig) statePlace(id mail.ID) (name string, off int64) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	_, m := r.book.find(id)
	d := r.book.deliveries.at(m.first)
	return r.book.segs[d.at.seg].name(), int64(d.at.off)
}

// wounds are the places of a record that can be damaged.
var wounds = map[string]struct {
	off  int64
	file string // of the set-aside message; "" if nobody can tell whose it was
	raw  string
}{
	"content":       {headerSize + 600, emlSuffix, ""},
	"envelope":      {headerSize + 20, rawSuffix, ""},
	"header":        {12, rawSuffix, rawSuffix},
	"magic":         {0, rawSuffix, rawSuffix},
	"header's sums": {17, rawSuffix, rawSuffix},
}

func TestADamagedMessageIsSetAsideWhenItIsRead(t *testing.T) {
	for name, w := range wounds {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			before, hurt, after := r.commit(1000), r.commit(1000, "a@one.example", "b@two.example"), r.commit(1000)
			r.follow()
			ds := r.lease()
			file, off, _ := r.place(hurt)
			r.disk.spoil(file, off+w.off)
			if _, err := r.content(hurt); !errors.Is(err, ErrSetAside) {
				t.Errorf("open: %v, want ErrSetAside", err)
			}
			for range 2 {
				if _, err := r.content(hurt); !errors.Is(err, ErrSetAside) {
					t.Errorf("open again: %v, want ErrSetAside", err)
				}
				if _, err := r.Get(t.Context(), hurt); !errors.Is(err, ErrSetAside) {
					t.Errorf("get: %v, want ErrSetAside", err)
				}
				if n := r.Stats().SetAside; n != 1 {
					t.Errorf("%d were set aside", n)
				}
				r.has(1000, before, after)
				r.restart()
			}
			for k, d := range ds {
				if k.ID == hurt {
					if err := r.Settle(Settlement{Key: k, Done: d.Recipients}); !errors.Is(err, ErrSetAside) {
						t.Errorf("settle: %v, want ErrSetAside", err)
					}
				}
			}
			text := r.disk.content(asideDir + "/" + hurt.String() + w.file)
			for _, part := range []string{"X-Ukai-Set-Aside: ", hurt.String(), "sender@example.org", "b@two.example", body(500)} {
				if !strings.Contains(text, part) {
					t.Errorf("the file does not hold %.40q:\n%.600s", part, text)
				}
			}
			r.dropAll(before, after)
		})
	}
}

// dropAll ends the messages that are left.
func (r *rig) dropAll(ids ...mail.ID) {
	r.t.Helper()
	for _, id := range ids {
		r.end(id)
	}
	r.has(0)
}

func TestADamagedMessageInTheMiddleOfTheLogIsSetAsideWhenTheLogIsRead(t *testing.T) {
	for name, w := range wounds {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			before, hurt, after := r.commit(1000), r.commit(1000), r.commit(1000)
			file, off, _ := r.place(hurt)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r.disk.spoil(file, off+w.off)
			for range 3 {
				r.dropIndex()
				r.start()
				r.has(1000, before, after)
				if n := r.Stats().SetAside; n != 1 {
					t.Errorf("%d were set aside: %v", n, r.disk.find(asideDir))
				}
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			files := r.disk.find(asideDir + "/")
			if !strings.Contains(r.disk.content(files[0]), body(500)) {
				t.Errorf("%v do not hold what can be read", files)
			}
			r.start()
		})
	}
}

func TestADamagedMessageIsSetAsideWhenItIsMovedOrLeased(t *testing.T) {
	for name, w := range wounds {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, small)
			moved, leased := r.commit(1000), r.commit(1000)
			r.done() // both are tried once: nothing of them is in memory
			var dead []mail.ID
			for range 20 {
				dead = append(dead, r.commit(1000))
			}
			r.done(dead...)
			r.follow()
			file, off, _ := r.place(leased)
			r.disk.spoil(file, off+w.off)
			if name != "content" { // the content is not read to lease
				ds, err := r.Lease(t.Context(), LeaseQuery{Now: tomorrow.Add(time.Hour), Max: 9})
				if err != nil || len(ds) != 1 || ds[0].ID != moved {
					t.Errorf("leased %d, %v", len(ds), err)
				}
			}
			file, off, _ = r.place(moved)
			r.disk.spoil(file, off+w.off)
			r.compacted()
			if n := r.Stats().SetAside; n != 2 {
				t.Errorf("%d were set aside, want 2: %v", n, r.disk.find(asideDir))
			}
			r.has(1000)
			if nos := r.segments(); nos[0] == 1 {
				t.Errorf("the damaged segment is still there: %v", nos)
			}
		})
	}
}

func TestADamagedStateSetsItsMessageAside(t *testing.T) {
	for _, how := range []string{"lease", "get", "list", "release", "move", "index"} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, small)
			id := r.commit(1000)
			r.follow()
			for _, d := range r.lease() {
				if err := r.Settle(Settlement{Key: d.Key, Next: DeliveryState{Attempts: 1, Due: tomorrow, Tag: "x", Last: "451 later"}}); err != nil {
					t.Fatal(err)
				}
			}
			r.flushed()
			var dead []mail.ID
			for range 20 {
				dead = append(dead, r.commit(1000))
			}
			r.done(dead...)
			if how != "index" {
				r.follow()
			}
			file, off := r.statePlace(id)
			r.disk.spoil(file, off+headerSize+12)
			switch how {
			case "lease":
				if ds, err := r.Lease(t.Context(), LeaseQuery{Now: tomorrow.Add(time.Hour), Max: 9}); err != nil || len(ds) != 0 {
					t.Errorf("leased %d, %v", len(ds), err)
				}
			case "get":
				if _, err := r.Get(t.Context(), id); !errors.Is(err, ErrSetAside) {
					t.Errorf("get: %v", err)
				}
			case "list":
				if ms, err := r.List(t.Context(), Filter{}); err != nil || len(ms) != 0 {
					t.Errorf("listed %d, %v", len(ms), err)
				}
			case "release":
				if n, err := r.Release(t.Context(), "x", time.Now()); err != nil || n != 0 {
					t.Errorf("released %d, %v", n, err)
				}
			case "move":
				r.compacted()
			case "index":
				r.follow()
			}
			if !r.aside.has(id) {
				t.Fatal("it was not set aside")
			}
			text := r.disk.content(asideDir + "/" + id.String() + emlSuffix)
			if !strings.Contains(text, "who has received it") || !strings.Contains(text, body(1000)) {
				t.Errorf("the file:\n%.300s", text)
			}
			r.follow()
			r.restart()
			r.has(1000)
		})
	}
}

func TestADamagedStateIsReportedWhenTheLogIsRead(t *testing.T) {
	r := newRig(t)
	id := r.commit(1000)
	r.done()
	r.commit(1000)
	file, off := r.statePlace(id)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.disk.spoil(file, off+headerSize+12)
	r.dropIndex()
	r.start()
	if n := r.Stats(); n.SetAside != 1 || n.Messages != 2 {
		t.Errorf("%+v", n)
	}
}

func TestADamagedLargeContentIsSetAside(t *testing.T) {
	for _, how := range []string{"changed", "shorter", "longer", "missing"} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.inline = 1000 })
			id, other := r.commit(5000), r.commit(5000)
			r.disk.set(func() {
				node := r.disk.names[bigName(id)]
				switch how {
				case "changed":
					node.data[4000] ^= 1
				case "shorter":
					node.data = node.data[:4000]
				case "longer":
					node.data = append(node.data, 'x')
				case "missing":
					delete(r.disk.names, bigName(id))
				}
			})
			text, err := r.content(id)
			if !errors.Is(err, ErrSetAside) {
				t.Errorf("read %d octets and %v, want ErrSetAside", len(text), err)
			}
			kept := r.disk.content(asideDir + "/" + id.String() + emlSuffix)
			if !strings.Contains(kept, "a@one.example") || how != "missing" && !strings.Contains(kept, body(3000)) {
				t.Errorf("the file holds %.200q", kept)
			}
			r.has(5000, other)
			r.rebuild()
			r.has(5000, other)
			if n := len(r.disk.find(bigDir + "/")); n != 1 {
				t.Errorf("%d large files are left", n)
			}
		})
	}
}

func TestALargeContentWhoseRecordIsLostIsSetAsideToo(t *testing.T) {
	for _, rebuild := range []bool{true, false} {
		r := newRig(t, func(o *Options) { o.inline = 1000 })
		id := r.commit(5000)
		other := r.commit(5000)
		r.follow()
		file, off, _ := r.place(id)
		r.disk.spoil(file, off+headerSize+2)
		if rebuild {
			r.rebuild()
		} else if _, err := r.content(id); !errors.Is(err, ErrSetAside) {
			t.Errorf("open: %v", err)
		}
		if got := r.disk.content(asideDir + "/" + id.String() + lostSuffix); got != body(5000) {
			t.Errorf("rebuild %v: %d octets were kept", rebuild, len(got))
		}
		r.has(5000, other)
	}
}

func TestADiskThatCannotBeReadIsNotDamage(t *testing.T) {
	r := newRig(t)
	id := r.commit(1000)
	r.done()
	trouble := errors.New("trouble")
	r.disk.set(func() {
		r.disk.fail = func(op, _ string) error {
			if op == "read" || op == "open" {
				return trouble
			}
			return nil
		}
	})
	if _, err := r.content(id); !errors.Is(err, trouble) {
		t.Errorf("open: %v", err)
	}
	if _, err := r.Get(t.Context(), id); !errors.Is(err, trouble) {
		t.Errorf("get: %v", err)
	}
	if _, err := r.List(t.Context(), Filter{}); !errors.Is(err, trouble) {
		t.Errorf("list: %v", err)
	}
	later := tomorrow.Add(time.Hour)
	if ds, err := r.Lease(t.Context(), LeaseQuery{Now: later, Max: 9}); err != nil || len(ds) != 0 {
		t.Errorf("leased %d, %v", len(ds), err)
	}
	r.disk.set(func() { r.disk.fail = nil })
	if s := r.Stats(); s.SetAside != 0 || s.Leased != 0 || s.Messages != 1 {
		t.Errorf("%+v", s)
	}
	ds, err := r.Lease(t.Context(), LeaseQuery{Now: later, Max: 9})
	if err != nil || len(ds) != 1 {
		t.Errorf("when the disk is back, leased %d, %v", len(ds), err)
	}
}

func TestWhatCannotBeSetAsideStays(t *testing.T) {
	r := newRig(t)
	id := r.commit(1000)
	file, off, _ := r.place(id)
	r.disk.spoil(file, off+headerSize+600)
	r.disk.set(func() {
		r.disk.fail = func(op, name string) error {
			if op == "create" && dirOf(name) == asideDir {
				return errors.New("trouble")
			}
			return nil
		}
	})
	if _, err := r.content(id); err == nil || errors.Is(err, ErrSetAside) {
		t.Errorf("open: %v", err)
	}
	if n := r.Stats().Messages; n != 1 {
		t.Errorf("%d messages", n)
	}
	r.disk.set(func() { r.disk.fail = nil })
	if _, err := r.content(id); !errors.Is(err, ErrSetAside) {
		t.Errorf("open later: %v", err)
	}
}

func TestASyncErrorWhileSettingAsideEndsTheWork(t *testing.T) {
	r := newRig(t)
	id := r.commit(1000)
	file, off, _ := r.place(id)
	r.disk.spoil(file, off+headerSize+600)
	r.disk.set(func() {
		r.disk.fail = func(op, name string) error {
			if op == "sync" && dirOf(name) == asideDir {
				return errors.New("trouble")
			}
			return nil
		}
	})
	if _, err := r.content(id); !errors.Is(err, ErrBroken) {
		t.Errorf("open: %v", err)
	}
}

// What a sender writes cannot pass for a record: he does not know the salt of the segment.
func TestARecordInsideAMessageIsNotTakenForOne(t *testing.T) {
	r := newRig(t)
	forged := r.commit(100)
	file, off, size := r.place(forged)
	record := r.disk.content(file)[off : off+size]
	d, err := r.Create(&mail.Envelope{Recipients: []mail.Recipient{{Addr: "a@one.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	for pad := range 8 {
		if _, err := io.WriteString(d, strings.Repeat(" ", pad)+record); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	carrier := r.everyone()[1]
	r.done(forged)
	last := r.commit(100)
	file, off, _ = r.place(carrier)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.disk.spoil(file, off+9)
	r.dropIndex()
	r.start()
	r.has(100, last)
	if n := r.Stats().SetAside; n != 1 {
		t.Errorf("%d were set aside", n)
	}
}
