package connect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/maillog"
	"ukai/internal/mtaconf"
)

// Deliveries counts what a log told while it was watched.
type Deliveries struct {
	Delivered int `json:"delivered"`
	Deferred  int `json:"deferred"`
	Bounced   int `json:"bounced"`
	// Over are those of them that ukai was asked to take.
	Over int `json:"over"`
	// Blind: there was no log to watch.
	Blind bool `json:"blind,omitempty"`
}

// logEnds notes how long the logs are: what is written from here on is new.
func (e *Engine) logEnds(logs []string) map[string]int64 {
	ends := make(map[string]int64)
	for _, pattern := range logs {
		for _, name := range e.expand(pattern) {
			if st, err := os.Stat(name); err == nil {
				ends[name] = st.Size()
			}
		}
	}
	return ends
}

// expand returns the files on this machine that a pattern inside the root fits.
func (e *Engine) expand(pattern string) []string {
	if !strings.ContainsAny(pattern, "*?[") {
		if full, err := e.sys.Real(pattern); err == nil {
			return []string{full}
		}
		return nil
	}
	names, err := filepath.Glob(filepath.Join(e.o.Root, pattern))
	if err != nil {
		return nil
	}
	return names
}

// watcher reads what a server writes after it took the changes up.
type watcher struct {
	e      *Engine
	m      *manifest
	from   map[string]int64 // how far each file was read
	rest   map[string][]byte
	parser *maillog.Parser
	seen   Deliveries
	failed int // deliveries over ukai that failed, one after the other
}

// watchEvery is how often the logs are looked at.
const watchEvery = 200 * time.Millisecond

// watch looks on while the server delivers. The error says what went wrong.
func (e *Engine) watch(ctx context.Context, m *manifest, from map[string]int64) (Deliveries, error) {
	if e.o.Watch <= 0 {
		return Deliveries{}, nil
	}
	w := &watcher{e: e, m: m, from: from, rest: make(map[string][]byte), parser: maillog.NewParser(maillog.Options{Now: time.Now()})}
	w.seen.Blind = len(from) == 0
	end := time.Now().Add(e.o.Watch)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := w.round(); err != nil {
			return w.seen, err
		}
		left := time.Until(end)
		e.o.Tell(Step{Note: mtaconf.N("connect.step.watch", "delivered", w.seen.Delivered, "deferred", w.seen.Deferred, "over", w.seen.Over), Left: max(0, left)})
		if left <= 0 {
			return w.seen, nil
		}
		select {
		case <-ctx.Done():
			return w.seen, ctx.Err()
		case <-tick.C:
		}
	}
}

// round reads what has come.
func (w *watcher) round() error {
	for _, pattern := range w.m.Plan.Logs {
		for _, name := range w.e.expand(pattern) {
			if err := w.read(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads a file from where it was left. One that is shorter than that was begun anew.
func (w *watcher) read(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	if st.Size() < w.from[name] {
		w.from[name], w.rest[name] = 0, nil
	}
	w.seen.Blind = false
	if _, err := f.Seek(w.from[name], io.SeekStart); err != nil {
		return nil
	}
	r := bufio.NewReader(f)
	for {
		part, err := r.ReadBytes('\n')
		w.from[name] += int64(len(part))
		if err != nil { // the rest of the line comes another time
			w.rest[name] = append(w.rest[name], part...)
			return nil
		}
		whole := append(w.rest[name], bytes.TrimRight(part, "\r\n")...) //nolint:gocritic // the rest is used up
		w.rest[name] = nil
		if err := w.line(whole); err != nil {
			return err
		}
	}
}

// line looks at one line of the log.
func (w *watcher) line(line []byte) error {
	for _, word := range w.m.Plan.Alarms {
		if word != "" && bytes.Contains(line, []byte(word)) {
			return i18n.Errorf("connect.watch.alarm", "line", printable(line))
		}
	}
	err := w.parser.Line(line, func(e *maillog.Event) error {
		switch e.Kind {
		case maillog.Delivered:
			w.seen.Delivered++
		case maillog.Deferred:
			w.seen.Deferred++
		case maillog.Bounced:
			w.seen.Bounced++
		default:
			return nil
		}
		return w.over(e, line)
	})
	var told *i18n.Error
	if errors.As(err, &told) {
		return told
	}
	return nil
}

// mostFailed is how many deliveries over ukai may fail, one after the other, where there is no other way.
const mostFailed = 3

// over looks at what became of mail that was handed to ukai. What ukai refuses for good bounces, whatever the mode: a wrong
// password, a sender that may not. That it cannot be reached only harms where there is no way behind it.
func (w *watcher) over(e *maillog.Event, line []byte) error {
	if !w.toPeer(e) {
		return nil
	}
	w.seen.Over++
	if e.Kind == maillog.Delivered {
		w.failed = 0
		return nil
	}
	w.failed++
	if e.Kind == maillog.Bounced || e.Reply.Permanent() || w.m.Mode == mtaconf.Relay && w.failed >= mostFailed {
		return i18n.Errorf("connect.watch.refused", "line", printable(line))
	}
	return nil
}

// toPeer tells whether a delivery was one to ukai.
func (w *watcher) toPeer(e *maillog.Event) bool {
	at := w.m.Peer
	if w.m.Plan.Door != "" {
		at = w.m.Plan.Door
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return false
	}
	if e.Remote.IsValid() && e.Remote.Port() != 0 && strconv.Itoa(int(e.Remote.Port())) != port {
		return false
	}
	return e.Relay == host || e.Remote.IsValid() && e.Remote.Addr().String() == host
}

// printable makes a line of a log fit for a terminal.
func printable(line []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, string(line))
	if r := []rune(s); len(r) > 400 {
		return string(r[:400]) + "…"
	}
	return s
}
