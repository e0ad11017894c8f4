package rehearse

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"ukai/internal/health"
	"ukai/internal/outcome"
	"ukai/internal/peersim"
)

var (
	own   = netip.MustParseAddr("127.0.0.10")
	other = netip.MustParseAddr("127.0.0.20")
	noon  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

func TestEachMessageIsCountedOnceByWhatBecameOfIt(t *testing.T) {
	arrived := peersim.Record{ID: "m", Rcpt: "u@d", Delivered: 1, First: noon, Source: own, Digest: 7}
	with := func(change func(r *peersim.Record)) []peersim.Record {
		r := arrived
		change(&r)
		return []peersim.Record{r}
	}
	bounce := peersim.Record{ID: "m", Rcpt: "r+m@s", Delivered: 1, First: noon, Bounce: true, Provider: sendersName}
	for name, c := range map[string]struct {
		records  []peersim.Record
		held     bool
		doubtful bool
		fate     string
		want     Messages
		detours  int
	}{
		"arrived":                  {records: []peersim.Record{arrived}, want: Messages{Delivered: 1}},
		"by a detour":              {records: with(func(r *peersim.Record) { r.Source = other }), want: Messages{Delivered: 1}, detours: 1},
		"twice":                    {records: with(func(r *peersim.Record) { r.Delivered = 2 }), want: Messages{Delivered: 1, Duplicated: 1}},
		"twice, as it was sent":    {records: with(func(r *peersim.Record) { r.Delivered = 2 }), doubtful: true, want: Messages{Delivered: 1}},
		"with another content":     {records: with(func(r *peersim.Record) { r.Digest = 8 }), want: Messages{Delivered: 1, Changed: 1}},
		"second copy is another":   {records: with(func(r *peersim.Record) { r.Changed = true }), want: Messages{Delivered: 1, Changed: 1}},
		"to somebody else":         {records: with(func(r *peersim.Record) { r.Rcpt = "x@d" }), want: Messages{Lost: 1}},
		"refused only":             {records: with(func(r *peersim.Record) { r.Delivered, r.Refused, r.FirstRefused = 0, 1, noon }), want: Messages{Lost: 1}},
		"nowhere":                  {want: Messages{Lost: 1}},
		"in the queue":             {held: true, want: Messages{Held: 1}},
		"in a queue and arrived":   {records: []peersim.Record{arrived}, held: true, want: Messages{Delivered: 1}},
		"bounced":                  {records: []peersim.Record{bounce}, want: Messages{Bounced: 1, Misjudged: 1}},
		"bounced, as it should":    {records: []peersim.Record{bounce}, fate: fateBounced, want: Messages{Bounced: 1}},
		"arrived and bounced":      {records: []peersim.Record{arrived, bounce}, want: Messages{Delivered: 1, Misjudged: 1}},
		"arrived, but should not":  {records: []peersim.Record{arrived}, fate: fateBounced, want: Messages{Delivered: 1, Misjudged: 1}},
		"a bounce under way":       {records: []peersim.Record{{ID: "m", Rcpt: "r+m@s", Refused: 1, Bounce: true, Provider: sendersName}}, want: Messages{Lost: 1}},
		"lost, but it was doubted": {doubtful: true, want: Messages{Lost: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := readLedger(c.records)
			l.preferred, l.held = own, map[string]bool{"m": c.held}
			if c.fate == "" {
				c.fate = fateDelivered
			}
			c.want.Accepted = 1
			r := &Report{}
			l.count(r, &peersim.Sent{ID: "m", Rcpt: "u@d", Digest: 7, Doubtful: c.doubtful}, c.fate)
			if r.Messages != c.want || r.Detours != c.detours {
				t.Errorf("%+v, %d detours", r.Messages, r.Detours)
			}
		})
	}
}

func TestTheFirstRefusalIsTakenFromWhateverPhase(t *testing.T) {
	l := readLedger([]peersim.Record{
		{ID: "m", Rcpt: "u@d", Refused: 1, FirstRefused: noon.Add(time.Second)},
		{ID: "m", Refused: 1, FirstRefused: noon}, // at MAIL, no recipient is known yet
	})
	if !l.refused["m"].Equal(noon) {
		t.Error(l.refused)
	}
}

func TestAttemptsCountWhenTheyBeganWhileThePathWasShut(t *testing.T) {
	w := newWatcher("127.0.0.10", func(health.Change) {})
	key := health.Key{Egress: "direct", Provider: "google"}
	move := func(from, to health.State, at int) {
		w.changed(health.Change{At: noon.Add(time.Duration(at) * time.Second), Key: key, From: from, To: to})
	}
	move(health.Healthy, health.Suspect, 0)
	move(health.Suspect, health.Blocked, 10)
	move(health.Blocked, health.Probing, 20)
	move(health.Probing, health.Blocked, 21)
	move(health.Probing, health.Recovering, 30)
	move(health.Recovering, health.Healthy, 40)
	for _, end := range []int{5, 11, 20, 30, 35} { // each took two seconds
		w.attempted(&outcome.Outcome{At: noon.Add(time.Duration(end) * time.Second), Duration: 2 * time.Second, Egress: "direct", Provider: "google"}, nil)
	}
	w.attempted(&outcome.Outcome{At: noon.Add(15 * time.Second), Egress: "relay", Provider: "google"}, nil)
	w.attempted(&outcome.Outcome{At: noon.Add(15 * time.Second), Provider: "google"}, nil) // a lookup
	tr := w.tracksLocked()[key]
	if tr.state != health.Healthy || !tr.healthy.Equal(noon.Add(40*time.Second)) || len(tr.shut) != 1 {
		t.Fatalf("%+v", tr)
	}
	// 11 began at 9, before the block; 20 and 30 began within; 35 at 33, while it recovered.
	if n := w.attemptsLocked(key, tr.shut[0]); n != 2 {
		t.Errorf("%d attempts", n)
	}
}

func TestTrafficIsMixedByShareAndReachesEveryDomain(t *testing.T) {
	st := &stage{idOf: map[string]string{"a.example": "a"}, s: &Scenario{Providers: []Provider{
		{Name: "a", Share: 3, Groups: []Group{{Domains: []string{"a.example"}}}},
		{Name: "b", Share: 1, Groups: []Group{{Domains: []string{"b1.example", "b2.example"}}, {Domains: []string{"b3.example"}}}},
		{Name: "c", Groups: []Group{{Domains: []string{"c.example"}}}},
	}}}
	for _, c := range []struct {
		s    Stream
		want []string
	}{
		{Stream{}, []string{"a.example", "a.example", "b1.example", "a.example", "a.example", "a.example", "b2.example", "a.example", "a.example", "a.example", "b3.example", "a.example"}},
		{Stream{To: []string{"c"}}, []string{"c.example"}},
		{Stream{To: []string{"a.example"}, User: "nobody"}, []string{"nobody@a.example"}},
	} {
		got := st.rcpts(&c.s)
		if len(got) != len(c.want) || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%v", got)
		}
		if got[0] == got[len(got)-1] && len(got) > 4 && got[1] != got[0] {
			t.Errorf("not mixed: %v", got)
		}
	}
}

func TestSpreadOfTimes(t *testing.T) {
	if s := spreadOf(nil); s != (Spread{}) {
		t.Error(s)
	}
	if s := spreadOf([]time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}); s != (Spread{P50: 2, Max: 3, N: 3}) {
		t.Error(s)
	}
}
