package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/mail"
)

func TestBuffersHaveTheSizeThatWasAskedFor(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 16 << 10, 16<<10 + 1, 64 << 10, 256 << 10, 256<<10 + 1, 1 << 20, 1<<20 + 1, 5 << 20} {
		for range 2 {
			b := getBuffer(n)
			if len(*b) != n {
				t.Errorf("asked for %d, got %d", n, len(*b))
			}
			putBuffer(b)
		}
	}
	if bufferClass(1<<20) != bufferClasses-1 || bufferClass(1<<20+1) != bufferClasses {
		t.Error("the largest class is not 1 MB")
	}
}

func TestSegmentNamesAreReadAsTheyAreWritten(t *testing.T) {
	s := newSegment(12)
	got, ok := parseSegment(strings.TrimPrefix(s.name(), logDir+"/"))
	if !ok || got.no != s.no || got.salt != s.salt {
		t.Errorf("%s was read as %d %x, %v", s.name(), got.no, got.salt, ok)
	}
	for _, name := range []string{"", "x.seg", "1-2", "0000000000-00000001.seg", "1-zz.seg", "99999999999-1.seg", "1-1.seg.bak"} {
		if _, ok := parseSegment(name); ok {
			t.Errorf("%q was taken for a segment", name)
		}
	}
}

func TestOnlyALaterVersionOfASegmentIsRefused(t *testing.T) {
	for start, later := range map[string]bool{
		"": false, segmentPurpose + "1\n": false, segmentPurpose + "2\nrest": true, segmentPurpose + "2": false,
		segmentPurpose + "x\n": false, "\x00\x00garbage": false,
	} {
		if err := checkStart([]byte(start)); (err != nil) != later {
			t.Errorf("%q: %v", start, err)
		}
	}
}

func TestSkipLeavesWhatWasNotWritten(t *testing.T) {
	for n := range 7 {
		got := ""
		for _, b := range skip([][]byte{[]byte("ab"), {}, []byte("cde"), []byte("f")}, n) {
			got += string(b)
		}
		if want := "abcdef"[n:]; got != want {
			t.Errorf("after %d octets %q is left, want %q", n, got, want)
		}
	}
}

