package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ukai/internal/i18n"
)

func TestATableThatMakesNoSenseIsRefusedWithAllReasons(t *testing.T) {
	two := []Egress{{Name: "a"}, {Name: "b"}}
	many := make([]Egress, 65)
	for i := range many {
		many[i].Name = fmt.Sprint("e", i)
	}
	for name, c := range map[string]struct {
		egresses []Egress
		pools    []Pool
		want     []string // one piece of each error, in order
	}{
		"no egress at all":                   {nil, nil, []string{"no egress is configured"}},
		"more egresses than bits":            {many, nil, []string{"65 egresses are configured, 64 are possible"}},
		"an egress without a name":           {[]Egress{{}}, nil, []string{"an egress has no name"}},
		"two egresses of one name":           {[]Egress{{Name: "a"}, {Name: "a"}}, nil, []string{"two egresses are named a"}},
		"a negative budget":                  {[]Egress{{Name: "a", WarmUp: -1}}, nil, []string{"egress a: the warm-up budget is -1"}},
		"a share above all":                  {[]Egress{{Name: "a", BulkShare: 101}}, nil, []string{"egress a: the share of bulk mail is 101"}},
		"a negative share":                   {[]Egress{{Name: "a", BulkShare: -1}}, nil, []string{"the share of bulk mail is -1"}},
		"a provider that is none":            {[]Egress{{Name: "a", Providers: []string{"goo*", " ", "a@b", ".dot"}}}, nil, []string{`"goo*" is not a provider`, `" " is not`, `"a@b"`, `".dot"`}},
		"a sender that is an address":        {[]Egress{{Name: "a", SenderDomains: []string{"me@example.org"}}}, nil, []string{`"me@example.org" is not a sender domain`}},
		"a star in the middle":               {[]Egress{{Name: "a", SenderDomains: []string{"a.*.org", "", "*.", "a..b"}}}, nil, []string{`"a.*.org"`, `""`, `"*."`, `"a..b"`}},
		"a pool without a name":              {two, []Pool{{Egresses: []int{0}}}, []string{"a pool has no name"}},
		"a pool without egresses":            {two, []Pool{{Name: "p"}}, []string{"pool p has no egress"}},
		"an egress that does not exist":      {two, []Pool{{Name: "p", Egresses: []int{0, 2, -1}}}, []string{"egress number 2", "egress number -1"}},
		"an egress twice in a pool":          {two, []Pool{{Name: "p", Egresses: []int{0, 1, 0}}}, []string{"pool p names egress a twice"}},
		"two pools of one name":              {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "p", Egresses: []int{0}, Senders: []string{"x.example"}}}, []string{"two pools are named p"}},
		"two pools for everybody":            {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "q", Egresses: []int{1}}}, []string{"pools q and p are both for everybody"}},
		"two pools for one domain":           {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "q", Egresses: []int{1}, Senders: []string{"X.example"}}, {Name: "r", Egresses: []int{1}, Senders: []string{"x.example."}}}, []string{"pools r and q are both for x.example"}},
		"two pools for one pattern":          {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "q", Egresses: []int{1}, Senders: []string{"*.x.example"}}, {Name: "r", Egresses: []int{1}, Senders: []string{"*.x.example"}}}, []string{"both for *.x.example"}},
		"two pools for one account":          {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "q", Egresses: []int{1}, Accounts: []string{"shop"}}, {Name: "r", Egresses: []int{1}, Accounts: []string{"shop"}}}, []string{"both for shop"}},
		"no pool for everybody":              {two, []Pool{{Name: "q", Egresses: []int{1}, Senders: []string{"x.example"}}}, []string{"no pool is for everybody"}},
		"a sender pattern that is none":      {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "q", Egresses: []int{1}, Senders: []string{"x y"}}}, []string{`pool q: "x y" is not a sender domain`}},
		"everything wrong is told at once":   {[]Egress{{WarmUp: -1}}, []Pool{{Senders: []string{"@"}}}, []string{"no name", "budget", "a pool has no name", "no egress", "sender domain", "for everybody"}},
		"an account with a sender is enough": {two, []Pool{{Name: "p", Egresses: []int{0}}, {Name: "q", Egresses: []int{1}, Accounts: []string{"shop"}}, {Name: "r", Egresses: []int{1}, Accounts: []string{"shop"}, Senders: []string{"*"}}}, []string{"both for shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := NewTable(c.egresses, c.pools, Options{})
			if err == nil || table != nil {
				t.Fatalf("accepted: %+v", table)
			}
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok {
				t.Fatalf("not a list of errors: %v", err)
			}
			errs := joined.Unwrap()
			if len(errs) != len(c.want) {
				t.Fatalf("%d errors, want %d:\n%v", len(errs), len(c.want), err)
			}
			for i, e := range errs {
				if !strings.Contains(e.Error(), c.want[i]) {
					t.Errorf("error %d is %q, want one with %q", i+1, e, c.want[i])
				}
			}
		})
	}
}

