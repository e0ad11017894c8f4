package watch

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"ukai/internal/health"
)

// overWire has refusals told as an agent does: as JSON.
func (x *house) overWire(w Witness, n int, change func(*Told)) {
	x.t.Helper()
	var list []Told
	for i := range n {
		o := x.told("gmail-smtp-in.l.google.com", fmt.Sprintf("u%d@gmail.com", i), refusal(gmail2019...), 0)
		o.MessageID = fmt.Sprintf("%s.%d@example.jp", w.Server, i)
		told := o.Tell()
		if change != nil {
			change(&told)
		}
		list = append(list, told)
	}
	data, err := json.Marshal(list)
	if err != nil {
		x.t.Fatal(err)
	}
	list = nil
	if err := json.Unmarshal(data, &list); err != nil {
		x.t.Fatal(err)
	}
	x.Take(w, list)
}

func TestWhatAConnectedServerTellsIsJudgedHereAndBearsOnItsPath(t *testing.T) {
	x := newHouse(t, Options{})
	x.overWire(Witness{Source: "agent web1", Server: "web1"}, 4, nil)
	if got := x.state("web1", "google"); got != health.Blocked {
		t.Errorf("its path is %v", got)
	}
	if len(x.seen) != 4 || x.seen[0].Verdict.Class != "ip_reputation" || x.seen[0].Server != "web1" {
		t.Errorf("%d seen: %+v", len(x.seen), x.seen)
	}
}

func TestServersThatShareAnEgressWarnEachOther(t *testing.T) {
	x := newHouse(t, Options{})
	x.overWire(Witness{Source: "agent web1", Server: "web1", Egress: "direct"}, 1, nil)
	if got := x.state("direct", "google"); got != health.Suspect {
		t.Errorf("after one refusal of one server the path of both is %v", got)
	}
}

// A stolen secret must not be worth more than the server it belongs to.
func TestAServerCannotSpeakForAnotherOrForAnEgressThatIsNotItsOwn(t *testing.T) {
	own := netip.MustParseAddr("192.0.2.10") // the address that the refusal names
	x := newHouse(t, Options{Egresses: map[string][]netip.Addr{"direct": {own}}})
	x.overWire(Witness{Source: "agent web1", Server: "web1"}, 4, func(t *Told) {
		t.Outcome.Egress, t.Outcome.LocalIP, t.Outcome.Provider = "direct", own, "icloud"
	})
	if got := x.state("direct", "google"); got != health.Healthy {
		t.Errorf("ukai's own path is %v", got)
	}
	if got := x.state("web1", "google"); got != health.Blocked {
		t.Errorf("its own is %v", got)
	}
}
