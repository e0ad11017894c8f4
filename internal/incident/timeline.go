package incident

import (
	"maps"
	"slices"
	"time"
)

// Entry is a line of an incident's timeline, to be put into words with the message catalogue.
type Entry struct {
	At   time.Time         `json:"at"`
	What string            `json:"what"` // key of the message catalogue: "incident.event.opened", ...
	Args map[string]string `json:"args,omitempty"`
	// Times is how often the same happened in a row; At is the first time, Last the last one.
	Times int       `json:"times,omitempty"`
	Last  time.Time `json:"last,omitzero"`
}

// Timeline is what happened, in order. The beginning and the end are kept when it gets long, the middle is not.
type Timeline struct {
	Entries []Entry `json:"entries"`
	Left    int     `json:"left,omitempty"` // entries that were left out behind the first keepFirst
}

const (
	keepFirst = 50
	keepLast  = 150
)

// add appends an entry; one that repeats the last is counted there.
func (t *Timeline) add(at time.Time, what string, args ...string) {
	e := Entry{At: at, What: what}
	for i := 0; i+1 < len(args); i += 2 {
		if e.Args == nil {
			e.Args = make(map[string]string)
		}
		e.Args[args[i]] = args[i+1]
	}
	if n := len(t.Entries); n > 0 {
		last := &t.Entries[n-1]
		if last.What == what && maps.Equal(last.Args, e.Args) {
			last.Times = max(last.Times, 1) + 1
			last.Last = at
			return
		}
	}
	if len(t.Entries) == keepFirst+keepLast {
		t.Entries = slices.Delete(t.Entries, keepFirst, keepFirst+1)
		t.Left++
	}
	t.Entries = append(t.Entries, e)
}

func (t *Timeline) clone() Timeline {
	return Timeline{Entries: slices.Clone(t.Entries), Left: t.Left} // Args are never changed
}
