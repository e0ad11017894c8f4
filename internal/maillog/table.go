package maillog

import (
	"hash/maphash"
	"net/netip"
	"slices"

	"ukai/internal/outcome"
)

// remembered is how many messages are known at once when Options does not say.
const remembered = 1 << 15

// maxPending is how many undelivered recipients are kept of one message, maxText how many octets of strings the whole table may
// hold: above it the message that was longest not named goes.
const (
	maxPending = 64
	maxText    = 6 << 20
)

// message is what the lines said so far of one message.
type message struct {
	key  uint64
	id   string
	at   int64 // when it was last named, Unix seconds
	cost int   // octets of its strings, as the table has booked them
	held int   // octets of pending

	from, messageID  string
	client           netip.Addr
	clientName, helo string
	account          string
	said             string // a reply that Sendmail logged before the line of its recipient
	size             int64
	sender           bool // from is known
	accepted         bool // Accepted was emitted
	done             bool // the server is finished with it: the next one of that ID is another
	tls              bool

	pending    []pending
	prev, next uint32 // in order of use
}

// pending is a recipient that was deferred, with the reason: what Postfix says at the end of a message's time does not name it.
type pending struct {
	to, origTo, relay, text string
	remote                  netip.AddrPort
	phase                   outcome.Phase
}

// cost is about what a pending recipient holds, itself included.
func (w *pending) cost() int {
	return 128 + len(w.to) + len(w.origTo) + len(w.relay) + len(w.text)
}

// table holds the messages that are known. Place 0 is the head of the ring in order of use: its next is the one used last. What
// was done stays for a moment, because lines of several processes may cross.
type table struct {
	seed  maphash.Seed
	max   int
	cost  int
	at    map[uint64]uint32
	slots []message
	free  []uint32
	grace [64]uint64 // keys of the messages that were done last
	turn  int
}

func newTable(limit int, seed maphash.Seed) *table {
	if limit <= 0 {
		limit = remembered
	}
	return &table{seed: seed, max: limit, at: make(map[uint64]uint32), slots: make([]message, 1)}
}

// key is the name of a message among all hosts and instances.
func (t *table) key(source uint64, id []byte) uint64 { return maphash.Bytes(t.seed, id) ^ source }

// find returns the message with that ID, nil when it is not known.
func (t *table) find(source uint64, id []byte, now int64) *message {
	i, ok := t.at[t.key(source, id)]
	if !ok || t.slots[i].id != string(id) {
		return nil
	}
	t.use(i)
	m := &t.slots[i]
	m.at = now
	return m
}

// get returns the message with that ID, a blank one when it is not known. The pointer is good until the next call.
func (t *table) get(source uint64, id []byte, now int64) *message {
	key := t.key(source, id)
	if i, ok := t.at[key]; ok {
		m := &t.slots[i]
		if m.id != string(id) { // two IDs with one hash: the older is forgotten
			t.blank(m)
			m.id = string(id)
			t.charge(m)
		}
		t.use(i)
		m.at = now
		return m
	}
	i := t.place()
	m := &t.slots[i]
	m.key, m.id, m.at = key, string(id), now
	t.at[key] = i
	t.link(i)
	t.charge(m)
	return m
}

// begin returns a blank message: one begins here, whatever had this ID before (short queue IDs come again within days).
func (t *table) begin(source uint64, id []byte, now int64) *message {
	m := t.get(source, id, now)
	t.blank(m)
	t.charge(m)
	return m
}

// end lets a message go when 64 others have ended after it.
func (t *table) end(m *message) {
	if m.done {
		return
	}
	m.done = true
	old := t.grace[t.turn]
	t.grace[t.turn] = m.key
	t.turn = (t.turn + 1) % len(t.grace)
	if i, ok := t.at[old]; ok && t.slots[i].done {
		t.drop(i)
	}
}

// charge books what a message holds, and makes room. It is called after its strings have changed.
func (t *table) charge(m *message) {
	cost := len(m.id) + len(m.from) + len(m.messageID) + len(m.clientName) + len(m.helo) + len(m.account) + len(m.said) + m.held
	t.cost += cost - m.cost
	m.cost = cost
	for t.cost > maxText {
		last := t.slots[0].prev
		if &t.slots[last] == m || last == 0 {
			return
		}
		t.drop(last)
	}
}

// set puts a text into a field of m.
func (t *table) set(m *message, field *string, b []byte) {
	*field = visible(b)
	t.charge(m)
}

// defers keeps a recipient that was deferred; settle takes it out.
func (t *table) defers(m *message, r *pending) {
	t.settle(m, r.to)
	if len(m.pending) < maxPending {
		m.pending = append(m.pending, *r)
		m.held += r.cost()
		t.charge(m)
	}
}

func (t *table) settle(m *message, to string) {
	for i := range m.pending {
		if m.pending[i].to == to {
			m.held -= m.pending[i].cost()
			m.pending = slices.Delete(m.pending, i, i+1)
			t.charge(m)
			return
		}
	}
}

// waive forgets the recipients that waited.
func (t *table) waive(m *message) {
	for len(m.pending) > 0 {
		t.settle(m, m.pending[len(m.pending)-1].to)
	}
}

// forget drops what was last named before a time.
func (t *table) forget(before int64) {
	for i := t.slots[0].prev; i != 0; {
		prev := t.slots[i].prev
		if t.slots[i].at < before {
			t.drop(i)
		}
		i = prev
	}
}

// place finds a free slot, that of the message longest not named when there is none.
func (t *table) place() uint32 {
	if len(t.free) == 0 && len(t.slots) > t.max {
		t.drop(t.slots[0].prev)
	}
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return i
	}
	t.slots = append(t.slots, message{})
	return uint32(len(t.slots) - 1)
}

func (t *table) drop(i uint32) {
	m := &t.slots[i]
	t.unlink(i)
	delete(t.at, m.key)
	t.blank(m)
	t.free = append(t.free, i)
}

// blank forgets all but the name.
func (t *table) blank(m *message) {
	t.cost -= m.cost
	*m = message{key: m.key, id: m.id, at: m.at, prev: m.prev, next: m.next}
}

func (t *table) use(i uint32) {
	if t.slots[0].next != i {
		t.unlink(i)
		t.link(i)
	}
}

func (t *table) link(i uint32) {
	first := t.slots[0].next
	t.slots[i].prev, t.slots[i].next = 0, first
	t.slots[first].prev = i
	t.slots[0].next = i
}

func (t *table) unlink(i uint32) {
	m := &t.slots[i]
	t.slots[m.prev].next = m.next
	t.slots[m.next].prev = m.prev
}
