package connect

import (
	"context"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"ukai/internal/mtaconf"
)

// killed is what a test throws in the place of kill -9: nothing of what comes behind it is done.
type killed struct{ step int }

// faults breaks the disk at a step: once for good (a full disk stays full), or by the death of the process.
type faults struct {
	at, n int
	err   error
	only  func(what string) bool
	trace []string
}

func (f *faults) step(what, path string) error {
	if f.only != nil && !f.only(what) {
		return nil
	}
	f.n++
	f.trace = append(f.trace, what+" "+path)
	if f.err == nil {
		if f.n == f.at {
			panic(killed{f.n})
		}
		return nil
	}
	if f.at > 0 && f.n >= f.at {
		return f.err
	}
	return nil
}

// what is done to a box in these tests.
var acts = map[string]struct {
	before func(b *box, e *Engine)
	do     func(b *box, e *Engine) error
}{
	"connecting": {func(*box, *Engine) {}, applyAct},
	"connecting again with other words": {func(b *box, e *Engine) {
		b.apply(e)
		b.write("/etc/mta/main", strings.Replace(b.read("/etc/mta/main"), "name = a\n", "name = a\nhand = 1\n", 1))
		b.load()
		b.wish.Peer.Port = 2526
	}, applyAct},
	"taking out": {func(b *box, e *Engine) { b.apply(e) }, func(b *box, e *Engine) error {
		t, err := e.Connected("", "")
		if err != nil {
			return err
		}
		_, err = e.Remove(context.Background(), t)
		return err
	}},
}

func applyAct(b *box, e *Engine) error {
	t, err := e.Find("", "")
	if err != nil {
		return err
	}
	_, err = e.Apply(context.Background(), t, Request{Wish: b.wish})
	return err
}

// settled is how the box looks: what the server has, and what is kept (times of writing left out).
func settled(b *box) string {
	b.t.Helper()
	var lines []string
	for _, l := range strings.Split(b.snapshot(), "\n") {
		name, rest, _ := strings.Cut(l, " ")
		if strings.Contains(name, "manifest.json") {
			rest = ""
		}
		if i := strings.Index(rest, "20"); i > 0 && !strings.Contains(rest, "2019-04-15") {
			rest = rest[:i] + rest[strings.IndexByte(rest[i:], 'Z')+i:]
		}
		lines = append(lines, name+" "+rest)
	}
	return strings.Join(lines, "\n")
}

func TestKilledAtAnyStepLeavesTheOldOrTheNew(t *testing.T) {
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			clean := crashBox(t)
			act.before(clean, clean.engine(nil))
			old := settled(clean)
			e := clean.engine(nil)
			count := &faults{}
			e.disk.step = count.step
			if err := act.do(clean, e); err != nil {
				t.Fatal(err)
			}
			fresh := settled(clean)
			if count.n < 15 || old == fresh {
				t.Fatalf("%d steps: %q", count.n, count.trace)
			}
			outcomes := map[string]int{}
			for at := 1; at <= count.n; at++ {
				b := crashBox(t)
				act.before(b, b.engine(nil))
				e := b.engine(nil)
				f := &faults{at: at}
				e.disk.step = f.step
				die(t, func() { _ = act.do(b, e) })
				after := b.engine(nil)
				if st, err := after.Status(t.Context(), connectedOr(t, after), nil); err != nil {
					t.Fatalf("killed at %s: %v %+v", f.trace[at-1], err, st)
				}
				switch got := settled(b); got {
				case old:
					outcomes["old"]++
				case fresh:
					outcomes["new"]++
				default:
					t.Fatalf("killed at step %d, %s: neither old nor new\nagainst the old:\n%s\nagainst the new:\n%s", at, f.trace[at-1],
						Unified("tree", []byte(old), []byte(got)), Unified("tree", []byte(fresh), []byte(got)))
				}
				if b.loaded != b.read("/etc/mta/main") {
					t.Fatalf("killed at step %d, %s: the server runs by something else than it has", at, f.trace[at-1])
				}
			}
			if outcomes["old"] == 0 || outcomes["new"] == 0 {
				t.Errorf("%v", outcomes)
			}
		})
	}
}

// crashBox is a box where /var/lib/ukai is there: who made an empty directory, nobody can tell after a crash.
func crashBox(t *testing.T) *box {
	b := newBox(t)
	b.mkdir("/var/lib/ukai")
	return b
}

func connectedOr(t *testing.T, e *Engine) *Target {
	t.Helper()
	target, err := e.Connected("", "")
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// die runs something that is killed in the middle.
func die(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
		}
	}()
	f()
}

func TestADiskThatFillsUpAtAnyStepLeavesTheOld(t *testing.T) {
	for name, act := range acts {
		for what, err := range map[string]error{"full": syscall.ENOSPC, "read only": syscall.EROFS} {
			t.Run(name+", "+what, func(t *testing.T) {
				clean := crashBox(t)
				act.before(clean, clean.engine(nil))
				if err := act.do(clean, clean.engine(nil)); err != nil {
					t.Fatal(err)
				}
				fresh := settled(clean)
				only := func(act string) bool {
					return act == actWrite || act == actMkdir || what == "read only" && act != actRun
				}
				for at := 1; ; at++ {
					b := crashBox(t)
					act.before(b, b.engine(nil))
					old := settled(b)
					e := b.engine(nil)
					f := &faults{at: at, err: err, only: only}
					e.disk.step = f.step
					failed := act.do(b, e)
					if f.n < at {
						if failed != nil {
							t.Fatal(failed)
						}
						return // it has fewer steps
					}
					if what == "read only" { // what cannot be put back is, by whoever comes when the disk can be written again
						after := b.engine(nil)
						if _, err := after.Status(t.Context(), connectedOr(t, after), nil); err != nil {
							t.Fatal(err)
						}
					}
					got := settled(b)
					if failed == nil {
						continue // what could not be written was a convenience, or the end of it
					}
					// Where not even going back can be written, and all was done, whoever comes next finds the new state whole.
					if got != old && (what != "read only" || got != fresh) {
						t.Fatalf("%v at step %d, %s (%v):\n%s", err, at, f.trace[at-1], failed, Unified("tree", []byte(old), []byte(got)))
					}
					if b.loaded != b.read("/etc/mta/main") {
						t.Fatalf("at step %d, %s: the server runs by something else than it has", at, f.trace[at-1])
					}
				}
			})
		}
	}
}

var _ mtaconf.Planner = (*stand)(nil)

// TestAFullDiskIsNotTakenForWantOfRights: the advice has to mend what is wrong.
func TestAFullDiskIsNotTakenForWantOfRights(t *testing.T) {
	for cause, want := range map[error]string{
		syscall.ENOSPC: "make room", syscall.EROFS: "make it writable", syscall.EACCES: "sudo ukai connect", syscall.EPERM: "sudo ukai connect",
	} {
		if got := unkept(&fs.PathError{Op: "write", Path: "x", Err: cause}).Error(); !strings.Contains(got, want) {
			t.Errorf("%v: %s", cause, got)
		}
	}
}
