package queue

import (
	"errors"
	"os"
	"sync"
	"time"
)

// keeper is the goroutine that makes room: it removes segments in which nothing counts any more, moves what is left in those
// that are mostly dead, and removes the files of large messages that are done.
type keeper struct {
	e    *Embedded
	kick chan struct{}
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex // guards trash; a leaf
	trash []string
}

func newKeeper(e *Embedded) *keeper {
	return &keeper{e: e, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// discard has files removed that no record needs.
func (k *keeper) discard(names []string) {
	k.mu.Lock()
	k.trash = append(k.trash, names...)
	k.mu.Unlock()
	signal(k.kick)
}

func (k *keeper) run() {
	defer close(k.done)
	tick := time.NewTicker(k.e.opts.tick)
	defer tick.Stop()
	wait := 0 // ticks to leave out after a failure
	for {
		select {
		case <-k.stop:
			k.sweep()
			return
		case <-k.kick:
			k.sweep()
			continue
		case <-tick.C:
		}
		if wait > 0 {
			wait--
			continue
		}
		if err := k.compact(); err != nil {
			wait = 40
			if k.e.health.check() == nil {
				k.e.log.Error("compaction of the queue failed; it will be tried again", "err", err)
			}
		}
	}
}

// sweep removes files. What cannot be removed is left to the next start.
func (k *keeper) sweep() {
	k.mu.Lock()
	trash := k.trash
	k.trash = nil
	k.mu.Unlock()
	if k.e.health.broken.Load() != nil {
		return
	}
	for _, name := range trash {
		if err := k.e.disk.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			k.e.log.Warn("the file of a message that is done cannot be removed", "file", name, "err", err)
		}
	}
}

func (k *keeper) close() {
	close(k.stop)
	<-k.done
}
