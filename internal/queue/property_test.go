package queue

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// rounds is how often a test does what it does: n times, or n/10 of UKAI_CRASH_ROUNDS (10 unless set, 200 in the nightly run).
func rounds(t testing.TB, n int) int {
	t.Helper()
	crashes := 10
	if os.Getenv("UKAI_NIGHTLY") != "" {
		crashes = 200
	}
	if s := os.Getenv("UKAI_CRASH_ROUNDS"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("UKAI_CRASH_ROUNDS: %v", err)
		}
		crashes = v
	}
	return max(n*crashes/10, 1)
}

func TestWhateverIsDoneTheQueueHoldsWhatAModelHolds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newModel(t, rapid.Uint64().Draw(r, "seed"), nil)
		for range rapid.IntRange(1, 4).Draw(r, "restarts") {
			for range rapid.IntRange(0, 60).Draw(r, "acts") {
				m.act()
			}
			m.check(false)
			m.close()
			if rapid.Bool().Draw(r, "without index") {
				m.forgetIndex()
			}
			m.open()
			m.check(false)
		}
		m.close()
	})
}

// The power goes at any moment; what was acknowledged is there when it comes back, whatever else the disk forgot, and
// nothing that was done for certain comes back. Three cuts follow one another, so that what a recovery writes is cut, too.
func TestAPowerCutTakesNothingThatWasAcknowledged(t *testing.T) {
	simulateCuts(t, 0, uint64(rounds(t, 60)))
}

func simulateCuts(t *testing.T, first, n uint64) {
	t.Helper()
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			simulateCut(t, seed)
		})
	}
}

func simulateCut(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	disk := newFaultDisk()
	m := newModel(t, seed, disk)
	for range 3 {
		disk.set(func() { disk.cut = disk.ops + 1 + rng.IntN(150) })
		for i := 0; m.q.health.broken.Load() == nil && i < 400; i++ {
			m.act()
			if rng.IntN(10) == 0 {
				time.Sleep(time.Duration(rng.IntN(6)) * time.Millisecond) // the index and compaction come to it
			}
		}
		after := disk.powerCut(rng)
		if err := m.q.Close(); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			m.forgetIndex()
		}
		disk, m.disk = after, after
		m.open()
		m.check(true)
	}
	m.close()
	m.open()
	m.check(false)
	m.close()
}
