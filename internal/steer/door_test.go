package steer

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// knock opens a door and returns the client's side of it; over is closed when Door has returned.
func knock(t *testing.T, o DoorOptions) (client *net.TCPConn, over chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	over = make(chan struct{})
	go func() {
		defer close(over)
		Door(context.Background(), inner, o)
	}()
	t.Cleanup(func() { c.Close(); <-over })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), over
}

// said reads until there is an end, and returns what came and how long it took.
func said(t *testing.T, c net.Conn) (string, time.Duration) {
	t.Helper()
	began := time.Now()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), time.Since(began)
}

func TestADoorSaysAtOnceThatUkaiIsNotThere(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	for name, c := range map[string]struct {
		to   string
		want string
	}{
		"dead":                      {gone.Addr().String(), "is not there"},
		"hung before the greeting":  {impostor(t, "127.0.0.1:0", func(net.Conn) { <-ended }), "hangs: it does not greet"},
		"hangs up":                  {impostor(t, "127.0.0.1:0", func(c net.Conn) { c.Close() }), "hangs up"},
		"a name that leads nowhere": {"no-such-host.invalid:25", "is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			client, over := knock(t, DoorOptions{To: c.to, Greet: 300 * time.Millisecond})
			got, took := said(t, client)
			if want := "421 4.3.2 ukai at " + c.to + " " + c.want + "\r\n"; got != want || took > 5*time.Second {
				t.Errorf("%q after %v, want %q", got, took, want)
			}
			<-over
		})
	}
}

func TestADoorPassesEverythingOnBothWays(t *testing.T) {
	up, down := make([]byte, 8<<20), make([]byte, 8<<20) // octets of all kinds, as TLS has them
	for _, b := range [][]byte{up, down} {
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan []byte, 1)
	to := impostor(t, "127.0.0.1:0", func(c net.Conn) {
		defer c.Close()
		_, _ = io.WriteString(c, "220 ")
		go func() { _, _ = c.Write(down) }()
		b, _ := io.ReadAll(c) // to the client's end, after which it still answers
		got <- b
		_, _ = io.WriteString(c, "the last word")
	})
	client, over := knock(t, DoorOptions{To: to})
	go func() {
		_, _ = client.Write(up)
		_ = client.CloseWrite()
	}()
	answer, _ := said(t, client)
	if !bytes.Equal(<-got, up) {
		t.Error("what the client said was changed")
	}
	if want := "220 " + string(down); !strings.HasPrefix(answer, want[:4]) || len(answer) != len(want)+len("the last word") {
		t.Errorf("%d octets came back, want %d", len(answer), len(want)+len("the last word"))
	}
	<-over
}

func TestADoorIsShutWhenEitherSideEnds(t *testing.T) {
	closed := make(chan struct{}, 1)
	to := impostor(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hello\r\n")
		_, _ = io.Copy(io.Discard, c)
		c.Close()
		closed <- struct{}{}
	})
	client, over := knock(t, DoorOptions{To: to})
	if _, err := io.ReadFull(client, make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	client.Close()
	<-over
	<-closed
	client, over = knock(t, DoorOptions{To: impostor(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hello\r\n221 bye\r\n")
		c.Close()
	})})
	if got, _ := said(t, client); got != "220 hello\r\n221 bye\r\n" {
		t.Errorf("%q", got)
	}
	<-over
}

// A ukai that hangs in the middle of a session, whether it still takes what it is sent or not.
func TestADoorIsShutWhenUkaiHangsInMidSession(t *testing.T) {
	for name, octets := range map[string]int{"after a command": 10, "in the middle of a large message": 64 << 20} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			defer close(ended)
			to := impostor(t, "127.0.0.1:0", func(c net.Conn) {
				_, _ = io.WriteString(c, "220 hello\r\n")
				<-ended
			})
			client, over := knock(t, DoorOptions{To: to, Idle: 300 * time.Millisecond})
			began := time.Now()
			_, _ = client.Write(make([]byte, octets))
			<-over
			if took := time.Since(began); took < 250*time.Millisecond || took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// As long as something passes, a session may take as long as it likes.
func TestASessionThatGoesOnIsNotCutOff(t *testing.T) {
	to := impostor(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hello\r\n")
		_, _ = io.Copy(c, c)
		c.Close()
	})
	client, _ := knock(t, DoorOptions{To: to, Idle: time.Second})
	if _, err := io.ReadFull(client, make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	for range 15 {
		time.Sleep(100 * time.Millisecond)
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingRunsOnBehindAShutDoor(t *testing.T) {
	to := impostor(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hello\r\n")
		c.Close()
	})
	count := func() int {
		buf := make([]byte, 1<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "steer.pass(")
	}
	for range 20 {
		client, over := knock(t, DoorOptions{To: to})
		said(t, client)
		<-over
	}
	for end := time.Now().Add(5 * time.Second); count() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d still pass something on", count())
		}
	}
}
