package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// crashRounds is how often ukai is killed: 10 unless UKAI_CRASH_ROUNDS says otherwise (the nightly target asks for 200).
func crashRounds(t *testing.T) int {
	t.Helper()
	v := os.Getenv("UKAI_CRASH_ROUNDS")
	if v == "" {
		return 10
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("UKAI_CRASH_ROUNDS=%q is no number of rounds", v)
	}
	return n
}

// window is how long before a kill a delivery may have been whose record was lost with it.
const window = 2 * time.Second

// TestKill9LosesNothingAndDoublesOnlyInTheAllowedWindow kills ukai at random moments under load, a part of which is deferred, and
// starts it again on the same data. Every message that was acknowledged must arrive; twice only if it was delivered just
// before a kill.
func TestKill9LosesNothingAndDoublesOnlyInTheAllowedWindow(t *testing.T) {
	rounds := crashRounds(t)
	w := googleWorld(t, peersim.Rule{Name: "busy", Match: peersim.Match{Phase: peersim.RcptTo, Chance: 0.1}, Reply: "try-later"})
	dir, port := t.TempDir(), freePort(t)
	p := ukai(t, dir, fmt.Sprintf(`
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[limits]
		connections_per_minute = 1000000
		connections_per_client = 1000
		[queue]
		retry = ["10s"]
		[[listener]]
		name = "in"
		address = "127.0.0.1:%d"
		relay = ["127.0.0.0/8"]
		[[egress]]
		name = "direct"
		port = %d
	`, w.DNS(), port, w.Port()), port)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var res *peersim.Result
	var sending sync.WaitGroup
	sending.Go(func() {
		var err error
		res, err = peersim.Generate(ctx, peersim.Traffic{To: fmt.Sprintf("127.0.0.1:%d", port), Senders: []string{"sender.example"},
			Rcpts: googleDomains(), Concurrency: 16, Rate: 1500})
		if err != nil {
			t.Error(err)
		}
	})
	var kills []time.Time
	for range rounds {
		time.Sleep(time.Duration(300+rand.IntN(900)) * time.Millisecond) // the random moment is the test
		p.kill()
		kills = append(kills, time.Now())
		p.start(filepath.Join(dir, "ukai.toml"), p.log)
		waitFor(t, fmt.Sprintf("127.0.0.1:%d", port), "220")
	}
	stop()
	sending.Wait()
	until(t, 2*time.Minute, "an empty queue", func() bool { return strings.Contains(p.ask("queue", "list", "--lang", "en"), "nothing is waiting") })

	lost, doubled, outside := 0, 0, 0
	for _, s := range res.Accepted {
		r, ok := w.Record(s.ID, s.Rcpt)
		switch {
		case !ok || r.Delivered == 0:
			lost++
			t.Errorf("%s to %s was acknowledged at %v and is lost", s.ID, s.Rcpt, s.At)
		case r.Delivered > 1 && !s.Doubtful:
			doubled++
			if !justBefore(r.First, kills) {
				outside++
				t.Errorf("%s to %s arrived %d times, first at %v, long before any kill", s.ID, s.Rcpt, r.Delivered, r.First)
			}
		}
		if ok && r.Digest != s.Digest {
			t.Errorf("%s to %s was changed", s.ID, s.Rcpt)
		}
	}
	t.Logf("kill -9: %d rounds, %d messages acknowledged, %d lost, %d delivered twice within %v before a kill, %d outside of it",
		rounds, len(res.Accepted), lost, doubled-outside, window, outside)
	if len(res.Accepted) < 100*rounds {
		t.Errorf("only %d messages in %d rounds: no load to speak of", len(res.Accepted), rounds)
	}
}

func justBefore(at time.Time, kills []time.Time) bool {
	for _, k := range kills {
		if d := k.Sub(at); d >= 0 && d < window {
			return true
		}
	}
	return false
}
