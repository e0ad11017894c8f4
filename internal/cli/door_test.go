package cli

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// ukaiAt stands for a ukai: it greets, and repeats what it is told.
func ukaiAt(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // it ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 hello\r\n")
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestADoorIsAProgramBetweenTwoPipes(t *testing.T) {
	at := ukaiAt(t)
	var out, errs strings.Builder
	if code := Main([]string{"door", "--to", at, "--greet=3s"}, strings.NewReader("QUIT\r\n"), &out, &errs); code != exitDone || out.String() != "220 hello\r\nQUIT\r\n" || errs.Len() > 0 {
		t.Errorf("%d %q %q", code, out.String(), errs.String())
	}
}

// spawn(8) hands the connection over as standard input.
func TestADoorTakesTheConnectionThatItIsStartedWith(t *testing.T) {
	at := ukaiAt(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	inner, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := inner.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	inner.Close()
	done := make(chan bool, 1)
	go func(in *os.File) {
		done <- runDoor([]string{"door", "--to", at}, in, in)
		in.Close()
	}(f)
	if _, err := io.WriteString(client, "EHLO me\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = client.(*net.TCPConn).CloseWrite()
	said, err := io.ReadAll(client)
	if err != nil || string(said) != "220 hello\r\nEHLO me\r\n" || !<-done {
		t.Errorf("%q %v", said, err)
	}
}

func TestADoorThatIsCalledWrongSaysHow(t *testing.T) {
	for name, a := range map[string][]string{
		"no address": {"door"}, "no port": {"door", "--to", "ukai.example"}, "too much": {"door", "--to", "127.0.0.1:1", "now"}, "an unknown flag": {"door", "--from", "x"},
	} {
		var out, errs strings.Builder
		if code := Main(a, strings.NewReader(""), &out, &errs); code != exitUsage || errs.Len() == 0 {
			t.Errorf("%s: %d %q %q", name, code, out.String(), errs.String())
		}
	}
	var out, errs strings.Builder
	if code := Main([]string{"door", "--help"}, strings.NewReader(""), &out, &errs); code != exitDone || !strings.Contains(out.String(), "--greet") {
		t.Errorf("%d %q", code, out.String())
	}
}
