package classify

import (
	"reflect"
	"slices"
	"testing"
)

func TestNearestNamesTheRulesThatATextComesCloseTo(t *testing.T) {
	r := rules(t)
	for text, want := range map[string]struct{ rule, lack string }{
		"550 5.7.1 Our system sees a very low standing of the sending IP. Please visit https://support.google.com/mail/answer/188131 - gsmtp": {"google.low-reputation-ip", "any"},
		"550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by example.org using the list of a client":                          {"microsoft.customer-block-list", "any"},
		"451 4.7.652 The mail server [192.0.2.1] has exceeded the limit":                                                                      {"microsoft.connections", "provider"},
	} {
		list := r.Nearest(text, 5)
		i := slices.IndexFunc(list, func(n Near) bool { return n.Rule == want.rule })
		if i < 0 {
			t.Errorf("%s: %+v", text, list)
			continue
		}
		if !slices.ContainsFunc(list[i].Lacks, func(l Lack) bool { return l.What == want.lack && len(l.Words) > 0 }) {
			t.Errorf("%s: it lacks %+v", text, list[i].Lacks)
		}
		if !slices.IsSortedFunc(list, func(a, b Near) int { return int(1000*b.Score) - int(1000*a.Score) }) {
			t.Errorf("not sorted: %+v", list)
		}
		for range 3 {
			if again := r.Nearest(text, 5); !reflect.DeepEqual(again, list) {
				t.Errorf("another answer: %+v, %+v", list, again)
			}
		}
	}
}

func TestNearestOfARuleThatFitsLacksNothing(t *testing.T) {
	r := rules(t)
	for i := range r.rules {
		x := &r.rules[i]
		if x.rule.Phase != "" || x.rule.Only {
			continue
		}
		list := r.Nearest(x.rule.Example, r.Len())
		k := slices.IndexFunc(list, func(n Near) bool { return n.Rule == x.name })
		if len(x.rule.All)+len(x.rule.Any) == 0 {
			continue
		}
		if k < 0 {
			t.Errorf("%s is not near to its own example", x.name)
		} else if len(list[k].Lacks) != 0 || list[k].Score <= 0 || list[k].Score > 1 || len(list[k].Shared) == 0 {
			t.Errorf("%s: %+v", x.name, list[k])
		}
	}
}

func TestNearestToNothingIsNothing(t *testing.T) {
	r := rules(t)
	for _, text := range []string{"", "550", "\x00", "zxqj vbnm"} {
		if list := r.Nearest(text, 5); len(list) != 0 {
			t.Errorf("%q: %+v", text, list)
		}
	}
	if list := r.Nearest(gmail4, -1); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
