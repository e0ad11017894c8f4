package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ukai/internal/mail"
)

// childDir is the variable that makes this test program a victim: it loads the queue in that directory until it is killed.
const childDir = "UKAI_QUEUE_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Println("error", time.Now().UnixNano(), strings.ReplaceAll(err.Error(), "\n", " "))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// victim takes mail in and delivers it, and says on its output what it has acknowledged and what it has delivered:
//
//	ack TIME ID       after Commit
//	sent TIME ID N    before Settle: the receiver has it, as after a remote 250
//	error TIME WHY
func victim(dir string) error {
	q, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	errs := make(chan error, 64)
	for range 8 {
		go func() {
			for {
				id, err := victimTakes(q)
				if err != nil {
					errs <- err
					return
				}
				fmt.Println("ack", time.Now().UnixNano(), id)
			}
		}()
	}
	for range 8 {
		go func() {
			for {
				if err := victimDelivers(q); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}

// victimContent is a content that carries its own checksum.
func victimContent() []byte {
	n := 1000 + rand.IntN(24_000)
	if rand.IntN(40) == 0 {
		n += 300_000
	}
	b := bytes.Repeat([]byte(strconv.Itoa(rand.Int())+"\n"), n/18+2)
	binary.BigEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

func victimTakes(q *Embedded) (mail.ID, error) {
	env := &mail.Envelope{From: "victim@example.org"}
	for i := range 1 + rand.IntN(2) {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: fmt.Sprintf("r%d@d%d.example", i, rand.IntN(20))})
	}
	d, err := q.Create(env)
	if err != nil {
		return 0, err
	}
	if _, err := d.Write(victimContent()); err != nil {
		return 0, err
	}
	return env.ID, d.Commit(context.Background(), nil)
}

func victimDelivers(q *Embedded) error {
	ds, err := q.Lease(context.Background(), LeaseQuery{Now: time.Now(), Max: 4})
	if err != nil {
		return err
	}
	if len(ds) == 0 {
		select {
		case <-q.Wake():
		case <-time.After(10 * time.Millisecond):
		}
	}
	for _, d := range ds {
		if err := whole(q, d.ID); err != nil {
			return err
		}
		s := Settlement{Key: d.Key, Done: d.Recipients}
		if d.State.Attempts < 3 && rand.IntN(5) == 0 {
			s = Settlement{Key: d.Key, Next: DeliveryState{Attempts: d.State.Attempts + 1, Due: time.Now().Add(50 * time.Millisecond)}}
		} else {
			fmt.Println("sent", time.Now().UnixNano(), d.ID, d.N)
		}
		if err := q.Settle(s); err != nil {
			return err
		}
	}
	return nil
}

// whole reads a content and tests that it is what was written.
func whole(q *Embedded, id mail.ID) error {
	r, err := q.Open(id)
	if err != nil {
		return fmt.Errorf("open %s: %w", id, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	if len(b) < 4 || binary.BigEndian.Uint32(b) != crc32.ChecksumIEEE(b[4:]) {
		return fmt.Errorf("%s is not what was taken in", id)
	}
	return nil
}

// witness has seen what the victims said.
type witness struct {
	t        *testing.T
	acked    map[mail.ID]bool
	sent     map[Key]int
	inRound  int // acknowledged in this round
	twice    int // deliveries that were sent once more than once
	worst    int // of them in one round
	rejected int // said after the cut
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	return &witness{t: t, acked: make(map[mail.ID]bool), sent: make(map[Key]int)}
}

// listen reads what a victim says until it is dead. What it says after the cut does not count: a machine without power says
// nothing.
func (w *witness) listen(out io.Reader, cut func() int64) {
	w.inRound = 0
	before := w.twice
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 3 {
			continue // cut off in the middle
		}
		at, _ := strconv.ParseInt(f[1], 10, 64)
		late := at >= cut()
		switch {
		case f[0] == "error" && !late:
			w.t.Errorf("the victim failed: %s", sc.Text())
		case late:
			w.rejected++
		case f[0] == "ack":
			if id, err := mail.ParseID(f[2]); err == nil {
				w.acked[id] = true
				w.inRound++
			}
		case f[0] == "sent" && len(f) == 4:
			id, err := mail.ParseID(f[2])
			n, nerr := strconv.Atoi(f[3])
			if err != nil || nerr != nil {
				continue
			}
			if w.sent[Key{id, n}]++; w.sent[Key{id, n}] > 1 {
				w.twice++
			}
		}
	}
	w.worst = max(w.worst, w.twice-before)
}

// account opens the queue and tests that each message is there or was sent.
func (w *witness) account(dir string) (lost int) {
	w.t.Helper()
	q, err := Open(dir, Options{})
	if err != nil {
		w.t.Fatalf("open after the crash: %v", err)
	}
	defer q.Close()
	if s := q.Stats(); s.SetAside != 0 {
		w.t.Errorf("%d were set aside", s.SetAside)
	}
	for id := range w.acked {
		m, err := q.Get(w.t.Context(), id)
		if err == nil {
			if err := whole(q, id); err != nil {
				w.t.Error(err)
			}
			continue
		}
		_ = m
		if w.sent[Key{id, 0}] == 0 { // every message has a delivery 0
			w.t.Errorf("%s was acknowledged and is gone: %v", id, err)
			lost++
		}
		delete(w.acked, id)
	}
	return lost
}

// start starts a victim.
func (w *witness) start(dir string) (*exec.Cmd, io.Reader) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd, out
}

// round lets a victim run for a while, ends it by strike, and listens to its last words.
func (w *witness) round(dir string, strike func(cmd *exec.Cmd)) {
	w.t.Helper()
	cmd, out := w.start(dir)
	var mu sync.Mutex
	cut := int64(1) << 62
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		w.listen(out, func() int64 { mu.Lock(); defer mu.Unlock(); return cut })
	}()
	time.Sleep(time.Duration(150+rand.IntN(500)) * time.Millisecond)
	mu.Lock()
	cut = time.Now().UnixNano()
	mu.Unlock()
	strike(cmd)
	<-listened
	_ = cmd.Wait() // it was killed
}

func TestKillLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	w := newWitness(t)
	acked, lost, n := 0, 0, rounds(t, 10)
	for range n {
		w.round(dir, func(cmd *exec.Cmd) { _ = cmd.Process.Kill() })
		acked += w.inRound
		lost += w.account(dir)
	}
	t.Logf("kill -9: %d rounds, %d acknowledged, %d lost, %d delivered twice (worst round %d)", n, acked, lost, w.twice, w.worst)
	if acked == 0 {
		t.Error("nothing was acknowledged: the test saw nothing")
	}
	// 8 deliverers with up to 4 leases each, and what they settle within 25 ms and a group.
	if w.worst > 2000 {
		t.Errorf("%d duplicates in one round: settlements do not reach the disk in time", w.worst)
	}
}

