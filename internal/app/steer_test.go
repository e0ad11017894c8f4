package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/health"
	"ukai/internal/mail"
	"ukai/internal/mtaconf"
	"ukai/internal/outcome"
	"ukai/internal/steer"
)

// What a wrapper tells shuts the path; the file of another server follows, and so do the lookups; the end is followed, too.
func TestWhatAWrapperTellsSteersAllServersOfThatAddress(t *testing.T) {
	c := settings(t)
	dir, err := os.MkdirTemp("", "ukai-steer-") // t.TempDir is too deep for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "list")
	c.Steer.Listen = socket
	a, stop := running(t, c, Options{})
	client := api.NewClient(c.Data)
	teller, err := client.ConnectServer(t.Context(), "qmail1", &api.ServerRequest{MTA: mtaconf.Qmail, Mode: mtaconf.SafetyNet})
	if err != nil {
		t.Fatal(err)
	}
	request := &api.ServerRequest{MTA: mtaconf.Exim, Mode: mtaconf.Steer, Live: true, Answer: "by {domain}",
		Routes: []mtaconf.RouteFile{{Path: file, Format: mtaconf.DomainList}}}
	if _, err := client.ConnectServer(t.Context(), "web1", request); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both servers known", func() bool { return len(a.steer.Status()) == 2 })
	a.steer.Seen("web1", "gmail.com", "google", time.Now())
	ask := func() string {
		return steer.Ask(t.Context(), steer.ForwardOptions{To: socket, Deadline: 5 * time.Second}, "web1", "a@gmail.com")
	}
	if got := ask(); got != "" {
		t.Errorf("while all is well: %q", got)
	}
	for i := range 4 {
		told, err := json.Marshal(steer.Told{MessageID: fmt.Sprintf("%d@qmail", i), Recipient: "a@gmail.com", Outcome: outcome.Outcome{
			Phase: outcome.EndOfData, Host: "gmail-smtp-in.l.google.com",
			Reply: mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "[192.0.2.1] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address."),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := observe(t, socket, "qmail1 "+teller.Secret+" "+string(told)); got != "3:OK ," {
			t.Fatalf("%q", got)
		}
	}
	eventually(t, "block", func() bool { return a.health.Path("direct", "google").State == health.Blocked })
	eventually(t, "answer of the lookup", func() bool { return ask() == "by gmail.com" })
	lines := func() string {
		b, _ := os.ReadFile(file)
		return string(b)
	}
	eventually(t, "file", func() bool { return strings.HasSuffix(lines(), "\ngmail.com\n") })
	eventually(t, "all of it told", func() bool {
		s, err := client.Server(t.Context(), "web1")
		return err == nil && s.Steered != nil && s.Steered.Detours > 0 && s.Steered.Files[0].Routes == 1 && !s.Contact.IsZero()
	})
	observing := *c
	observing.Mode = config.Observe
	if err := a.Reload(context.Background(), &observing); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is steered in the mode observe", func() bool { return ask() == "" && !strings.Contains(lines(), "gmail") })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// observe puts one observation and returns the answer as it came.
func observe(t *testing.T, socket, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	q := "observe " + text
	if _, err := fmt.Fprintf(conn, "%d:%s,", len(q), q); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 200)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}
