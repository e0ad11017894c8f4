package queue

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"ukai/internal/mail"
)

func TestCompactionRemovesWhatIsDeadAndMovesWhatIsLeft(t *testing.T) {
	r := newRig(t, small)
	keep := r.commit(1000)
	var dead []mail.ID
	for range 40 {
		dead = append(dead, r.commit(1000))
	}
	r.done(dead...)
	before := r.Stats().Bytes
	r.compacted()
	if nos := r.segments(); slices.Contains(nos, 1) || len(nos) > 2 {
		t.Errorf("segments %v are left", nos)
	}
	if after := r.Stats().Bytes - r.spares.size(); after > before/4 {
		t.Errorf("%d octets before, %d after", before, after)
	}
	if loose := r.disk.loose(); len(loose) > 0 {
		t.Errorf("not synced: %v", loose)
	}
	r.has(1000, keep)
	if s := r.lease(); len(s) != 0 {
		t.Errorf("%d deliveries are due, the one left was put off", len(s))
	}
	r.rebuild()
	r.has(1000, keep)
	m, err := r.Get(t.Context(), keep)
	if err != nil || !m.Deliveries[0].State.Due.Equal(tomorrow) || m.Deliveries[0].State.Last != "later" {
		t.Errorf("its state did not move with it: %+v, %v", m, err)
	}
}

func TestCompactionLeavesASegmentThatIsAThirdAlive(t *testing.T) {
	r := newRig(t, small)
	var ids []mail.ID
	for range 24 {
		ids = append(ids, r.commit(1000))
	}
	var dead []mail.ID
	for i, id := range ids {
		if i%2 == 0 {
			dead = append(dead, id)
		}
	}
	r.done(dead...)
	r.compacted()
	if nos := r.segments(); !slices.Contains(nos, 1) || !slices.Contains(nos, 2) {
		t.Errorf("segments %v are left", nos)
	}
}

// A kindDone record outlives the segment it stands in as long as a segment with its message exists.
func TestWhatIsDoneStaysDoneWhenItsRecordIsMoved(t *testing.T) {
	r := newRig(t, small)
	gone := r.commit(1000)
	var live []mail.ID
	for range 7 { // they keep the first segment
		live = append(live, r.commit(1000))
	}
	var dead []mail.ID
	for range 2 {
		dead = append(dead, r.commit(3000))
	}
	r.done(append(dead, gone)...)
	r.flushed()
	dead = nil
	for range 6 {
		dead = append(dead, r.commit(3000))
	}
	r.done(dead...)
	r.compacted()
	if nos := r.segments(); !slices.Contains(nos, 1) || slices.Contains(nos, 2) {
		t.Fatalf("segments %v: the test wants 1 kept and 2 gone", nos)
	}
	for range 3 {
		r.rebuild()
		r.has(1000, live...)
		r.compacted() // of segments whose kindDone records nobody has counted
	}
}

// gate stops the writer at the sync of a segment.
type gate struct {
	mu      sync.Mutex
	armed   bool
	reached chan struct{}
	open    chan struct{}
}

func newGate(d *faultDisk) *gate {
	g := &gate{reached: make(chan struct{}), open: make(chan struct{})}
	d.fail = func(op, _ string) error {
		g.mu.Lock()
		stop := op == "sync" && g.armed
		if stop {
			g.armed = false
		}
		g.mu.Unlock()
		if stop {
			close(g.reached)
			d.mu.Unlock() // the disk goes on serving others
			<-g.open
			d.mu.Lock()
		}
		return nil
	}
	return g
}

func (g *gate) arm() {
	g.mu.Lock()
	g.armed = true
	g.mu.Unlock()
}

// A message that is done while compaction moves it has a kindAdd record in the old segment and one in the new. Its kindDone
// record says so, and outlives both.
func TestWhatIsDoneWhileItIsMovedStaysDone(t *testing.T) {
	r := newRig(t, func(o *Options) { o.segmentSize = 4 << 10 })
	moving := r.commit(1000)
	var dead []mail.ID
	for range 3 {
		dead = append(dead, r.commit(1000))
	}
	r.done(dead...)
	r.flushed()
	live := []mail.ID{r.commit(1000), r.commit(1000), r.commit(1000)} // in the second segment, with room for one more
	g := newGate(r.disk)
	g.arm()
	first := r.book.segs[1]
	if err := r.keeper.empty(first); err != nil {
		t.Fatal(err)
	}
	<-g.reached
	r.mu.Lock()
	i, m := r.book.find(moving)
	if m.flags&messageMoving == 0 {
		t.Error("it is not being moved: the test is at fault")
	}
	err := r.buryLocked(i)
	r.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	close(g.open)
	r.flushed()
	r.follow()
	if err := r.keeper.remove(first); err != nil {
		t.Fatal(err)
	}
	filler := r.commit(6000)
	r.done(filler)
	r.flushed()
	live = append(live, r.commit(1000))
	r.compacted()
	if nos := r.segments(); !slices.Contains(nos, 2) || slices.Contains(nos, 3) {
		t.Fatalf("segments %v: the test wants 2, with the copy, kept and 3, with the record of its end, gone", nos)
	}
	r.rebuild()
	r.has(1000, live...)
}

