package cli

import (
	"fmt"
	"io"
	"sync"
)

// progress shows how far a long command is, on one line of standard error that is written over. It shows nothing where
// standard error is no terminal: a log file full of half-lines helps nobody.
type progress struct {
	mu    sync.Mutex // guards shown and the order of writes
	w     io.Writer  // nil: show nothing
	shown bool
}

// progress makes the line. Whoever makes it calls done.
func (e *env) progress() *progress {
	if !terminal(e.err) {
		return &progress{}
	}
	return &progress{w: e.err}
}

const (
	lineStart = "\r"
	clearLine = "\x1b[K"
)

// update replaces the line. It may be called from any goroutine.
func (p *progress) update(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil {
		return
	}
	fmt.Fprint(p.w, lineStart+text+clearLine)
	p.shown = true
}

// done takes the line away.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, lineStart+clearLine)
	}
	p.w, p.shown = nil, false
}