// ext4 says so when it is told to stop at once, without writing its journal (EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH):
// what was not synced is gone, as after a power cut.
const (
	ext4Shutdown   = 0x8004587d
	ext4NoLogFlush = 2
)

// loopDisk is an ext4 file system in a file.
type loopDisk struct{ image, dir string }

func newLoopDisk(t *testing.T) (*loopDisk, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("not root")
	}
	base := t.TempDir()
	l := &loopDisk{filepath.Join(base, "image"), filepath.Join(base, "mnt")}
	if err := os.Mkdir(l.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(l.image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(l.image, 1<<30); err != nil {
		return nil, err
	}
	if err := command("mkfs.ext4", "-q", "-F", l.image); err != nil {
		return nil, err
	}
	if err := l.mount(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = command("umount", l.dir) })
	return l, nil
}

func (l *loopDisk) mount() error { return command("mount", "-o", "loop", l.image, l.dir) }

// cut takes the power away.
func (l *loopDisk) cut() error {
	f, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, ext4NoLogFlush)
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func TestAPowerCutOfARealFileSystemLosesNothing(t *testing.T) {
	l, err := newLoopDisk(t)
	if err != nil {
		t.Logf("NO REAL POWER CUT ON THIS MACHINE, a simulated disk stands in for it: a loop-mounted ext4 is wanted: %v", err)
		simulateCuts(t, 1000, 60)
		return
	}
	dir := filepath.Join(l.dir, "queue")
	w := newWitness(t)
	acked, lost, n := 0, 0, rounds(t, 4)
	for range n {
		w.round(dir, func(cmd *exec.Cmd) {
			if err := l.cut(); err != nil {
				t.Errorf("shut the file system down: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
			_ = cmd.Process.Kill()
		})
		if err := command("umount", l.dir); err != nil {
			t.Fatal(err)
		}
		if err := l.mount(); err != nil {
			t.Fatal(err)
		}
		acked += w.inRound
		lost += w.account(dir)
	}
	t.Logf("power cut: %d rounds, %d acknowledged, %d lost, %d delivered twice (worst round %d), %d words after the cut",
		n, acked, lost, w.twice, w.worst, w.rejected)
	if acked == 0 {
		t.Error("nothing was acknowledged: the test saw nothing")
	}
}

// A file system that is really full, where the machine lets one be made.
func TestARealDiskThatIsFullRefusesMailAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := command("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir); err != nil {
		t.Logf("NO SMALL FILE SYSTEM ON THIS MACHINE, a simulated disk stands in for it: a tmpfs is wanted: %v", err)
		r := newRig(t)
		fillUp(t, r.Embedded, func() { r.disk.set(func() { r.disk.room = 4 << 20 }) }, func() { r.disk.set(func() { r.disk.room = 1 << 30 }) })
		return
	}
	t.Cleanup(func() { _ = command("umount", "-l", dir) })
	q, err := Open(filepath.Join(dir, "queue"), Options{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ballast := filepath.Join(dir, "ballast")
	fillUp(t, q,
		func() { write(t, ballast, strings.Repeat("x", 2<<20)) },
		func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		})
}

// fillUp takes mail in until the disk is full, frees some, and tests that nothing acknowledged was lost on the way.
func fillUp(t *testing.T, q *Embedded, before, free func()) {
	t.Helper()
	before()
	var ids []mail.ID
	for {
		id, err := victimTakes(q)
		if err != nil {
			if err != ErrFull { //nolint:errorlint // the very error that the client's 452 is made of
				t.Fatalf("a full disk says %v", err)
			}
			break
		}
		ids = append(ids, id)
		if len(ids) > 10_000 {
			t.Fatal("the disk does not get full")
		}
	}
	free()
	eventually(t, "mail is taken in again", func() bool { _, err := victimTakes(q); return err == nil })
	for _, id := range ids {
		if err := whole(q, id); err != nil {
			t.Error(err)
		}
	}
}
