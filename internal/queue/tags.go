package queue

import "strings"

// tags are what deliveries wait for, with those that wait.
type tags struct {
	deliveries *slab[delivery]
	byName     map[string]uint32
	all        []*tag // from index 1
	unused     []uint32
}

type tag struct {
	name    string
	waiting []uint32
}

func (t *tags) init(d *slab[delivery]) {
	t.deliveries = d
	t.byName = make(map[string]uint32)
	t.all = []*tag{nil}
}

// set makes a delivery wait for a tag; an empty one ends the waiting.
func (t *tags) set(j uint32, name string) {
	d := t.deliveries.at(j)
	if t.name(d) == name {
		return
	}
	if d.tag != 0 {
		t.leave(d)
	}
	if name == "" {
		return
	}
	i, ok := t.byName[name]
	if !ok {
		i = t.make(name)
	}
	d.tag, d.tagged = i, uint32(len(t.all[i].waiting))
	t.all[i].waiting = append(t.all[i].waiting, j)
}

func (t *tags) make(name string) uint32 {
	i := uint32(len(t.all))
	if n := len(t.unused); n > 0 {
		i = t.unused[n-1]
		t.unused = t.unused[:n-1]
	} else {
		t.all = append(t.all, nil)
	}
	name = strings.Clone(name) // it is part of a whole record
	t.all[i] = &tag{name: name}
	t.byName[name] = i
	return i
}

// leave ends a delivery's waiting; the last in the list takes its place.
func (t *tags) leave(d *delivery) {
	tg := t.all[d.tag]
	last := len(tg.waiting) - 1
	moved := tg.waiting[last]
	tg.waiting[d.tagged] = moved
	t.deliveries.at(moved).tagged = d.tagged
	tg.waiting = tg.waiting[:last]
	if last == 0 {
		delete(t.byName, tg.name)
		t.all[d.tag] = nil
		t.unused = append(t.unused, d.tag)
	}
	d.tag, d.tagged = 0, 0
}

// name returns what a delivery waits for, "" if for nothing.
func (t *tags) name(d *delivery) string {
	if d.tag == 0 {
		return ""
	}
	return t.all[d.tag].name
}

// waiting returns the deliveries that wait for a tag. The list changes with the next set.
func (t *tags) waiting(name string) []uint32 {
	if i, ok := t.byName[name]; ok {
		return t.all[i].waiting
	}
	return nil
}
