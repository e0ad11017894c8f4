package steer

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// asking is a mail server that asks Forward.
type asking struct {
	t   *testing.T
	in  *io.PipeWriter
	out *bufio.Reader
	end chan struct{}
}

func forward(t *testing.T, o ForwardOptions) *asking {
	t.Helper()
	ir, iw := io.Pipe()
	or, ow := io.Pipe()
	a := &asking{t: t, in: iw, out: bufio.NewReader(or), end: make(chan struct{})}
	go func() {
		defer close(a.end)
		Forward(t.Context(), ir, ow, o)
		ow.Close()
		ir.Close()
	}()
	t.Cleanup(func() { iw.Close(); <-a.end })
	return a
}

// ask puts one question and returns the answer and how long it took.
func (a *asking) ask(q string) (string, time.Duration) {
	a.t.Helper()
	began := time.Now()
	if _, err := io.WriteString(a.in, ns(q)); err != nil {
		a.t.Fatal(err)
	}
	got, _, err := readNetstring(a.out, nil, maxReply)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(got), time.Since(began)
}

// impostor listens in ukai's place and does as it is told with each connection.
func impostor(t *testing.T, address string, serve func(net.Conn)) string {
	t.Helper()
	var l net.Listener
	var err error
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the address may be in use for a moment
		if l, err = net.Listen("tcp", address); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			go serve(c)
		}
	}()
	t.Cleanup(func() { cancel(); l.Close(); <-done })
	return l.Addr().String()
}

const waits = 50 * time.Millisecond

func TestQuestionsArePassedOn(t *testing.T) {
	_, at := serving(t)
	a := forward(t, ForwardOptions{To: at, Deadline: 5 * time.Second})
	for q, want := range map[string]string{
		"web1 a@gmail.com": "OK ukai:[127.0.0.1]:2525, gmail.com", "web1 a@example.net": "NOTFOUND ", "web1 *": "NOTFOUND ",
		"web9 a@gmail.com": "NOTFOUND ",
	} {
		if got, _ := a.ask(q); got != want {
			t.Errorf("%q: %q, want %q", q, got, want)
		}
	}
}

func TestATableIsTranslated(t *testing.T) {
	d, at := serving(t)
	d.set(Server{Name: "web1", Egress: "direct", Answer: answer}, Server{Name: "web2"})
	a := forward(t, ForwardOptions{To: at, Deadline: 5 * time.Second, Protocol: TCPTable, Server: "web1"})
	go func() {
		_, _ = io.WriteString(a.in, "get a%40gmail.com\nput a b\nget *\n")
		a.in.Close()
	}()
	b, err := io.ReadAll(a.out)
	if want := "200 ukai:[127.0.0.1]:2525,%20gmail.com\n500 none\n500 none\n"; err != nil || string(b) != want {
		t.Errorf("%q %v", b, err)
	}
}

func TestAUkaiThatIsInTroubleChangesNothing(t *testing.T) {
	_, good := serving(t)
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
	}{
		{"it closes every connection", func(c net.Conn) { c.Close() }},
		{"it hangs", func(net.Conn) {}},
		{"it hangs after the first question", func(c net.Conn) {
			r := bufio.NewReader(c)
			if _, _, err := readNetstring(r, nil, maxQuery); err == nil {
				_, _ = io.WriteString(c, ns("NOTFOUND "))
			}
		}},
		{"it talks nonsense", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.org ESMTP\r\n") }},
		{"it says TEMP", always("TEMP trouble")},
		{"it says TIMEOUT", always("TIMEOUT ")},
		{"it says PERM", always("PERM no")},
		{"it says OK and nothing else", always("OK ")},
		{"it answers with line ends", always("OK a\nb")},
		{"it answers twice", func(c net.Conn) {
			r := bufio.NewReader(c)
			for {
				if _, _, err := readNetstring(r, nil, maxQuery); err != nil {
					return
				}
				_, _ = io.WriteString(c, ns("OK x:[192.0.2.1]")+ns("OK x:[192.0.2.2]"))
			}
		}},
		{"its answer is too long", always("OK " + strings.Repeat("a", maxReply))},
	} {
		a := forward(t, ForwardOptions{To: impostor(t, "127.0.0.1:0", c.serve), Deadline: waits})
		for i := range 20 {
			got, took := a.ask("web1 a@gmail.com")
			if got != "NOTFOUND " {
				t.Errorf("%s: %q", c.name, got)
			}
			if took > waits+2*time.Second {
				t.Errorf("%s: question %d took %v", c.name, i, took)
			}
		}
	}
	if got, _ := forward(t, ForwardOptions{To: good, Deadline: 5 * time.Second}).ask("web1 a@gmail.com"); !strings.HasPrefix(got, "OK ") {
		t.Errorf("the good one: %q", got)
	}
}

