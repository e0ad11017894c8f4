package incident

import (
	"encoding/json"
	"slices"
	"strings"
)

// maxTops is how many names a Tops tells apart.
const maxTops = 1000

// Tops counts names: domains, mostly. It tells the first maxTops apart and counts those of all others together, so that its
// size has a limit. The zero value is ready.
type Tops struct {
	Others int64 // what was counted for names beyond the limit
	count  map[string]int64
}

// Top is a name with its count.
type Top struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Add counts n for a name. An empty one is not counted.
func (t *Tops) Add(name string, n int64) {
	if name == "" || n == 0 {
		return
	}
	if t.count == nil {
		t.count = make(map[string]int64)
	}
	if _, known := t.count[name]; !known && len(t.count) >= maxTops {
		t.Others += n
		return
	}
	t.count[name] += n
}

// Len returns how many names are told apart.
func (t *Tops) Len() int { return len(t.count) }

// List returns the names, most counted first.
func (t *Tops) List() []Top {
	list := make([]Top, 0, len(t.count))
	for name, n := range t.count {
		list = append(list, Top{name, n})
	}
	slices.SortFunc(list, func(a, b Top) int {
		if a.Count != b.Count {
			return int(min(1, max(-1, b.Count-a.Count)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

func (t *Tops) clone() Tops {
	c := Tops{Others: t.Others}
	for name, n := range t.count {
		c.Add(name, n)
	}
	return c
}

// topsJSON is a Tops in JSON.
type topsJSON struct {
	Names  int   `json:"names"`
	Top    []Top `json:"top"`
	Others int64 `json:"others,omitempty"`
}

// MarshalJSON writes the names in order.
func (t Tops) MarshalJSON() ([]byte, error) {
	return json.Marshal(topsJSON{Names: len(t.count), Top: t.List(), Others: t.Others})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Tops) UnmarshalJSON(b []byte) error {
	var j topsJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*t = Tops{Others: j.Others}
	for _, top := range j.Top {
		t.Add(top.Name, top.Count)
	}
	return nil
}
