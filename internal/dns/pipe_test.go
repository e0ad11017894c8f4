package dns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

func pipe(t *testing.T, opts PipeOptions) *Pipe {
	t.Helper()
	p, err := NewPipe(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestAPipeTellsWhatTheServerSaid(t *testing.T) {
	answer := func(change func(m *mdns.Msg)) func(mdns.ResponseWriter, *mdns.Msg) {
		return func(w mdns.ResponseWriter, r *mdns.Msg) {
			m := new(mdns.Msg)
			m.SetReply(r)
			change(m)
			_ = w.WriteMsg(m)
		}
	}
	s := &nameServer{rules: map[string]func(mdns.ResponseWriter, *mdns.Msg){
		"two.example": answer(func(m *mdns.Msg) {
			m.Answer = []mdns.RR{rr("two.example. 300 A 127.0.0.2"), rr("two.example. 60 A 127.0.0.4")}
		}),
		"text.example": answer(func(m *mdns.Msg) { m.Answer = []mdns.RR{rr(`text.example. 9 TXT "a " "b"`)} }),
		"none.example": answer(func(m *mdns.Msg) {
			m.Rcode = mdns.RcodeNameError
			m.Ns = []mdns.RR{rr("example. 3600 SOA ns.example. h.example. 1 2 3 4 120")}
		}),
		"alias.example": answer(func(m *mdns.Msg) {
			m.Answer = []mdns.RR{rr("alias.example. 5 CNAME x.example."), rr("x.example. 7 A 192.0.2.1")}
		}),
		"lame.example":    answer(func(m *mdns.Msg) { m.Ns = []mdns.RR{rr("example. 5 NS other.example.")} }),
		"refused.example": answer(func(m *mdns.Msg) { m.Rcode = mdns.RcodeRefused }),
		"fail.example":    answer(func(m *mdns.Msg) { m.Rcode = mdns.RcodeServerFailure }),
		"long.example": func(w mdns.ResponseWriter, r *mdns.Msg) {
			m := new(mdns.Msg)
			m.SetReply(r)
			if w.LocalAddr().Network() == "udp" {
				m.Truncated = true
			} else {
				m.Answer = []mdns.RR{rr(`long.example. 5 TXT "` + strings.Repeat("x", 250) + `"`)}
			}
			_ = w.WriteMsg(m)
		},
	}}
	p := pipe(t, PipeOptions{Server: s.start(t)})
	tests := []struct {
		name string
		kind uint16
		want Reply
	}{
		{"two.example", TypeA, Reply{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.4")}, TTL: time.Minute}},
		{"text.example", TypeTXT, Reply{Texts: []string{"a b"}, TTL: 9 * time.Second}},
		{"none.example", TypeA, Reply{Rcode: NXDomain, TTL: 2 * time.Minute}},
		{"alias.example", TypeA, Reply{Alias: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, TTL: 5 * time.Second}},
		{"lame.example", TypeA, Reply{Referral: true}},
		{"refused.example", TypeA, Reply{Rcode: Refused}},
		{"FAIL.example.", TypeA, Reply{Rcode: ServFail}},
		{"long.example", TypeTXT, Reply{Texts: []string{strings.Repeat("x", 250)}, TTL: 5 * time.Second}},
	}
	for _, tt := range tests {
		got, err := p.Ask(t.Context(), tt.name, tt.kind)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
	for _, name := range []string{"a..example", strings.Repeat("x", 64) + ".example", strings.Repeat("x.", 130) + "example"} {
		if _, err := p.Ask(t.Context(), name, TypeA); err == nil {
			t.Errorf("%q was asked", name)
		}
	}
}

// lossy is a name server that answers a share of the questions, each after it was asked often enough.
func lossy(t *testing.T, take func(n int64) bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = conn.Close(); wg.Wait() })
	wg.Go(func() {
		buf := make([]byte, 512)
		for n := int64(1); ; n++ {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if !take(n) {
				continue
			}
			msg := bytes.Clone(buf[:size])
			msg[2], msg[3] = 0x81, 0x83 // a response: no such name
			forged := bytes.Clone(msg)
			forged[size-6] ^= 1 // another name
			_, _ = conn.WriteTo(forged, from)
			_, _ = conn.WriteTo(msg, from)
		}
	})
	return conn.LocalAddr().String()
}

func TestLostDatagramsCostRepetitionsAndNothingElse(t *testing.T) {
	p := pipe(t, PipeOptions{Server: lossy(t, func(n int64) bool { return n%5 != 0 })})
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 100 {
				r, err := p.Ask(t.Context(), fmt.Sprintf("n%d-%d.example", i, k), TypeA)
				if err != nil || r.Rcode != NXDomain {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if all, again := p.Sent(); wrong.Load() != 0 || again == 0 || all < 1600 {
		t.Errorf("%d wrong, %d sent, %d again", wrong.Load(), all, again)
	}
}

func TestASilentServerAndOneThatIsNotThere(t *testing.T) {
	silent := pipe(t, PipeOptions{Server: lossy(t, func(int64) bool { return false }), Tries: 2, Timeout: 100 * time.Millisecond})
	_, err := silent.Ask(t.Context(), "a.example", TypeA)
	var de *Error
	if !errors.As(err, &de) || de.Reason != "timeout" || !de.Temporary {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := silent.Ask(ctx, "b.example", TypeA); err == nil {
		t.Error("a question nobody waits for was answered")
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr().String()
	_ = conn.Close()
	gone := pipe(t, PipeOptions{Server: addr})
	if _, err := gone.Ask(t.Context(), "a.example", TypeA); !errors.As(err, &de) || de.Reason != "no name server can be reached" {
		t.Errorf("%v", err)
	}
	gone.Close()
	if _, err := gone.Ask(t.Context(), "a.example", TypeA); err == nil {
		t.Error("a closed pipe asked")
	}
}

func FuzzParseReply(f *testing.F) {
	m := new(mdns.Msg)
	m.SetQuestion("a.example.", mdns.TypeA)
	m.Response = true
	for _, s := range []string{"a.example. 5 A 127.0.0.2", `a.example. 5 TXT "x"`, "a.example. 5 CNAME b.example."} {
		r, err := mdns.NewRR(s)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, r)
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseReply(b)
		var ref mdns.Msg
		if ref.Unpack(b) != nil || err != nil || got.Truncated {
			return
		}
		n := 0
		for _, r := range ref.Answer {
			if _, ok := r.(*mdns.A); ok && r.Header().Class == mdns.ClassINET {
				n++
			}
		}
		if n != len(got.Addrs) {
			t.Errorf("%d addresses, %d expected", len(got.Addrs), n)
		}
	})
}
