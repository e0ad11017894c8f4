package agent

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"time"

	"ukai/internal/watch"
)

// lastWord is how long the hub may take for what is left when the agent ends.
const lastWord = 5 * time.Second

// tell tells the hub what was seen, one batch after the other, each until it is taken.
func (a *Agent) tell(ctx context.Context) {
	run := rand.Text() // the batches of another run have other names
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
		case <-a.more:
			wait(ctx, a.o.Gather)
		}
		name := run + "-" + strconv.Itoa(n)
		if ctx.Err() != nil {
			a.lastWords(ctx, name)
			return
		}
		if !a.tellOne(ctx, name) { // ended within
			a.lastWords(ctx, name)
			return
		}
	}
}

// tellOne tells one batch, and tries again until the hub has it; false: ctx has ended.
func (a *Agent) tellOne(ctx context.Context, name string) bool {
	list := a.next()
	failed := false
	for pause := time.Second; len(list) > 0; pause = min(2*pause, maxPause) {
		err := a.o.Hub.Tell(ctx, name, list)
		if err == nil {
			break
		}
		if ctx.Err() == nil && !failed {
			a.o.Log.Warn("outcomes not told, it is tried again", "server", a.o.Server.Name, "error", err)
		}
		failed = true
		if !wait(ctx, pause) {
			a.back(list)
			return false
		}
	}
	if failed {
		a.o.Log.Info("outcomes told again", "server", a.o.Server.Name)
	}
	return true
}

// lastWords tells what is left, once.
func (a *Agent) lastWords(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	list := a.next()
	if len(list) == 0 {
		return
	}
	if err := a.o.Hub.Tell(ctx, name, list); err != nil {
		a.o.Log.Warn("last outcomes not told", "server", a.o.Server.Name, "outcomes", len(list), "error", err)
	}
}

// next takes a batch.
func (a *Agent) next() []watch.Told {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dropped > 0 {
		a.o.Log.Warn("outcomes dropped: the hub was away for too long", "server", a.o.Server.Name, "outcomes", a.dropped)
		a.dropped = 0
	}
	n := min(len(a.kept), Batch)
	list := slices.Clone(a.kept[:n])
	a.kept = slices.Delete(a.kept, 0, n)
	if len(a.kept) > 0 {
		select {
		case a.more <- struct{}{}:
		default:
		}
	}
	return list
}

// back puts a batch in front of what is kept.
func (a *Agent) back(list []watch.Told) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = slices.Insert(a.kept, 0, list...)
}
