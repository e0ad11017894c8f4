package watch

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"ukai/internal/classify"
)

// repeats knows what was told already: the log of a server says that a message was refused, and a moment later the report of
// the same refusal comes to the mailbox. Counted twice, it would block a path that was refused once.
//
// Only what another source tells is a repetition: a server that tries a message again is refused again, and that counts.
type repeats struct {
	mu       sync.Mutex // guards all
	now, old map[uint64]sighting
	turned   time.Time
}

type sighting struct {
	source uint64
	at     time.Time
}

const (
	maxRepeats  = 25_000         // in each of the two maps, about 40 octets each
	keepRepeats = 24 * time.Hour // at least, at most twice that
)

var seed = maphash.MakeSeed()

// seen tells whether another source has told the same refusal, and remembers it. A delivery is not remembered: there are too
// many of them, and one more or less does no harm.
func (r *repeats) seen(o *Observation, now time.Time) bool {
	if o.Verdict.Action == classify.Deliver || o.Recipient == "" {
		return false
	}
	source := maphash.String(seed, o.Source)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(now)
	again := false
	for _, k := range marks(o) {
		first, ok := r.now[k]
		if !ok {
			first, ok = r.old[k]
		}
		if ok && first.source != source {
			again = true
			continue
		}
		r.now[k] = sighting{source, now}
	}
	return again
}

func (r *repeats) turnLocked(now time.Time) {
	if r.now == nil || len(r.now) >= maxRepeats || now.Sub(r.turned) > keepRepeats {
		r.old, r.now, r.turned = r.now, make(map[uint64]sighting), now
	}
}

// marks are what one refusal is known by: the message and the recipient, and the recipient and the words of the reply, because
// not every log and not every report names the message.
func marks(o *Observation) []uint64 {
	rcpt := strings.ToLower(o.Recipient)
	var all []uint64
	if id := o.MessageID; id != "" {
		all = append(all, maphash.String(seed, "id\x00"+rcpt+"\x00"+id))
	}
	if words := letters(o.Outcome.Text()); len(words) >= 20 { // fewer say nothing
		all = append(all, maphash.String(seed, "words\x00"+rcpt+"\x00"+words))
	}
	return all
}

// letters is what is left of a reply when it is folded, joined, quoted and coded again: its letters, at most 200.
func letters(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < 200; i++ {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' {
			b.WriteByte(c)
		}
	}
	return b.String()
}
