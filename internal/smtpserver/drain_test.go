package smtpserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainTellsIdleSessionsAtOnceAndBusyOnesAfterTheirMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		idle, busy := r.dial(), r.dial()
		for _, p := range []*peer{idle, busy} {
			p.want("220*")
			p.send("HELO c\r\n")
			p.want("250*")
		}
		busy.send("MAIL FROM:<a@test>\r\n")
		busy.want("250*")
		synctest.Wait()
		done := make(chan error)
		go func() { done <- r.srv.Shutdown(context.Background()) }()
		idle.want("421 4.3.2*", "<closed>")
		busy.send("RCPT TO:<b@test>\r\nDATA\r\n")
		busy.want("250*", "354*")
		time.Sleep(time.Minute)
		busy.send("hello\r\n.\r\n")
		busy.want("250 2.0.0 Taken", "421 4.3.2*", "<closed>")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(r.box.delivered) != 1 {
			t.Errorf("delivered %v", r.box.delivered)
		}
		// A second Shutdown finds nothing to do, and nothing can be served any more.
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := r.srv.Serve(context.Background(), &pipes{done: make(chan struct{})}, ListenerOptions{}); !errors.Is(err, ErrShutdown) {
			t.Errorf("Serve after Shutdown: %v", err)
		}
	})
}

func TestDrainWithoutPatienceCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		p := r.dial()
		p.want("220*")
		p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
		p.want("250*", "250*", "250*", "354*")
		p.send("hel")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		p.want("<closed>")
		if len(r.box.delivered) != 0 || r.box.aborted != 1 {
			t.Errorf("delivered %d, aborted %d", len(r.box.delivered), r.box.aborted)
		}
	})
}

func TestDrainReachesAClientInTheMiddleOfALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Auth: AuthPlain}, &box{}, book{})
		login, penitent := r.dial(), r.dial()
		for _, p := range []*peer{login, penitent} {
			p.want("220*")
			p.hello()
		}
		login.send("AUTH LOGIN\r\n")
		login.want("334*")
		penitent.send("AUTH PLAIN AHUAeA==\r\n")
		synctest.Wait()
		start := time.Now()
		go r.srv.Shutdown(context.Background())
		login.want("421 4.3.2*", "<closed>")
		penitent.want("535*", "421 4.3.2*", "<closed>")
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

func TestReloadChangesWhatNewSessionsSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Hostname: "old.test"}, ListenerOptions{Name: "in"}, &box{}, nil)
		old := r.dial()
		old.want("220 old.test*")
		r.srv.SetOptions(Options{Hostname: "new.test", MaxRecipients: 7})
		if !r.srv.SetListenerOptions(ListenerOptions{Name: "in", TLS: withTLS}) {
			t.Error("no such listener")
		}
		if r.srv.SetListenerOptions(ListenerOptions{Name: "out"}) {
			t.Error("a listener that is not there was changed")
		}
		if l := old.hello(); l[0] != "old.test" || strings.Contains(strings.Join(l, " "), "STARTTLS") {
			t.Errorf("the old session sees %q", l)
		}
		old.message()
		p := r.dial()
		p.want("220 new.test*")
		if l := strings.Join(p.hello(), " "); !strings.Contains(l, "STARTTLS") || !strings.Contains(l, "RCPTMAX=7") {
			t.Errorf("the new session sees %q", l)
		}
	})
}

type trouble struct {
	pipes
	fails int
}

func (l *trouble) Accept() (net.Conn, error) {
	if l.fails--; l.fails >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.pipes.Accept()
}

func TestAcceptIsTriedAgainUntilTheListenerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &trouble{pipes: pipes{conns: make(chan net.Conn), done: make(chan struct{})}, fails: 20}
		srv := New(Options{}, &box{}, nil, slog.New(slog.DiscardHandler))
		end := make(chan error, 1)
		go func() { end <- srv.Serve(t.Context(), l, ListenerOptions{}) }()
		near, server := net.Pipe()
		l.conns <- far{server, netip.MustParseAddrPort("192.0.2.1:1")}
		newPeer(t, near).want("220 localhost*")
		near.Close()
		l.Close()
		if err := <-end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		// While it waits to try again it can be stopped.
		for _, stop := range []string{"ctx", "drain"} {
			l = &trouble{pipes: pipes{conns: make(chan net.Conn), done: make(chan struct{})}, fails: 1000}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { end <- srv.Serve(ctx, l, ListenerOptions{}) }()
			time.Sleep(time.Minute + 300*time.Millisecond)
			if stop == "drain" {
				srv.Shutdown(t.Context())
			}
			cancel()
			if err := <-end; err != nil {
				t.Errorf("stopped by %s: %v", stop, err)
			}
		}
	})
}

func TestServeEndsWithItsContextAndLeavesTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(Options{}, &box{}, nil, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		end := make(chan error, 1)
		go func() { end <- srv.Serve(ctx, l, ListenerOptions{}) }()
		near, server := net.Pipe()
		l.conns <- far{server, netip.MustParseAddrPort("192.0.2.1:1")}
		p := newPeer(t, near)
		p.want("220*")
		cancel()
		if err := <-end; err != nil {
			t.Errorf("Serve: %v", err)
		}
		p.send("HELO c\r\n")
		p.want("250*")
		p.message()
		go srv.Shutdown(context.Background())
		p.want("421*", "<closed>")
		synctest.Wait()
	})
}
