package notify

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Heartbeat is a periodic request to a service elsewhere (a dead man's switch) that raises the alarm when it does not come.
// It is sent only when the loop of the Notifier and Parts.Check have answered: a ukai that hangs misses it.
type Heartbeat struct {
	URL     string        // a secret; empty: none
	Every   time.Duration // default 1 min
	Timeout time.Duration // of the check, and of the request; default 10 s
	Post    bool          // POST in place of GET
}

// Beat is how the heartbeat does.
type Beat struct {
	On    bool          `json:"on"`
	Every time.Duration `json:"every,omitempty"` // nanoseconds
	Last  time.Time     `json:"last,omitzero"`   // the last one that was taken
	Error string        `json:"error,omitempty"` // why the newest one was not sent or not taken, without secrets
}

// heart is what is known of the heartbeat; guarded by Notifier.mu.
type heart struct {
	last time.Time
	why  string
}

// Why no heartbeat is sent.
var (
	errHangs = errors.New("the main loops do not answer")
	errStill = errors.New("the loop of the notices does not answer")
)

// beat sends heartbeats until ctx ends.
func (n *Notifier) beat(ctx context.Context) {
	checks := make(chan error, 1)
	checking := false
	for {
		h := n.opts.Load().Heartbeat
		if h.URL != "" {
			if !checking {
				checking = true
				go func() { checks <- n.alive(ctx, &h) }() // it may hang with what it asks: then no other one is started
			}
			err := errHangs
			t := time.NewTimer(h.Timeout)
			select {
			case err = <-checks:
				checking = false
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
			n.ping(ctx, &h, err)
		}
		if !wait(ctx, h.Every) {
			return
		}
	}
}

// alive asks the loops.
func (n *Notifier) alive(ctx context.Context, h *Heartbeat) error {
	if seen := time.Unix(0, n.loop.Load()); time.Since(seen) > 2*alive {
		return errStill
	}
	if n.parts.Check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	return n.parts.Check(ctx)
}

// ping sends one heartbeat, unless something is wrong, and logs when that changes.
func (n *Notifier) ping(ctx context.Context, h *Heartbeat, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, h.Timeout)
		defer cancel()
		method := http.MethodGet
		if h.Post {
			method = http.MethodPost
		}
		err = (&call{url: h.URL}).do(limited, method)
	}
	why := ""
	if err != nil {
		masked := &channel{secrets: secretsOf(&ChannelOptions{URL: h.URL})}
		why = masked.mask(err.Error())
	}
	n.mu.Lock()
	changed := (why == "") != (n.heart.why == "")
	n.heart.why = why
	if why == "" {
		n.heart.last = time.Now()
	}
	n.mu.Unlock()
	switch {
	case changed && why != "":
		n.parts.Log.Error("heartbeat not sent", "why", why)
	case changed:
		n.parts.Log.Info("heartbeat sent again")
	}
}
