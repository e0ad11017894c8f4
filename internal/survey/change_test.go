package survey

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2019, 4, 14, 0, 0, 0, 0, time.UTC)

// second returns the time of the nth message of a row that has one each second.
func second(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// play makes a row of n messages, each a second after the one before; refused tells which are.
func play(n int, refused func(i int) bool) []block {
	t, b := &track{}, &budget{limit: maxBlocks}
	for i := range n {
		at := second(i).UnixNano()
		if refused(i) {
			t.refuse("", uint64(i), at, b)
		} else {
			t.accept(uint64(i), at)
		}
	}
	if t.rows[""] == nil {
		return nil
	}
	return t.whole(t.rows[""])
}

// stretch is a number of messages with a share that is refused.
type stretch struct {
	n     int
	share float64
}

func random(seed uint64, parts ...stretch) []block {
	r := rand.New(rand.NewPCG(seed, 1))
	var all []bool
	for _, p := range parts {
		for range p.n {
			all = append(all, r.Float64() < p.share)
		}
	}
	return play(len(all), func(i int) bool { return all[i] })
}

func TestTheChangeIsNamedWithinFiveMessages(t *testing.T) {
	for name, c := range map[string]struct {
		parts []stretch
		since int // the message with which it began
		until int // 0: it lasts
		near  int
	}{
		"from hardly anything to nearly all":     {[]stretch{{3000, 0.003}, {2000, 0.98}}, 3000, 0, 5},
		"from nothing to all":                    {[]stretch{{500, 0}, {500, 1}}, 500, 0, 0},
		"seven good and seven bad are enough":    {[]stretch{{7, 0}, {7, 1}}, 7, 0, 0},
		"an hour of trouble in a long day":       {[]stretch{{20000, 0.001}, {60, 0.95}, {20000, 0.001}}, 20000, 20060, 5},
		"it was over before the end":             {[]stretch{{1000, 0}, {1000, 0.97}, {1000, 0}}, 1000, 2000, 5},
		"half of the mail":                       {[]stretch{{3000, 0}, {2000, 0.5}}, 3000, 0, 5},
		"a bad base that gets worse":             {[]stretch{{3000, 0.1}, {2000, 0.98}}, 3000, 0, 5},
		"one in five of the mail, a rough place": {[]stretch{{5000, 0.01}, {5000, 0.2}}, 5000, 0, 40},
		"many messages":                          {[]stretch{{150000, 0.003}, {50000, 0.98}}, 150000, 0, 5},
	} {
		for seed := range uint64(5) {
			found, few := episodes(random(seed, c.parts...))
			if len(found) != 1 || few {
				t.Errorf("%s (%d): %d episodes, few %v: %+v", name, seed, len(found), few, found)
				continue
			}
			e := found[0]
			if off := e.Since.Sub(second(c.since)).Abs(); off > time.Duration(c.near)*time.Second {
				t.Errorf("%s (%d): since %v, %v off", name, seed, e.Since.Sub(start), off)
			}
			switch off := e.Until.Sub(second(c.until)).Abs(); {
			case c.until == 0 && !e.Until.IsZero():
				t.Errorf("%s (%d): it ended at %v", name, seed, e.Until)
			case c.until > 0 && off > time.Duration(c.near)*time.Second:
				t.Errorf("%s (%d): until %v, %v off", name, seed, e.Until, off)
			}
			if !e.Good.Before(e.Since) || e.Open || e.Gradual {
				t.Errorf("%s (%d): %+v", name, seed, e)
			}
		}
	}
}

func TestWhereNothingChangedNoChangeIsFound(t *testing.T) {
	false1, rounds := 0, 0
	for _, share := range []float64{0, 0.0005, 0.003, 0.02, 0.04, 0.3, 0.9, 1} {
		for _, n := range []int{5, 20, 100, 1000, 5000} {
			for seed := range uint64(20) {
				rounds++
				found, _ := episodes(random(seed<<8+uint64(n), stretch{n, share}))
				for _, e := range found {
					if !e.Open || !e.Until.IsZero() || e.Gradual {
						false1++
						t.Logf("share %v of %d: %+v", share, n, e)
					}
				}
			}
		}
	}
	if false1 > rounds/200 {
		t.Errorf("%d changes found in %d logs without one", false1, rounds)
	}
}

func TestALogThatBeginsInTroubleSaysSo(t *testing.T) {
	found, _ := episodes(random(1, stretch{400, 0.97}))
	if len(found) != 1 || !found[0].Open || !found[0].Until.IsZero() || found[0].Share < 0.9 {
		t.Errorf("%+v", found)
	}
	found, _ = episodes(random(1, stretch{400, 0.97}, stretch{400, 0.01}))
	if len(found) != 1 || !found[0].Open || found[0].Until.IsZero() {
		t.Errorf("and ends: %+v", found)
	}
}

func TestAFewRefusalsAreTooFewToSay(t *testing.T) {
	for n, refused := range map[int]int{4: 4, 8: 3, 3: 1} {
		found, few := episodes(play(n, func(i int) bool { return i >= n-refused }))
		if len(found) > 0 || !few {
			t.Errorf("%d of %d: %+v, few %v", refused, n, found, few)
		}
	}
	if found, few := episodes(play(1000, func(i int) bool { return i%300 == 7 })); len(found) > 0 || few {
		t.Errorf("four in a thousand: %+v, few %v", found, few)
	}
}

func TestASlowRiseIsOneEpisode(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	found, _ := episodes(play(6000, func(i int) bool {
		return r.Float64() < min(max(float64(i-2000)/2000, 0.001), 0.98)
	}))
	if len(found) != 1 {
		t.Fatalf("%+v", found)
	}
	if e := found[0]; !e.Gradual || !e.Until.IsZero() || e.Since.Before(second(1950)) || e.Since.After(second(2700)) || e.Share < 0.8 {
		t.Errorf("since %v: %+v", e.Since.Sub(start), e)
	}
}

func TestTheFirstMessagesOfAChangeStayWhereTheyAreWhenARowIsShortened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := rapid.IntRange(200, 5000).Draw(t, "before"), rapid.IntRange(200, 5000).Draw(t, "after")
		low, high := rapid.Float64Range(0, 0.02).Draw(t, "low"), rapid.Float64Range(0.9, 1).Draw(t, "high")
		blocks := random(rapid.Uint64().Draw(t, "seed"), stretch{before, low}, stretch{after, high})
		found, _ := episodes(shorten(blocks, 64))
		if len(found) != 1 {
			t.Fatalf("%+v", found)
		}
		if off := found[0].Since.Sub(second(before)).Abs(); off > 6*time.Second {
			t.Fatalf("since %v, it was %d", found[0].Since.Sub(start), before)
		}
	})
}

func TestShorteningKeepsTheSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) block {
			n := rapid.Uint32Range(1, 1000).Draw(t, "n")
			return block{n: n, k: rapid.Uint32Range(0, n).Draw(t, "k")}
		}), 1, 200).Draw(t, "blocks")
		limit := rapid.IntRange(1, 200).Draw(t, "limit")
		sum := func(bs []block) (n, k uint32) {
			for _, b := range bs {
				n, k = n+b.n, k+b.k
			}
			return n, k
		}
		n, k := sum(all)
		short := shorten(all, limit)
		if n2, k2 := sum(short); n2 != n || k2 != k || len(short) > limit && limit > 0 {
			t.Fatalf("%d/%d became %d/%d in %d blocks", k, n, k2, n2, len(short))
		}
	})
}

func TestOneMessageToManyRecipientsIsOneRefusal(t *testing.T) {
	tr, b := &track{}, &budget{limit: maxBlocks}
	for i := range 1000 {
		tr.accept(uint64(i), second(i).UnixNano())
	}
	for range 300 {
		tr.refuse("", 5000, second(1000).UnixNano(), b)
	}
	for i := range 1000 {
		tr.accept(uint64(i)+6000, second(1001+i).UnixNano())
	}
	if found, few := episodes(tr.whole(tr.rows[""])); len(found) > 0 || few {
		t.Errorf("%+v, few %v", found, few)
	}
}
