package maillog

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyProcessesAtOnceAreKeptApart: a busy Postfix has hundreds of smtp(8) at work, and what each of them met belongs to it alone.
func TestManyProcessesAtOnceAreKeptApart(t *testing.T) {
	const processes = 1000
	var log strings.Builder
	for i := range processes {
		fmt.Fprintf(&log, "Nov 23 02:02:05 mail postfix/smtp[%d]: Trusted TLS connection established to mx.example[198.51.100.1]:25: TLSv1.3 with cipher X\n", 1000+i)
		fmt.Fprintf(&log, "Nov 23 02:02:05 mail postfix/smtp[%d]: mx.example[198.51.100.1]:25: replacing server reply \"550 5.7.1 no %d\" with \"450 4.7.1 no %d\"\n", 1000+i, i, i)
		fmt.Fprintf(&log, "Nov 23 02:02:05 mail postfix/smtp[%d]: DE9A69E%04d: host mx.example[198.51.100.1] said: 450 4.7.1 no %d (in reply to RCPT TO command)\n", 1000+i, i, i)
	}
	for i := range processes {
		fmt.Fprintf(&log, "Nov 23 02:02:06 mail postfix/smtp[%d]: DE9A69E%04d: to=<a@customer.example>, relay=mx.example[198.51.100.2]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)\n", 1000+i, i)
		fmt.Fprintf(&log, "Nov 23 02:02:07 mail postfix/smtp[%d]: EE9A69E%04d: to=<b@customer.example>, relay=mx.example[198.51.100.1]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)\n", 1000+i, i)
	}
	met, secure := 0, 0
	p := NewParser(Options{})
	for l := range strings.SplitSeq(strings.TrimSuffix(log.String(), "\n"), "\n") {
		if err := p.Line([]byte(l), func(e *Event) error {
			if e.Kind == Deferred && e.Reply.Code == 550 {
				met++
			}
			if e.To == "b@customer.example" && e.TLS {
				secure++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if met != processes || secure != processes {
		t.Errorf("%d of %d refusals, %d of %d sessions with TLS", met, processes, secure, processes)
	}
}

func TestWhatProcessesMetIsBounded(t *testing.T) {
	var r recent[int]
	for i := range 10 * mostProcesses {
		r.put(uint64(i), i)
		if got, ok := r.get(uint64(i)); !ok || got != i {
			t.Fatalf("the last one: %d %v", got, ok)
		}
		if i >= mostProcesses {
			if _, ok := r.get(uint64(i - mostProcesses + 1)); !ok {
				t.Fatalf("%d is forgotten at %d", i-mostProcesses+1, i)
			}
		}
	}
	if n := len(r.young) + len(r.old); n > 2*mostProcesses {
		t.Errorf("%d are kept", n)
	}
	if _, ok := r.get(0); ok {
		t.Error("the first one is kept")
	}
}
