package notify

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Status is how the notices do.
type Status struct {
	Channels  []ChannelStatus `json:"channels"`
	Silences  []Silence       `json:"silences"` // those in force
	Heartbeat Beat            `json:"heartbeat"`
	Waiting   int             `json:"waiting"`           // incidents with something to tell, or that are being told
	Dropped   int64           `json:"dropped,omitempty"` // events of incidents beyond the limit, since the start
}

// ChannelStatus is how one channel does. It has no secrets.
type ChannelStatus struct {
	Name    string    `json:"name"`
	Kind    Kind      `json:"kind"`
	Level   int       `json:"level"`
	Failing bool      `json:"failing"`
	Since   time.Time `json:"since,omitzero"`   // it fails since
	Error   string    `json:"error,omitempty"`  // the last one, while it fails
	Again   time.Time `json:"again,omitzero"`   // when it is tried again
	LastOK  time.Time `json:"last_ok,omitzero"` // the last notice that it took since the start
}

// Status returns how the notices do.
func (n *Notifier) Status(now time.Time) Status {
	h := n.opts.Load().Heartbeat
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Status{Channels: []ChannelStatus{}, Silences: []Silence{}, Dropped: n.dropped}
	for _, c := range n.channels {
		cs := ChannelStatus{Name: c.opts.Name, Kind: c.opts.Kind, Level: c.opts.Level, Failing: c.failing, Error: c.why, LastOK: c.lastOK}
		if c.failing {
			cs.Since, cs.Again = c.since, c.again
		}
		s.Channels = append(s.Channels, cs)
	}
	for _, x := range n.silences {
		if x.Until.After(now) {
			s.Silences = append(s.Silences, x)
		}
	}
	for _, t := range n.threads {
		if t.busy || t.news != "" {
			s.Waiting++
		}
	}
	if h.URL != "" {
		s.Heartbeat = Beat{On: true, Every: h.Every, Last: n.heart.last, Error: n.heart.why}
	}
	return s
}

// ErrNoChannel is returned for a name that no channel has.
var ErrNoChannel = errors.New("no such channel")

// Result is how a test of a channel ended.
type Result struct {
	Channel string        `json:"channel"`
	Kind    Kind          `json:"kind"`
	OK      bool          `json:"ok"`
	Error   string        `json:"error,omitempty"` // without secrets
	Took    time.Duration `json:"took"`            // nanoseconds
}

// Test sends a test notice by one channel, whatever the hour and whatever is silenced. The error is ErrNoChannel; that the
// channel does not work is a Result.
func (n *Notifier) Test(ctx context.Context, name string) (Result, error) {
	n.mu.Lock()
	at := slices.IndexFunc(n.channels, func(c *channel) bool { return c.opts.Name == name })
	if at < 0 {
		n.mu.Unlock()
		return Result{}, ErrNoChannel
	}
	c := n.channels[at]
	was := c.failing
	n.mu.Unlock()
	began := time.Now()
	err := n.try(ctx, c, n.said(c, isTest))
	r := Result{Channel: name, Kind: c.opts.Kind, OK: err == nil, Took: time.Since(began)}
	if err != nil {
		r.Error = err.Error()
	} else if was {
		n.comeback(ctx, c)
	}
	return r, nil
}

// Channels returns the names of all channels, by level.
func (n *Notifier) Channels() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := make([]string, len(n.channels))
	for i, c := range n.channels {
		names[i] = c.opts.Name
	}
	return names
}
