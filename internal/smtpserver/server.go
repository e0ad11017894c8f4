package smtpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Server takes mail in on any number of listeners. Make one with New.
type Server struct {
	handler  Handler
	auth     Authenticator // nil: nobody can log in
	log      *slog.Logger
	opts     atomic.Pointer[Options]
	counters Counters
	clients  clients

	// base is the context of the Handler's calls: sessions outlive the context of Serve, so it is not derived from one. cancel
	// ends it when patience with the drain is over.
	base   context.Context
	cancel context.CancelFunc
	drain  chan struct{} // closed when the drain begins

	mu        sync.Mutex
	draining  bool                   // guarded by mu
	listeners map[*listener]struct{} // guarded by mu
	sessions  map[*session]struct{}  // guarded by mu
	wg        sync.WaitGroup         // counts sessions
}

// listener is one net.Listener with what can change about it.
type listener struct {
	net  net.Listener
	opts atomic.Pointer[ListenerOptions]
	tls  tlsSource
}

// New makes a Server. With a nil Authenticator nobody can log in.
func New(opts Options, h Handler, a Authenticator, log *slog.Logger) *Server {
	s := &Server{
		handler: h, auth: a, log: log, drain: make(chan struct{}),
		listeners: make(map[*listener]struct{}), sessions: make(map[*session]struct{}),
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.SetOptions(opts)
	return s
}

// SetOptions takes effect for the sessions that begin from now on; those that are open keep what they were told at EHLO.
func (s *Server) SetOptions(o Options) { s.opts.Store(o.withDefaults()) }

// SetListenerOptions changes the options of the listener with the same name, as SetOptions does; false means that there is none.
func (s *Server) SetListenerOptions(o ListenerOptions) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for l := range s.listeners {
		if l.opts.Load().Name == o.Name {
			l.opts.Store(&o)
			found = true
		}
	}
	return found
}

// Counters returns what has been counted.
func (s *Server) Counters() *Counters { return &s.counters }

// ErrShutdown is returned by Serve when Shutdown was called before it.
var ErrShutdown = errors.New("the server is shutting down")

// Serve accepts connections until ctx ends or Shutdown is called, closes l and returns nil; or it returns why l has failed. The
// sessions go on: only Shutdown ends them.
func (s *Server) Serve(ctx context.Context, l net.Listener, o ListenerOptions) error {
	ln := &listener{net: l}
	ln.opts.Store(&o)
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		l.Close() // it was never used
		return ErrShutdown
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()

	unhook := context.AfterFunc(ctx, func() { l.Close() }) // Accept tells
	defer func() {
		unhook()
		l.Close() // closed twice at worst
		s.mu.Lock()
		delete(s.listeners, ln)
		s.mu.Unlock()
	}()
	return s.accept(ctx, ln)
}

func (s *Server) accept(ctx context.Context, ln *listener) error {
	for wait := time.Duration(0); ; {
		conn, err := ln.net.Accept()
		if err == nil {
			wait = 0
			s.start(conn, ln)
			continue
		}
		if ctx.Err() != nil || s.stopping() {
			return nil //nolint:nilerr // we have closed it ourselves
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept on %s: %w", ln.net.Addr(), err)
		}
		// Out of file descriptors, mostly: it passes when sessions end, and a busy loop would not help.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.log.Error("accept failed", "listener", ln.opts.Load().Name, "err", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		case <-s.drain:
			return nil
		}
	}
}

// start begins a session in its own goroutine. A connection beyond twice the allowed number is not even told why.
func (s *Server) start(conn net.Conn, ln *listener) {
	s.counters.Connections.Add(1)
	opts := s.opts.Load()
	ss, release := newSession(s, conn, ln, opts)
	s.mu.Lock()
	if s.draining || len(s.sessions)/2 >= opts.Clients.Total {
		s.mu.Unlock()
		s.counters.Turned.Add(1)
		release()
		conn.Close() // nothing was said
		return
	}
	s.sessions[ss] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	s.counters.Sessions.Add(1)

	go func() {
		defer s.wg.Done()
		ss.run()
		s.mu.Lock()
		delete(s.sessions, ss)
		s.mu.Unlock()
		s.counters.Sessions.Add(-1)
		release()
	}()
}

func (s *Server) stopping() bool {
	select {
	case <-s.drain:
		return true
	default:
		return false
	}
}

// Shutdown closes the listeners and drains: a session that waits for a command outside of a transaction is told 421 at once, any
// other when its message has its reply. When ctx ends first, the rest is cut off and ctx's error is returned. After Shutdown
// no goroutine of the Server is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		close(s.drain)
	}
	for l := range s.listeners {
		l.net.Close() // Accept tells
	}
	for ss := range s.sessions {
		ss.wire.wake()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for ss := range s.sessions {
		ss.wire.raw.Close() // the session ends by it
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// tlsSource makes the Config of a listener from what its TLS function returns, and keeps it while that is the same: the keys of
// session tickets live in a Config.
type tlsSource struct {
	mu   sync.Mutex
	from *tls.Config // guarded by mu
	made *tls.Config // guarded by mu
}

// config returns nil when TLS is not possible.
func (t *tlsSource) config(o *ListenerOptions) *tls.Config {
	if o.TLS == nil {
		return nil
	}
	from := o.TLS()
	if from == nil || !o.ClientCerts || from.ClientAuth != tls.NoClientCert {
		return from
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from != from || t.made == nil {
		t.from, t.made = from, from.Clone()
		// Not verified against any authority: the Authenticator knows each certificate by itself.
		t.made.ClientAuth = tls.RequestClientCert
	}
	return t.made
}
