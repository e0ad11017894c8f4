package dnsbl

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/dns"
)

// world is a set of lists, each with what it lists: prefixes and their codes.
type world struct {
	zones map[string]map[string]string // zone → prefix → code
	dead  map[string]dns.Reply         // zone → what it says to everything
}

func (w *world) Ask(_ context.Context, name string, qtype uint16) (dns.Reply, error) {
	for zone, r := range w.dead {
		if strings.HasSuffix(name, "."+zone) {
			return r, nil
		}
	}
	for zone, entries := range w.zones {
		head, ok := strings.CutSuffix(name, "."+zone)
		if !ok || qtype != dns.TypeA {
			continue
		}
		o := strings.Split(head, ".")
		if len(o) != 4 {
			continue
		}
		ip := netip.MustParseAddr(o[3] + "." + o[2] + "." + o[1] + "." + o[0])
		for p, code := range entries {
			if netip.MustParsePrefix(p).Contains(ip) {
				return says(code), nil
			}
		}
	}
	return dns.Reply{Rcode: dns.NXDomain}, nil
}

func listsOf(n int, more string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[list]]\nid = \"l%d\"\nzone = \"l%d.example\"\n[list.entries]\nlists = [\"ip4\"]\ncodes = [{code=\"127.0.0.2\"},{code=\"127.0.0.9\",scope=\"range\"},{code=\"127.0.0.40\",severity=\"info\"}]\n[list.use]\nsample = true\nweight = %d\n%s\n", i, i, 10-i%10, more)
	}
	return b.String()
}

func TestTheVerdict(t *testing.T) {
	own := "153.122.77.25"
	around := func(n int) map[string]string {
		m := map[string]string{}
		for i, ip := range neighbours(netip.MustParseAddr(own), 10) {
			if i < n {
				m[ip.String()+"/32"] = "127.0.0.2"
			}
		}
		return m
	}
	refused := dns.Reply{Rcode: dns.Refused}
	tests := []struct {
		name   string
		target string
		lists  int
		l0     map[string]string
		dead   map[string]dns.Reply
		want   Verdict
		fact   Fact
	}{
		{name: "nothing listed is clean", target: own, lists: 15, want: VerdictClean, fact: FactClean},
		{name: "only the own address listed is the culprit", target: own, lists: 15, l0: map[string]string{own + "/32": "127.0.0.2"}, want: Culprit, fact: FactAlone},
		{name: "a /17 is a range", target: own, lists: 15, l0: map[string]string{"153.122.0.0/17": "127.0.0.2"}, want: InRange, fact: FactSpread},
		{name: "a /24 is a range", target: own, lists: 15, l0: map[string]string{"153.122.77.0/24": "127.0.0.2"}, want: InRange, fact: FactSpread},
		{name: "a code for a range needs no samples", target: own, lists: 15, l0: map[string]string{own + "/32": "127.0.0.9"}, want: InRange, fact: FactEntry},
		{name: "nine of ten neighbours listed and the own clean", target: own, lists: 1, l0: around(9), want: Neighbour, fact: FactNeighbours},
		{name: "nine of ten neighbours, among other lists", target: own, lists: 5, l0: around(9), want: Neighbour, fact: FactNeighbours},
		{name: "two bad neighbours are chance", target: own, lists: 1, l0: around(2), want: VerdictClean, fact: FactNeighbours},
		{name: "listed among some listed neighbours is still the culprit", target: own, lists: 1, l0: map[string]string{own + "/32": "127.0.0.2", "153.122.77.24/32": "127.0.0.2"}, want: Culprit, fact: FactAlone},
		{name: "a list that matters is silent", target: own, lists: 3, dead: map[string]dns.Reply{"l1.example": refused}, want: Unknown, fact: FactUnasked},
		{name: "a listing counts though another list is silent", target: own, lists: 3, l0: map[string]string{own + "/32": "127.0.0.2"}, dead: map[string]dns.Reply{"l1.example": refused}, want: Culprit, fact: FactAlone},
		{name: "a category is no reason to worry", target: own, lists: 1, l0: map[string]string{own + "/32": "127.0.0.40"}, want: VerdictClean, fact: FactContext},
		{name: "a range of which all is listed", target: "153.122.0.0/17", lists: 15, l0: map[string]string{"153.122.0.0/17": "127.0.0.2"}, want: InRange, fact: FactSpread},
		{name: "a range of which nothing is listed", target: "153.122.0.0/17", lists: 15, want: VerdictClean, fact: FactSampled},
		{name: "a range of which a quarter is listed", target: "153.122.0.0/17", lists: 2, l0: map[string]string{"153.122.0.0/19": "127.0.0.2"}, want: Neighbour, fact: FactSome},
		{name: "a range on a silent list", target: "153.122.0.0/17", lists: 1, dead: map[string]dns.Reply{"l0.example": refused}, want: Unknown, fact: FactUnasked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{zones: map[string]map[string]string{}, dead: tt.dead}
			for i := range tt.lists {
				w.zones[fmt.Sprintf("l%d.example", i)] = map[string]string{"127.0.0.2/32": "127.0.0.2"}
			}
			for p, code := range tt.l0 {
				w.zones["l0.example"][p] = code
			}
			target, err := ParseTarget(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			e := New(mustParse(t, listsOf(tt.lists, "")), w, Options{Seed: 1})
			f := e.Look(t.Context(), Question{Target: target})
			has := false
			for _, proof := range f.Evidence {
				has = has || proof.Fact == tt.fact
			}
			if f.Verdict != tt.want || !has {
				t.Errorf("%s %+v, want %s with %s", f.Verdict, f.Evidence, tt.want, tt.fact)
			}
			// Reasons (TXT) come on top, one for each hit.
			if queries, _ := e.Count(); queries > 64+12 {
				t.Errorf("%d questions", queries)
			}
		})
	}
}

