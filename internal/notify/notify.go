// Package notify tells people of an incident, off the mail path.
//
// In 2019 the alert mails died with the mail. An alert that must travel by the broken mail is no alert, so notices go by HTTP to
// what people have on their phones, by mail only where a way out is healthy, and last by a command on this machine.
//
// # Told once
//
// A trouble makes thousands of events; a person wants to hear of it once, and again when there is something to decide. Each
// incident has a thread, which keeps the newest state only and passes through small stages (see stages.go), the same that
// Prometheus Alertmanager has: what is there to tell and when (opened and reopened at once; acknowledged and closed after a
// moment; growth grouped, with a pause that trebles, and the end of a listing only along with other news; a reminder while nobody has taken it on; escalation to the next level),
// silence, quiet hours, and a limit per hour. A stage only moves the time or drops the notice, so each can be read alone.
//
// # By a way that works
//
// Channels have a level and, within it, the order of the settings. A notice goes to the first one that takes it (Send "first")
// or to all of a level (Send "all"). One that fails is passed over for the next in the same moment; an opening does not wait for
// one that hangs either: the next is asked as well. A working channel is told of a failure once, the failing one is tried again
// with growing pauses, and its coming back is told once, too. When no channel works, the notice is tried until one does; what is
// told then is the state of that moment.
//
// Every send is recorded. Tokens and addresses of channels are secrets: they are taken out of errors, records and logs.
//
// # Its own death
//
// Nobody is told by a program that hangs. The Heartbeat is a periodic request to a service elsewhere that raises the alarm
// when it does not come; it is only sent when the main loops have answered.
package notify

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/incident"
	"ukai/internal/store"
)

// Parts are what a Notifier works with.
type Parts struct {
	DB  *store.DB
	Log *slog.Logger
	// Name returns what people call a provider.
	Name func(id string) string
	// Mail queues a notice as mail to those recipients whose providers a healthy path leads to, or says that there is none.
	// It is called from goroutines of the Notifier, several at a time.
	Mail func(ctx context.Context, m *Mail) error
	// Check returns when the main loops have answered, or an error when one has not; it may hang with them. See Heartbeat.
	Check func(ctx context.Context) error
	// Current returns an incident as it stands, if it is still followed: counts and paths change without an event, and a reminder
	// would tell of hours ago. nil: what the last event said has to do.
	Current func(id int64) (incident.Incident, bool)
	// Host is the name of this ukai, for those who run several.
	Host string
}

// Mail is a notice as mail.
type Mail struct {
	To      []string
	From    string // reverse-path and From; empty: a null reverse-path, and a From at this host
	Subject string
	Body    string
}

// Notifier tells people. It is safe for concurrent use.
type Notifier struct {
	parts Parts
	opts  atomic.Pointer[Options]
	wake  chan struct{} // capacity 1: something may be due
	// loop is when the loop of Run was last seen alive, in Unix nanoseconds.
	loop  atomic.Int64
	heart heart

	mu       sync.Mutex // guards the fields below
	channels []*channel // by level, then in the order of the settings
	threads  map[int64]*thread
	silences []Silence
	dropped  int64
}

// maxThreads is how many incidents are followed at a time.
const maxThreads = 1000

// Open makes a Notifier and reads what an earlier run has stored: silences, and what was told of which incident.
func Open(ctx context.Context, parts Parts, opts Options) (*Notifier, error) {
	if err := parts.DB.Migrate(ctx, "notify", migrations...); err != nil {
		return nil, err
	}
	n := &Notifier{parts: parts, wake: make(chan struct{}, 1), threads: make(map[int64]*thread)}
	var err error
	if n.silences, err = n.readSilences(ctx); err != nil {
		return nil, err
	}
	n.Configure(opts)
	return n, nil
}

// Configure takes over other settings. What is known of a channel that stays the same is kept.
func (n *Notifier) Configure(opts Options) {
	opts.settle()
	n.mu.Lock()
	old := make(map[string]*channel, len(n.channels))
	for _, c := range n.channels {
		old[c.print] = c
	}
	n.channels = n.channels[:0:0]
	for _, o := range opts.sorted() {
		c := n.newChannel(o)
		if was := old[c.print]; was != nil {
			c = was
		}
		n.channels = append(n.channels, c)
	}
	n.opts.Store(&opts)
	n.mu.Unlock()
	n.stir()
}

// Restore takes over the incidents that are open at the start: those that an earlier run told of go on where it left them, the
// others are told.
func (n *Notifier) Restore(ctx context.Context, open []incident.Incident, now time.Time) error {
	told, err := n.readThreads(ctx)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range open {
		in := &open[i]
		t := &thread{inc: *in}
		if m, ok := told[in.ID]; ok {
			t.memory = m
		} else if in.State != incident.Closed {
			t.pend(incident.WasOpened, now)
		}
		n.threads[in.ID] = t
	}
	return nil
}

// Handle takes in an event. It never blocks and keeps the newest state of each incident only. It fits incident.Options.OnEvent.
func (n *Notifier) Handle(e incident.Event) {
	n.mu.Lock()
	t := n.threads[e.Incident.ID]
	if t == nil {
		if !n.makeRoomLocked() {
			n.dropped++
			n.mu.Unlock()
			return
		}
		t = &thread{}
		n.threads[e.Incident.ID] = t
	}
	eased := e.News == incident.HasGrown && onlyEased(&t.inc, &e.Incident)
	if t.inc = e.Incident; !eased {
		t.pend(e.News, e.At)
	}
	n.mu.Unlock()
	n.stir()
}

// onlyEased tells whether nothing happened to an incident but that a listing ended. That is in the next notice; by itself it gives
// nobody anything to decide.
func onlyEased(was, is *incident.Incident) bool {
	standing := func(i *incident.Incident) (list []string) {
		for n := range i.Listings {
			if l := &i.Listings[n]; l.Standing() {
				list = append(list, l.Name+" "+l.Net)
			}
		}
		return list
	}
	before, now := standing(was), standing(is)
	news := slices.ContainsFunc(now, func(l string) bool { return !slices.Contains(before, l) }) ||
		slices.ContainsFunc(is.Providers, func(p incident.Provider) bool {
			return !slices.ContainsFunc(was.Providers, func(q incident.Provider) bool { return q.ID == p.ID })
		})
	return !news && len(now) < len(before)
}

// makeRoomLocked forgets the oldest incident that is closed and told when there are too many.
func (n *Notifier) makeRoomLocked() bool {
	if len(n.threads) < maxThreads {
		return true
	}
	oldest := int64(-1)
	for id, t := range n.threads {
		if t.idle() && (oldest < 0 || id < oldest) {
			oldest = id
		}
	}
	delete(n.threads, oldest)
	return oldest >= 0
}

// stir lets the loop look again.
func (n *Notifier) stir() {
	select {
	case n.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// lang returns the language of a channel.
func (o *ChannelOptions) lang() i18n.Lang {
	if o.Lang == "" {
		return i18n.EN
	}
	return o.Lang
}
