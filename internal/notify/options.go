package notify

import (
	"cmp"
	"slices"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/incident"
)

// Options are the settings of a Notifier. Zero fields take the defaults; a negative duration switches off what it is for.
type Options struct {
	// GroupWait is how long an event that is not urgent waits for others of its incident; default 5 s.
	GroupWait time.Duration
	// GroupInterval is the least pause before growth is told; it trebles with each time, up to Repeat. Default 5 min.
	GroupInterval time.Duration
	// Repeat is how often people are reminded of an incident that is open and not acknowledged; default 4 h.
	Repeat time.Duration
	// Escalate is how long an incident may be open and not acknowledged before the next level is told; default 30 min.
	Escalate time.Duration
	// PerHour is how many notices one incident may make within Hour; default 6.
	PerHour int
	// Hour is what counts as one; default 1 h. Only a faster clock has another.
	Hour  time.Duration
	Quiet Quiet
	// All sends a notice to every channel of the level; else the first that works gets it.
	All       bool
	Channels  []ChannelOptions
	Heartbeat Heartbeat
}

// Quiet are the hours in which people sleep: from From to To, time since midnight in Location. From == To: none.
type Quiet struct {
	From, To time.Duration
	Location *time.Location // default time.Local
	// Through are the kinds whose opening is told all the same; default reputation.
	Through []incident.Kind
}

// Kind says how a channel is spoken to.
type Kind string

// The kinds.
const (
	Webhook  Kind = "webhook"
	Slack    Kind = "slack"
	Discord  Kind = "discord"
	Teams    Kind = "teams"
	Telegram Kind = "telegram"
	Ntfy     Kind = "ntfy"
	LINE     Kind = "line"
	Chatwork Kind = "chatwork"
	Shoutrrr Kind = "shoutrrr"
	MailKind Kind = "mail"
	Command  Kind = "command"
)

// ChannelOptions are the settings of one channel. URL and Token are secrets.
type ChannelOptions struct {
	Name    string
	Kind    Kind
	Level   int           // from 1; higher ones are told by escalation, and when no lower one works
	URL     string        // of webhook, slack, discord, teams, shoutrrr; of the others the address of their API, which has a default
	Token   string        // of telegram, ntfy, line, chatwork; of webhook the key of its signature
	To      []string      // chat, topic, user or group, room, mail addresses
	From    string        // of mail
	Command []string      // program and arguments
	Lang    i18n.Lang     // default en
	Timeout time.Duration // of one attempt; default 10 s
}

func (o *Options) settle() {
	o.GroupWait = cmp.Or(o.GroupWait, 5*time.Second)
	o.GroupInterval = cmp.Or(o.GroupInterval, 5*time.Minute)
	o.Repeat = cmp.Or(o.Repeat, 4*time.Hour)
	o.Escalate = cmp.Or(o.Escalate, 30*time.Minute)
	o.PerHour = cmp.Or(o.PerHour, 6)
	o.Hour = cmp.Or(o.Hour, time.Hour)
	if o.Quiet.Location == nil {
		o.Quiet.Location = time.Local
	}
	if o.Quiet.Through == nil {
		o.Quiet.Through = []incident.Kind{incident.Reputation}
	}
	o.Heartbeat.Every = cmp.Or(o.Heartbeat.Every, time.Minute)
	o.Heartbeat.Timeout = cmp.Or(o.Heartbeat.Timeout, 10*time.Second)
	for i := range o.Channels {
		c := &o.Channels[i]
		c.Level = max(c.Level, 1)
		c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
		c.Lang = c.lang()
	}
}

// Scaled returns the options for a clock that runs speed times as fast: what is told of an incident follows it. What has to do with
// the channels does not, for they are as fast as they are; nor do the quiet hours and the heartbeat.
func (o Options) Scaled(speed float64) Options {
	if speed <= 1 {
		return o
	}
	o.Channels = slices.Clone(o.Channels)
	o.settle()
	for _, d := range []*time.Duration{&o.GroupWait, &o.GroupInterval, &o.Repeat, &o.Escalate, &o.Hour} {
		if *d > 0 {
			*d = max(time.Duration(float64(*d)/speed), 1) // 0 would be the default
		}
	}
	return o
}

// sorted returns the channels by level, in the order of the settings within one.
func (o *Options) sorted() []ChannelOptions {
	list := slices.Clone(o.Channels)
	slices.SortStableFunc(list, func(a, b ChannelOptions) int { return cmp.Compare(a.Level, b.Level) })
	return list
}

// levels returns how many levels there are: the highest one of a channel.
func (o *Options) levels() int {
	most := 1
	for i := range o.Channels {
		most = max(most, o.Channels[i].Level)
	}
	return most
}

// holds tells whether a time lies in the quiet hours, and when they end.
func (q *Quiet) holds(at time.Time) (until time.Time, quiet bool) {
	if q.From == q.To {
		return at, false
	}
	at = at.In(q.Location)
	// Yesterday's window may reach into today. The wall clock counts, so days of 23 and 25 hours have their quiet hours, too.
	for _, days := range []int{-1, 0} {
		from, to := q.wall(at, days, q.From), q.wall(at, days, q.To)
		if q.To < q.From {
			to = q.wall(at, days+1, q.To)
		}
		if !at.Before(from) && at.Before(to) {
			return to, true
		}
	}
	return at, false
}

// wall returns the moment at which the clock on the wall shows d, some days from a time.
func (q *Quiet) wall(at time.Time, days int, d time.Duration) time.Time {
	y, m, day := at.Date()
	return time.Date(y, m, day+days, int(d/time.Hour), int(d%time.Hour/time.Minute), 0, 0, q.Location)
}