// The promise for a range is stricter: everything together, tests and reasons included, with fifteen lists.
func TestARangeListingIsFoundWithFewQuestions(t *testing.T) {
	for _, n := range []int{1, 5, 15} {
		w := &world{zones: map[string]map[string]string{}}
		for i := range n {
			w.zones[fmt.Sprintf("l%d.example", i)] = map[string]string{"127.0.0.2/32": "127.0.0.2"}
		}
		w.zones["l0.example"]["153.122.0.0/17"] = "127.0.0.2"
		e := New(mustParse(t, listsOf(n, "")), w, Options{})
		f := e.Look(t.Context(), Question{Target: Target{IP: netip.MustParseAddr("153.122.77.25")}})
		queries, tests := e.Count()
		if f.Verdict != InRange || queries+tests > 64 {
			t.Errorf("%d lists: %s with %d+%d questions", n, f.Verdict, queries, tests)
		}
	}
}

func TestAnOwnMirrorIsSweptAddressByAddress(t *testing.T) {
	w := &world{zones: map[string]map[string]string{"l0.example": {"127.0.0.2/32": "127.0.0.2", "10.1.2.0/25": "127.0.0.2", "10.1.7.9/32": "127.0.0.2"}}}
	cat := mustParse(t, listsOf(1, "[list.test]\nnote = \"own\"\n"))
	cat.Lists[0].Own = true
	seen := 0
	e := New(cat, w, Options{Progress: func(int, int) {}})
	f := e.Look(t.Context(), Question{Target: Target{Range: netip.MustParsePrefix("10.1.0.0/20")}, Each: func(Answer) { seen++ }})
	if a := f.Answers[0]; a.Asked != 4096 || a.Hits != 129 || seen != 4096 || f.Verdict != Neighbour {
		t.Errorf("%d of %d, %d told, %s", a.Hits, a.Asked, seen, f.Verdict)
	}
	if len(f.Cells) != 16 || f.Cells[2] != (Cell{256, 128}) || f.Cells[7] != (Cell{256, 1}) || f.Cells[0] != (Cell{256, 0}) {
		t.Errorf("%v", f.Cells)
	}
}

func TestAFeedIsLookedAtAddressByAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "feed")
	if err := os.WriteFile(path, []byte("10.1.0.0/17\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	feed, err := LoadFeed(FeedFile{Path: path, Format: CIDR})
	if err != nil {
		t.Fatal(err)
	}
	cat := mustParse(t, listsOf(1, ""))
	cat.Lists[0].feed = feed
	e := New(cat, &world{}, Options{})
	f := e.Look(t.Context(), Question{Target: Target{Range: netip.MustParsePrefix("10.1.0.0/16")}})
	if a := f.Answers[0]; a.Hits != 1<<15 || a.Asked != 1<<16 || f.Verdict != Neighbour || len(f.Cells) != 256 {
		t.Errorf("%d of %d, %s, %d cells", a.Hits, a.Asked, f.Verdict, len(f.Cells))
	}
	f = e.Look(t.Context(), Question{Target: Target{IP: netip.MustParseAddr("10.1.130.1")}})
	if f.Verdict != VerdictClean {
		t.Errorf("%s", f.Verdict)
	}
	if q, n := e.Count(); q+n != 0 {
		t.Errorf("%d questions for a file", q+n)
	}
}

func TestTheWorstVerdictIsTheVerdictOfAll(t *testing.T) {
	if got := Worst(nil); got != VerdictClean {
		t.Errorf("%s", got)
	}
	if got := Worst([]Verdict{VerdictClean, Culprit, InRange, Unknown}); got != Culprit {
		t.Errorf("%s", got)
	}
}
