package health

import (
	"log/slog"
	"sync"
)

// outbox hands changes on in the order in which they happened, without any lock held while they are handled.
type outbox struct {
	mu    sync.Mutex // guards both; may be taken while a page's lock is held
	queue []Change
	busy  bool // somebody is handing on
}

func (o *outbox) put(changes []Change) {
	o.mu.Lock()
	o.queue = append(o.queue, changes...)
	o.mu.Unlock()
}

// next returns what waits, or ends the work when nothing does.
func (o *outbox) next() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch := o.queue
	o.queue = nil
	o.busy = len(batch) > 0
	return batch
}

// begin is false when another goroutine is handing on: it will find what was put.
func (o *outbox) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy {
		return false
	}
	o.busy = true
	return true
}

// deliver logs the changes that wait, hands them to OnChange and wakes Run to save them. It is called without locks.
func (b *Book) deliver(changes []Change) {
	if changes == nil || !b.out.begin() {
		return
	}
	for batch := b.out.next(); len(batch) > 0; batch = b.out.next() {
		for i := range batch {
			c := &batch[i]
			b.log.Info("path changed", slog.String("egress", c.Key.Egress), slog.String("provider", c.Key.Provider),
				slog.String("from", c.From.String()), slog.String("to", c.To.String()), slog.String("why", c.Why))
			if b.opts.OnChange != nil {
				b.opts.OnChange(*c)
			}
		}
		select {
		case b.kick <- struct{}{}:
		default:
		}
	}
}
