package route

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// play is a small dispatcher with one provider behind it, to see table and book work together. Attempts take no time.
type play struct {
	table   *Table
	book    *health.Book
	now     time.Time
	dice    *rand.Rand
	refuses func(egress string, now time.Time) bool
	step    time.Duration // how finely time passes

	held      []held
	delivered map[int]int // by message
	attempts  map[string]int
	refused   map[string]int
	bounced   int
	worst     int           // most attempts that one message needed in one go
	waited    time.Duration // the longest wait
}

type held struct {
	id       int
	due      time.Time
	accepted time.Time
	class    mail.Class
	dice     uint32
}

func newPlay(t *testing.T, mode Mode, names ...string) *play {
	t.Helper()
	egresses := make([]Egress, len(names))
	for i, name := range names {
		egresses[i].Name = name
	}
	table, err := NewTable(egresses, nil, Options{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(3, 4))
	return &play{
		table: table, now: noon, dice: dice, step: time.Second,
		book:      health.New(health.Options{Rand: dice.Float64}, slog.New(slog.DiscardHandler)),
		delivered: make(map[int]int), attempts: make(map[string]int), refused: make(map[string]int),
	}
}

func (p *play) send(m held) {
	req := &Request{Provider: "google", Class: m.class, Dice: m.dice}
	for tries := 1; ; tries++ {
		d := p.table.Choose(req, p.book, p.now)
		switch d.Kind {
		case Hold, Slow:
			m.due = d.Until
			p.held = append(p.held, m)
			return
		case None:
			p.bounced++
			return
		}
		key := health.Key{Egress: p.table.Egresses[d.Egress].Name, Provider: "google"}
		if d.Probe && !p.book.BeginProbe(key, p.now) {
			req.NoProbe = true
			continue
		}
		p.worst = max(p.worst, tries)
		if p.attempt(m, key, d.Probe) {
			return
		}
		req.Tried |= 1 << d.Egress
	}
}

func (p *play) attempt(m held, key health.Key, probe bool) (taken bool) {
	p.attempts[key.Egress]++
	ev := health.Evidence{At: p.now, Key: key, MsgID: fmt.Sprint(m.id), Probe: probe}
	ev.Outcome.Phase = outcome.EndOfData
	taken = !p.refuses(key.Egress, p.now)
	if taken {
		ev.Verdict = classify.Verdict{Action: classify.Deliver}
		ev.Outcome.Reply.Code = 250
		p.delivered[m.id]++
		p.waited = max(p.waited, p.now.Sub(m.accepted))
	} else {
		ev.Verdict = classify.Verdict{Action: classify.Fail, Reputation: true, Detour: true}
		ev.Outcome.Reply.Code = 550
		p.refused[key.Egress]++
	}
	p.book.Observe(ev)
	return taken
}

// run lets time pass, with so many new messages in each step.
func (p *play) run(d time.Duration, perStep int, next *int) {
	for range d / p.step {
		p.now = p.now.Add(p.step)
		p.book.Tick(p.now)
		due := slices.Clone(p.held)
		p.held = p.held[:0]
		for _, m := range due {
			if m.due.After(p.now) {
				p.held = append(p.held, m)
				continue
			}
			p.send(m)
		}
		for range perStep {
			class := mail.Class(*next % 2)
			p.send(held{id: *next, accepted: p.now, class: class, dice: p.dice.Uint32()})
			*next++
		}
	}
}

func (p *play) check(t *testing.T, sent int) {
	t.Helper()
	t.Logf("%d messages, attempts %v, refused %v, at most %d attempts in one go, the longest wait %v", sent, p.attempts, p.refused, p.worst, p.waited)
	if len(p.held) != 0 || p.bounced != 0 || len(p.delivered) != sent {
		t.Fatalf("of %d messages %d were delivered, %d are held, %d bounced", sent, len(p.delivered), len(p.held), p.bounced)
	}
	for id, n := range p.delivered {
		if n != 1 {
			t.Fatalf("message %d was delivered %d times", id, n)
		}
	}
}

func (p *play) state(egress string) health.State { return p.book.Path(egress, "google").State }

func TestStoryOfAnAddressThatIsRefusedForSixHours(t *testing.T) {
	p := newPlay(t, Act, "direct", "relay")
	from, to := noon.Add(10*time.Minute), noon.Add(6*time.Hour)
	p.refuses = func(egress string, now time.Time) bool {
		return egress == "direct" && now.After(from) && now.Before(to)
	}
	n := 0
	p.run(10*time.Minute, 2, &n)
	before := p.attempts["direct"]
	p.run(6*time.Hour-10*time.Minute, 2, &n)
	during := p.attempts["direct"] - before
	if mail := n - before; during*1000 > mail {
		t.Errorf("%d attempts over the refused way for %d messages: more than one in a thousand", during, mail)
	}
	if p.state("direct") == health.Healthy || p.worst > 2 || p.waited > 0 {
		t.Errorf("direct is %s; at most %d attempts for one message, the longest wait %v", p.state("direct"), p.worst, p.waited)
	}
	p.run(3*time.Hour, 2, &n)
	if p.state("direct") != health.Healthy {
		t.Errorf("three hours after the block direct is %s", p.state("direct"))
	}
	relayed := p.attempts["relay"]
	p.run(10*time.Minute, 2, &n)
	if p.attempts["relay"] != relayed {
		t.Error("mail still takes the detour")
	}
	p.check(t, n)
}

func TestStoryOfTwoMessagesAnHour(t *testing.T) {
	p := newPlay(t, Act, "direct", "relay")
	p.step = time.Minute
	until := noon.Add(48 * time.Hour)
	p.refuses = func(egress string, now time.Time) bool { return egress == "direct" && now.Before(until) }
	n := 0
	for range 48 {
		p.run(29*time.Minute, 0, &n)
		p.run(time.Minute, 1, &n)
	}
	if p.state("direct") != health.Blocked || p.refused["direct"] > 30 {
		t.Errorf("direct is %s after %d refusals", p.state("direct"), p.refused["direct"])
	}
	for range 96 + 10 {
		p.run(29*time.Minute, 0, &n)
		p.run(time.Minute, 1, &n)
	}
	if p.state("direct") != health.Healthy || p.waited > 0 {
		t.Errorf("direct is %s, the longest wait %v", p.state("direct"), p.waited)
	}
	p.check(t, n)
}

func TestStoryWhenEveryWayIsRefused(t *testing.T) {
	p := newPlay(t, Act, "direct", "relay")
	until := noon.Add(2 * time.Hour)
	p.refuses = func(_ string, now time.Time) bool { return now.Before(until) }
	n := 0
	p.step = 10 * time.Second
	p.run(time.Hour, 1, &n)
	if len(p.delivered) != 0 || len(p.held) != n || p.bounced != 0 {
		t.Fatalf("%d delivered, %d of %d held, %d bounced", len(p.delivered), len(p.held), n, p.bounced)
	}
	if tries := p.attempts["direct"] + p.attempts["relay"]; tries > 60 {
		t.Errorf("%d attempts while everything was shut: sprayed", tries)
	}
	p.run(5*time.Hour, 0, &n)
	p.check(t, n)
	if p.waited > 4*time.Hour {
		t.Errorf("a message waited for %v, the block lasted two hours", p.waited)
	}
}

func TestStoryWhenTheRelayIsRefusedToo(t *testing.T) {
	p := newPlay(t, Act, "direct", "relay", "other")
	p.step = 10 * time.Second
	day := noon.Add(24 * time.Hour)
	p.refuses = func(egress string, now time.Time) bool {
		return egress == "direct" || egress == "relay" && now.After(noon.Add(time.Hour)) && now.Before(day)
	}
	n := 0
	p.run(24*time.Hour, 1, &n)
	if p.worst > 3 || p.waited > 0 || p.refused["direct"]+p.refused["relay"] > 150 {
		t.Errorf("%d attempts for one message, the longest wait %v, refused %v", p.worst, p.waited, p.refused)
	}
	p.run(6*time.Hour, 1, &n)
	if p.state("relay") != health.Healthy || p.state("direct") == health.Healthy {
		t.Errorf("relay is %s, direct %s", p.state("relay"), p.state("direct"))
	}
	p.check(t, n)
}

func TestStoryInObserveMode(t *testing.T) {
	p := newPlay(t, Observe, "direct", "relay")
	until := noon.Add(time.Hour)
	p.refuses = func(egress string, now time.Time) bool { return now.Before(until) }
	n := 0
	p.run(time.Hour, 1, &n)
	if p.attempts["relay"] != 0 || len(p.held) != 0 || p.bounced < 3500 {
		t.Errorf("attempts %v, %d held, %d bounced", p.attempts, len(p.held), p.bounced)
	}
	p.run(4*time.Hour, 1, &n)
	if p.state("direct") != health.Healthy {
		t.Errorf("the book learned that direct is %s", p.state("direct"))
	}
}