func TestALineOfMoreThanIOVMAXBuffersIsWritten(t *testing.T) {
	dir := t.TempDir()
	f, err := osDisk{dir}.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var bufs [][]byte
	want := ""
	for i := range 3000 {
		bufs = append(bufs, []byte(fmt.Sprint(i)))
		want += fmt.Sprint(i)
	}
	if n, err := f.Writev(bufs, 5); err != nil || n != int64(len(want)) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	b, err := os.ReadFile(dir + "/f")
	if err != nil || string(b) != "\x00\x00\x00\x00\x00"+want {
		t.Errorf("the file has %d octets, %v", len(b), err)
	}
	if _, err := (osDisk{dir}).Create("f"); !errors.Is(err, os.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	for _, call := range []func() error{
		func() error { _, err := osDisk{dir}.Open("g", true); return err },
		func() error { _, err := osDisk{dir}.List("g"); return err },
		func() error { return osDisk{dir}.SyncDir("g") },
		func() error { return osDisk{dir + "/f"}.MkdirAll("x") },
	} {
		if call() == nil {
			t.Error("no error for what is not there")
		}
	}
}

func TestAQueueThatIsNotOpenForWritingSaysSoAtTheRealDisk(t *testing.T) {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	closed := osFile{f}
	if _, err := closed.Writev([][]byte{{1}}, 0); err == nil {
		t.Error("wrote to a closed file")
	}
	if _, err := closed.Size(); err == nil {
		t.Error("a closed file has a size")
	}
}

func TestFewFilesAreOpenHoweverManySegmentsThereAre(t *testing.T) {
	d := newFaultDisk()
	h := &handles{disk: d, max: 8}
	var segs []*segment
	for no := range uint32(40) {
		s := newSegment(no + 1)
		d.names[s.name()] = &inode{data: []byte(fmt.Sprint(no))}
		segs = append(segs, s)
	}
	segs[3].pin()
	b := make([]byte, 1)
	if _, err := h.read(segs[3], b, 0); err != nil {
		t.Fatal(err)
	}
	pinned := segs[3].f
	for range 3 {
		for _, s := range segs {
			s.pin()
			if _, err := h.read(s, b, 0); err != nil || b[0] != fmt.Sprint(s.no - 1)[0] {
				t.Fatalf("segment %d: %q, %v", s.no, b, err)
			}
			s.unpin()
			if len(h.open) > 9 {
				t.Fatalf("%d files are open", len(h.open))
			}
		}
	}
	if segs[3].f != pinned {
		t.Error("a file was closed while it was read")
	}
	segs[3].unpin()
	h.forget(segs[3])
	h.close()
	for _, s := range segs {
		if s.f != nil {
			t.Errorf("segment %d is still open", s.no)
		}
	}
}

func TestManyReadersShareFewFiles(t *testing.T) {
	r := newRig(t, small)
	r.handles.max = 2
	var ids []mail.ID
	for range 60 {
		ids = append(ids, r.commit(1000))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if text, err := r.content(ids[rand.IntN(len(ids))]); err != nil || text != body(1000) {
					t.Errorf("%d octets, %v", len(text), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The lines are compared with a list that is searched from the start each time.
func TestLinesGiveWhatASimpleListGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := newBook()
	waiting := make(map[uint32]int64)
	now := int64(1_000_000)
	for step := range 20_000 {
		switch rng.IntN(5) {
		case 0, 1:
			i := b.add(mail.ID(step+1), pos{1, 32}, 10)
			j := b.addDelivery(i, 0, fmt.Sprintf("d%d", rng.IntN(12)))
			due := now + int64(rng.IntN(200)) - 100
			b.plan(j, &DeliveryState{Due: milli(due), Tag: fmt.Sprint(rng.IntN(3))}, now)
			waiting[j] = due
		case 2:
			now += int64(rng.IntN(20))
		case 3:
			for j := range waiting { // any one
				due := now + int64(rng.IntN(200)) - 100
				b.plan(j, &DeliveryState{Due: milli(due), Held: rng.IntN(8) == 0}, now)
				if waiting[j] = due; b.deliveries.at(j).is(deliveryHeld) {
					delete(waiting, j)
					b.drop(b.deliveries.at(j).message)
				}
				break
			}
		case 4:
			per := rng.IntN(3)
			skipped := fmt.Sprintf("d%d", rng.IntN(12))
			q := LeaseQuery{Now: milli(now), Max: rng.IntN(10), PerDomain: per, Skip: func(d string) bool { return d == skipped }}
			taken := make(map[string]int64)
			count := make(map[string]int)
			b.lines.take(&q, func(j uint32) {
				d := b.deliveries.at(j)
				name := b.lines.all[d.domain].name
				if waiting[j] != d.due || d.due > now || name == skipped || d.due < taken[name] {
					t.Fatalf("step %d: took %d of %s, due %d at %d", step, j, name, d.due, now)
				}
				taken[name] = d.due
				if count[name]++; per > 0 && count[name] > per {
					t.Fatalf("%d of %s", count[name], name)
				}
				delete(waiting, j)
				b.drop(d.message)
			})
		}
	}
	left := 0
	b.lines.take(&LeaseQuery{Now: milli(math.MaxInt32 * 1000), Max: math.MaxInt}, func(j uint32) {
		if _, ok := waiting[j]; !ok {
			t.Fatalf("%d came twice", j)
		}
		left++
		b.drop(b.deliveries.at(j).message)
	})
	if left != len(waiting) {
		t.Errorf("%d were left, want %d", left, len(waiting))
	}
	if len(b.lines.byName) != 0 || len(b.tags.byName) != 0 || len(b.byID) != 0 || b.open != 0 || b.held != 0 {
		t.Errorf("an empty book remembers %d domains, %d tags, %d messages", len(b.lines.byName), len(b.tags.byName), len(b.byID))
	}
}

func TestMoreMailThanFitsWarmIsReadFromTheLog(t *testing.T) {
	r := newRig(t)
	const n = 300
	for range n {
		r.commit(50, "a@one.example", "b@two.example")
	}
	r.mu.Lock()
	clear(r.book.warm) // as if maxWarm were 0
	r.mu.Unlock()
	envs := make(map[mail.ID]*mail.Envelope)
	for k, d := range r.lease() {
		if e := envs[k.ID]; e != nil && e != d.Envelope {
			t.Error("two deliveries of a message have two envelopes")
		}
		envs[k.ID] = d.Envelope
		if len(d.Recipients) != 1 || !strings.HasPrefix(d.Envelope.Recipients[d.Recipients[0]].Addr, map[string]string{"one.example": "a", "two.example": "b"}[d.Domain]) {
			t.Errorf("%v: %v of %v", k, d.Recipients, d.Envelope.Recipients)
		}
	}
	if len(envs) != n {
		t.Errorf("%d messages were leased", len(envs))
	}
}

func TestTheIndexIsMadeAnewWhenItIsDamagedWhileMailFlows(t *testing.T) {
	r := newRig(t)
	r.follow()
	ids := []mail.ID{r.commit(100), r.commit(100)}
	r.done()
	r.follow()
	db, err := openIndexDB(t.Context(), r.dir+"/index.db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.Exec(`UPDATE message SET schedule = x'00'`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	r.lines(t, "")
	if _, err := r.Change(t.Context(), Filter{IDs: ids[:1]}, HoldOrder, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.index.follow(0); err == nil {
		t.Fatal("the damage was not seen")
	}
	ids = append(ids, r.commit(100))
	r.follow()
	bad, err := os.ReadDir(r.dir)
	if err != nil || !slices.ContainsFunc(bad, func(e os.DirEntry) bool { return strings.Contains(e.Name(), "index.db.bad-") }) {
		t.Errorf("the damaged one was not kept: %v, %v", bad, err)
	}
	r.kill()
	r.start()
	if r.index.filling {
		t.Error("the new index is not complete")
	}
	r.has(100, ids...)
	if n := r.Stats().Held; n != 1 {
		t.Errorf("%d are held", n)
	}
}

// lines lists all messages by a search that the index answers.
func (r *rig) lines(t *testing.T, sender string) int {
	t.Helper()
	ms, err := r.List(t.Context(), Filter{Sender: sender})
	if err != nil {
		t.Fatal(err)
	}
	return len(ms)
}

func TestSearchGoesOnWithoutAnIndex(t *testing.T) {
	r := newRig(t)
	first, second := r.commit(100), r.commit(100)
	if n := r.lines(t, "@example.org"); n != 2 {
		t.Errorf("while it is being filled: %d", n)
	}
	r.follow()
	r.index.db.Read.Close()
	if n := r.lines(t, "@example.org"); n != 2 {
		t.Errorf("when it cannot be read: %d", n)
	}
	ms, err := r.List(t.Context(), Filter{After: first})
	if err != nil || len(ms) != 1 || ms[0].Envelope.ID != second {
		t.Errorf("behind the first: %d, %v", len(ms), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.List(ctx, Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := r.Get(ctx, first); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := r.Release(ctx, "x", time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAnIndexThatCannotBeWrittenIsFilledLater(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.index.db.Write.Close()
	id := r.commit(100)
	r.flushed()
	if err := r.index.follow(0); err == nil {
		t.Fatal("no error was seen")
	}
	if lag := r.Stats().IndexLag; lag <= 0 {
		t.Errorf("the index is %v behind", lag)
	}
	r.index.mu.Lock()
	if !r.index.failing {
		t.Error("it is not known to be failing")
	}
	r.index.ops = make([]op, maxOps) // as many as there may be
	r.index.mu.Unlock()
	second := r.commit(100)
	r.index.mu.Lock()
	if n := len(r.index.ops); n > 10 || !r.index.filling {
		t.Errorf("%d are waiting for it, filling %v", n, r.index.filling)
	}
	r.index.mu.Unlock()
	r.index.renew()
	r.follow()
	r.kill()
	r.start()
	if r.index.filling {
		t.Error("it is not complete")
	}
	r.has(100, id, second)
}

func TestAnOrderToWhatIsSettledMeanwhileSeesTheSettlement(t *testing.T) {
	r := newRig(t)
	id := r.commit(100, "a@one.example", "b@one.example")
	ds := r.lease()
	views := r.views([]mail.ID{id})
	l, err := r.load(views[0])
	if err != nil {
		t.Fatal(err)
	}
	views[0].release()
	for k := range ds { // between the look and the order
		if err := r.Settle(Settlement{Key: k, Done: []int{0}, Next: DeliveryState{Attempts: 1, Due: tomorrow}}); err != nil {
			t.Fatal(err)
		}
	}
	r.flushed()
	if !r.order(&Filter{}, views[0], l, HoldOrder, time.Now()) {
		t.Error("the order touched nothing")
	}
	m, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Deliveries[0]; !slices.Equal(d.Recipients, []int{1}) || !d.State.Held || d.State.Attempts != 1 {
		t.Errorf("%+v: the settlement was undone", d)
	}
	var st state
	if n := r.releaseOne(&view{id: id, dels: []deliveryView{{index: 99}}}, &st, "", time.Now()); n != 0 {
		t.Error("a delivery was released that is not what was looked at")
	}
	r.end(id)
	if r.order(&Filter{}, views[0], l, HoldOrder, time.Now()) {
		t.Error("an order touched a message that has gone")
	}
}

func TestALeaseThatIsGoneCannotBeGivenBack(t *testing.T) {
	r := newRig(t)
	id := r.commit(100)
	r.lease()
	r.mu.Lock()
	i, m := r.book.find(id)
	v := r.book.viewOf(m.first)
	r.mu.Unlock()
	v.release()
	_ = i
	r.unlease(picked{index: m.first, view: v, out: &lease{}}, errors.New("trouble"))
	if n := r.Stats().Leased; n != 1 {
		t.Errorf("%d are leased", n)
	}
}