func TestATableThatMakesSenseIsAccepted(t *testing.T) {
	full := make([]Egress, MaxEgresses)
	for i := range full {
		full[i].Name = fmt.Sprint("e", i)
	}
	table, err := NewTable(full, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Pools) != 1 || len(table.Pools[0].Egresses) != MaxEgresses || table.Mode != Observe {
		t.Errorf("%d pools, mode %s", len(table.Pools), table.Mode)
	}
	tried := ^uint64(1 << 63)
	table.Mode = Act
	if d := table.Choose(&Request{Tried: tried}, paths{}, noon); d.Egress != 63 || d.Reason != DetourRefused {
		t.Errorf("the last bit: %+v", d)
	}
	// One pool may name the same domain in two ways.
	if _, err := NewTable(full, []Pool{{Name: "p", Egresses: []int{0}, Senders: []string{"*", "x.example", "X.example."}}}, Options{}); err != nil {
		t.Error(err)
	}
}

func TestAMessageForNoPoolIsNotSent(t *testing.T) {
	table, err := NewTable([]Egress{{Name: "a"}}, nil, Options{Mode: Act})
	if err != nil {
		t.Fatal(err)
	}
	table.pools = map[claim]int{{account: "shop"}: 0}
	if d := table.Choose(&Request{Sender: "x.example"}, paths{}, noon); d.Kind != None || d.Reason != NoPool || d.Preferred != -1 {
		t.Errorf("%+v", d)
	}
}

func TestMailThatNoEgressAcceptsIsNotSent(t *testing.T) {
	for name, e := range map[string]Egress{
		"another provider": {Name: "a", Providers: []string{"yahoo"}},
		"another sender":   {Name: "a", SenderDomains: []string{"other.example"}},
		"disabled":         {Name: "a", Disabled: true},
	} {
		table, err := NewTable([]Egress{e}, nil, Options{Mode: Act})
		if err != nil {
			t.Fatal(err)
		}
		if d := table.Choose(&Request{Provider: "google", Sender: "x.example"}, paths{}, noon); d.Kind != None || d.Reason != NotAllowed || d.Would != -1 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// reasons are all constants of the type Reason.
var reasons = []Reason{
	Preferred, Doubted, InShare, ProbeDue, ProbeAlone, DetourBlocked, DetourRefused, DetourShare, DetourWarmUp, DetourSlow, OnlyRecovering,
	HoldBlocked, HoldShare, HoldRefused, SlowRate, SlowWarmUp, NoPool, NotAllowed, NotFit, OnlyObserve,
}

func TestEveryReasonIsASentenceInBothLanguages(t *testing.T) {
	table, err := NewTable([]Egress{{Name: "tokyo"}, {Name: "osaka"}}, nil, Options{Mode: Act})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reasons {
		for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
			d := Decision{Reason: r, Egress: 1, Would: 1, Preferred: 0, Until: noon}
			text := table.Text(l, &d, "google")
			if strings.HasPrefix(text, "route.") || strings.ContainsAny(text, "{}") || !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "。") {
				t.Errorf("%s, %s: %q", r, l, text)
			}
		}
	}
	d := Decision{Reason: DetourBlocked, Egress: 1, Would: 1}
	if got := table.Text(i18n.EN, &d, "google"); got != "google refuses mail over tokyo: the message takes the detour osaka." {
		t.Error(got)
	}
	d = Decision{Reason: OnlyObserve, Egress: -1, Would: 7, Preferred: -1}
	if got := table.Text(i18n.EN, &d, "google"); !strings.Contains(got, "over -") {
		t.Error(got)
	}
}

func TestTheChoicesGiveEveryReason(t *testing.T) {
	var seen []Reason
	for _, c := range choices {
		words := strings.Fields(c.want)
		if strings.HasPrefix(words[len(words)-1], "would=") {
			words = words[:len(words)-1]
		}
		seen = append(seen, Reason("route.why."+words[len(words)-1]))
	}
	for _, r := range reasons {
		if !slices.Contains(seen, r) && r != NoPool && r != NotAllowed { // these two have tests of their own
			t.Errorf("no case gives %s", r)
		}
	}
}