// The index has read what compaction moved before a segment goes: after a kill it still fits the log.
func TestASegmentGoesOnlyWhenTheIndexHasReadWhatMoved(t *testing.T) {
	r := newRig(t, small)
	r.follow() // the first time it fills itself
	keep := r.commit(1000)
	var dead []mail.ID
	for range 30 {
		dead = append(dead, r.commit(1000))
	}
	r.done(dead...)
	r.compacted()
	if slices.Contains(r.segments(), 1) {
		t.Fatal("the first segment is still there")
	}
	r.commit(1000)
	r.kill()
	r.start()
	if r.index.filling {
		t.Error("the index did not fit the log")
	}
	if n := r.Stats().Messages; n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	if text, err := r.content(keep); err != nil || text != body(1000) {
		t.Errorf("the one that moved: %d octets, %v", len(text), err)
	}
}

func TestCompactionGoesOnAfterAnErrorWhereItStopped(t *testing.T) {
	for _, op := range []string{"rename", "read", "write"} {
		t.Run(op, func(t *testing.T) {
			r := newRig(t, small)
			keep := r.commit(1000)
			var dead []mail.ID
			for range 30 {
				dead = append(dead, r.commit(1000))
			}
			r.done(dead...)
			r.follow()
			r.disk.set(func() {
				if op == "write" {
					r.disk.room = 100
					return
				}
				r.disk.fail = func(o, name string) error {
					if o == op && dirOf(name) == logDir {
						return errors.New("trouble")
					}
					return nil
				}
			})
			if err := r.compact(); err == nil {
				t.Error("no error was seen")
			}
			if !slices.Contains(r.segments(), 1) {
				t.Error("the first segment has gone")
			}
			r.disk.set(func() { r.disk.fail, r.disk.room = nil, 1<<40 })
			r.compacted()
			if nos := r.segments(); slices.Contains(nos, 1) {
				t.Errorf("segments %v", nos)
			}
			r.has(1000, keep)
			r.rebuild()
			r.has(1000, keep)
		})
	}
}

func TestDeadSegmentsAreWrittenOverByNewOnes(t *testing.T) {
	r := newRig(t, small)
	var last []mail.ID
	for round := range 6 {
		var ids []mail.ID
		for range 30 {
			ids = append(ids, r.commit(1000))
		}
		r.done(ids[1:]...)
		for _, id := range last {
			r.end(id)
		}
		last = ids[:1]
		r.compacted()
		spares := r.disk.find(sparePrefix)
		if len(spares) == 0 || len(spares) > maxSpares || r.spares.size() == 0 {
			t.Fatalf("round %d: spares %v, %d octets", round, spares, r.spares.size())
		}
		r.kill() // in the middle of a segment that has old records behind its end
		if round%2 == 0 {
			r.dropIndex()
		}
		r.start()
		r.has(1000, last...)
		if n := r.Stats().SetAside; n != 0 {
			t.Fatalf("%d were set aside: old records were taken for damaged ones", n)
		}
	}
	r.restart()
	r.has(1000, last...)
	for no, s := range r.book.segs {
		if size := int64(len(r.disk.content(s.name()))); size != s.size {
			t.Errorf("segment %d is longer than its records: %d, %d", no, size, s.size)
		}
	}
}

func TestSparesGoWhenTheDiskIsShortOfRoom(t *testing.T) {
	r := newRig(t, small)
	var ids []mail.ID
	for range 60 {
		ids = append(ids, r.commit(1000))
	}
	r.done(ids...)
	r.compacted()
	if len(r.disk.find(sparePrefix)) == 0 {
		t.Fatal("there are no spares")
	}
	r.disk.set(func() { r.disk.room = 10 })
	if _, err := r.take(20_000, "a@one.example"); !errors.Is(err, ErrFull) {
		t.Errorf("take: %v, want ErrFull", err)
	}
	if names := r.disk.find(sparePrefix); len(names) != 0 {
		t.Errorf("%v are still there", names)
	}
}

func TestASpareThatCannotBeUsedIsPassedOver(t *testing.T) {
	r := newRig(t, small)
	var ids []mail.ID
	for range 60 {
		ids = append(ids, r.commit(1000))
	}
	r.done(ids...)
	r.compacted()
	r.disk.set(func() {
		r.disk.fail = func(op, name string) error {
			if strings.Contains(name, sparePrefix) {
				return errors.New("trouble")
			}
			return nil
		}
	})
	ids = nil
	for range 30 {
		ids = append(ids, r.commit(1000))
	}
	r.has(1000, ids...)
}
