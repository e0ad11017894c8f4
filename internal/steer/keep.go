package steer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/mtaconf"
)

// When files are looked at without a reason, because somebody may have changed them, and the pauses after one that could not be
// written.
const (
	lookEvery  = 10 * time.Minute
	firstRetry = time.Second
	maxRetry   = time.Minute
)

// fileStates are the files of one server.
type fileStates struct {
	busy, again atomic.Bool // somebody writes them; they are to be written once more
	detoured    atomic.Int64

	mu   sync.Mutex // guards the fields below
	all  map[string]*fileState
	next time.Time // when they are to be looked at; zero: at once
}

// fileState is what is known of one file.
type fileState struct {
	routes  int
	written time.Time
	err     error
	retry   time.Duration
	done    bool // RunThen has run since it was written
}

func (f *fileStates) list(files []mtaconf.RouteFile) (all []FileStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range files {
		st := FileStatus{Path: files[i].Path, Format: files[i].Format}
		if x := f.all[st.Path]; x != nil {
			st.Routes, st.Written, st.Err = x.routes, x.written, x.err
			if x.err != nil {
				st.Trouble = x.err.Error()
			}
		}
		all = append(all, st)
	}
	return all
}

func (f *fileStates) due(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !now.Before(f.next)
}

// keepFiles writes files when something changed, when a probe is due, and now and then.
func (s *Steer) keepFiles(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var writers sync.WaitGroup
	defer writers.Wait()
	for {
		changed := false
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
			if !pause(ctx, s.opts.Settle) { // more is coming, as a rule: one refusal of a range shuts several paths
				return
			}
			select {
			case <-s.dirty:
			default:
			}
			changed = true
		case <-tick.C:
		}
		if s.noFiles.Load() {
			continue
		}
		now := time.Now()
		for _, srv := range *s.byName.Load() {
			if conf := srv.Load(); len(conf.Files) > 0 && !conf.Distant && (changed || srv.files.due(now)) {
				s.startWriter(ctx, srv, &writers)
			}
		}
	}
}

// startWriter has one goroutine write the files of a server: a command of one server that hangs holds up no other.
func (s *Steer) startWriter(ctx context.Context, srv *server, writers *sync.WaitGroup) {
	f := &srv.files
	f.again.Store(true)
	if !f.busy.CompareAndSwap(false, true) {
		return
	}
	writers.Go(func() {
		for f.again.Swap(false) && ctx.Err() == nil {
			s.writeFiles(ctx, srv)
		}
		f.busy.Store(false)
		if f.again.Load() {
			s.touch()
		}
	})
}

func (s *Steer) writeFiles(ctx context.Context, srv *server) {
	now, conf := time.Now(), srv.Load()
	d, next := s.detours(srv, now)
	srv.files.detoured.Store(int64(len(d.Domains)))
	if later := now.Add(lookEvery); next.IsZero() || next.After(later) {
		next = later
	}
	for i := range conf.Files {
		retry := s.writeFile(ctx, srv, &conf.Files[i], &d)
		if at := now.Add(retry); retry > 0 && at.Before(next) {
			next = at
		}
	}
	srv.files.mu.Lock()
	srv.files.next = next
	srv.files.mu.Unlock()
}

// writeFile brings one file up to date and has the server see it. It returns when it is to be tried again, 0 when all is well.
// The command is run once after the start in any case: a crash may have come between the file and it.
func (s *Steer) writeFile(ctx context.Context, srv *server, f *mtaconf.RouteFile, d *Detours) time.Duration {
	st := srv.files.state(f.Path)
	began, root := time.Now(), srv.Load().Root
	changed, routes, err := WriteRoutes(root, f, d)
	done := st.done && !changed
	if err == nil && !done {
		if err = RunThen(ctx, root, f); err == nil {
			done = true
		}
	}
	was := st
	st.routes, st.done, st.err = routes, done, err
	if changed {
		st.written = time.Now()
		s.Log.Info("routes written", "server", srv.name, "file", f.Path, "routes", routes, "took", time.Since(began).Round(time.Microsecond))
	}
	if err == nil {
		st.retry = 0
	} else {
		st.retry = min(max(2*st.retry, firstRetry), maxRetry)
	}
	if err != nil && (was.err == nil || was.err.Error() != err.Error()) && ctx.Err() == nil {
		s.Log.Error("routes not in force, it is tried again", "server", srv.name, "file", f.Path, "error", err)
	}
	srv.files.set(f.Path, st)
	return st.retry
}

func (f *fileStates) state(path string) fileState {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.all[path]; x != nil {
		return *x
	}
	return fileState{}
}

func (f *fileStates) set(path string, st fileState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = make(map[string]*fileState)
	}
	f.all[path] = &st
}
