package route

import (
	"testing"
	"time"

	"ukai/internal/health"
)

func TestAMessageThatWasToldToComeBackComesBackByTheSameWay(t *testing.T) {
	blocked := health.Path{State: health.Blocked, ProbeAt: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		mode   Mode
		req    Request
		paths  map[string]health.Path
		egress int
		reason Reason
	}{
		"the detour, though the preferred way is open":    {Act, Request{Stay: 2}, nil, 1, Staying},
		"the preferred way":                               {Act, Request{Stay: 1}, nil, 0, Staying},
		"a way that is suspect":                           {Act, Request{Stay: 2}, map[string]health.Path{"b": {State: health.Suspect}}, 1, Staying},
		"a recovering one, whatever its share":            {Act, Request{Stay: 2, Dice: 1 << 31}, map[string]health.Path{"b": {State: health.Recovering, Share: 1}}, 1, Staying},
		"not one that is shut":                            {Act, Request{Stay: 2}, map[string]health.Path{"b": blocked}, 0, Preferred},
		"not one that refused it in this attempt":         {Act, Request{Stay: 2, Tried: 2}, nil, 0, Preferred},
		"not one over which it would fail authentication": {Act, Request{Stay: 2, Unfit: 2}, nil, 0, Preferred},
		"not one that asks for a pause":                   {Act, Request{Stay: 2}, map[string]health.Path{"b": {Slow: noon.Add(time.Minute), SlowFor: time.Minute}}, 0, Preferred},
		"not one that is gone":                            {Act, Request{Stay: 1 << 40}, nil, 0, Preferred},
		"never in observe mode":                           {Observe, Request{Stay: 2}, nil, 0, Preferred},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := NewTable([]Egress{{Name: "a"}, {Name: "b"}}, nil, Options{Mode: c.mode})
			if err != nil {
				t.Fatal(err)
			}
			view := ways(c.paths)
			d := table.Choose(&c.req, view, noon)
			if d.Kind != Send || d.Egress != c.egress || d.Reason != c.reason || d.Preferred != 0 || d.Detour != (c.egress != 0) || d.Would != c.egress {
				t.Errorf("%+v", d)
			}
		})
	}
}

// ways is a view by egress alone.
type ways map[string]health.Path

func (w ways) Path(egress, _ string) health.Path { return w[egress] }