// always answers every question but that of a link with one text.
func always(text string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			q, _, err := readNetstring(r, nil, maxQuery)
			if err != nil {
				return
			}
			say := text
			if string(q) == nobody+" *" {
				say = "NOTFOUND "
			}
			_, _ = io.WriteString(c, ns(say))
		}
	}
}

func TestAUkaiThatHangsCostsTheDeadlineOnce(t *testing.T) {
	a := forward(t, ForwardOptions{To: impostor(t, "127.0.0.1:0", func(net.Conn) {}), Deadline: 300 * time.Millisecond})
	began := time.Now()
	for range 50 {
		a.ask("web1 a@gmail.com")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("50 questions took %v", took)
	}
}

func TestAUkaiThatComesBackIsAskedAgain(t *testing.T) {
	a := forward(t, ForwardOptions{To: freeAddress(t), Deadline: waits})
	if got, _ := a.ask("web1 a@gmail.com"); got != "NOTFOUND " {
		t.Errorf("while it is away: %q", got)
	}
	d, _ := serving(t)
	at := freeAddress(t)
	b := forward(t, ForwardOptions{To: at, Deadline: waits})
	b.ask("web1 a@gmail.com")
	d.listen(at)
	until(t, "the detour is taken again", func() bool {
		got, _ := b.ask("web1 a@gmail.com")
		return strings.HasPrefix(got, "OK ")
	})
}

func TestALinkThatBreaksBetweenTwoQuestionsIsReplacedInTime(t *testing.T) {
	d, _ := serving(t)
	at := freeAddress(t)
	l, err := Listen(t.Context(), ListenOptions{Address: at})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Serve(ctx, l) }()
	a := forward(t, ForwardOptions{To: at, Deadline: 5 * time.Second})
	if got, _ := a.ask("web1 a@gmail.com"); !strings.HasPrefix(got, "OK ") {
		t.Fatalf("%q", got)
	}
	cancel()
	<-done
	d.listen(at)
	if got, _ := a.ask("web1 a@gmail.com"); !strings.HasPrefix(got, "OK ") {
		t.Errorf("after a restart: %q", got)
	}
}

func TestItEndsWithItsInputAndAfterALongSilence(t *testing.T) {
	_, at := serving(t)
	for name, c := range map[string]struct {
		o    ForwardOptions
		say  string
		done bool
	}{
		"the input ends":       {ForwardOptions{To: at}, "", true},
		"garbage":              {ForwardOptions{To: at}, "GET / HTTP/1.1\r\n", false},
		"nobody asks for long": {ForwardOptions{To: at, Idle: 20 * time.Millisecond}, "", false},
	} {
		a := forward(t, c.o)
		go func() {
			_, _ = io.WriteString(a.in, c.say)
			if c.done {
				a.in.Close()
			}
		}()
		select {
		case <-a.end:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: it goes on", name)
		}
	}
}

func TestOneQuestionIsAsked(t *testing.T) {
	_, at := serving(t)
	o := ForwardOptions{To: at, Deadline: 5 * time.Second}
	if got := Ask(t.Context(), o, "web1", "gmail.com"); got != "ukai:[127.0.0.1]:2525, gmail.com" {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"web9", "web1/status", "observe web1", ""} {
		if got := Ask(t.Context(), o, name, "gmail.com"); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	o.To = freeAddress(t)
	if got := Ask(t.Context(), o, "web1", "gmail.com"); got != "" {
		t.Errorf("nobody answers %q", got)
	}
}

func TestAGreetingIsSeen(t *testing.T) {
	for say, want := range map[string]bool{"220 ok\r\n": true, "421 busy\r\n": true, "554 no\r\n": false, "": false, "22": false} {
		at := impostor(t, "127.0.0.1:0", func(c net.Conn) { _, _ = io.WriteString(c, say) })
		if got := Greets(t.Context(), at, waits); got != want {
			t.Errorf("%q: %v", say, got)
		}
	}
	if Greets(t.Context(), freeAddress(t), waits) {
		t.Error("nobody greets")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
