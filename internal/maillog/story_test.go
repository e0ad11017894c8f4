package maillog

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/mail"
)

var update = flag.Bool("update", false, "write the events of the stories anew")

// divider stands between the lines of a story and what they tell.
const divider = "-- events --\n"

// show writes an event on one line, without what is zero.
func show(e *Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", e.At.UTC().Format("2006-01-02T15:04:05.999999999"), e.MTA, e.Kind)
	put := func(key string, v any) {
		if s := fmt.Sprint(v); s != "" && s != "0" && s != "false" && s != "0s" && s != "invalid IP" && s != "invalid AddrPort" {
			fmt.Fprintf(&b, " %s=%s", key, s)
		}
	}
	put("host", e.Host)
	put("queue", e.Queue)
	put("id", e.MessageID)
	put("size", e.Size)
	if e.Sender {
		fmt.Fprintf(&b, " from=<%s>", e.From)
	}
	put("to", e.To)
	put("orig", e.OrigTo)
	put("relay", e.Relay)
	put("remote", e.Remote)
	put("local", e.Local)
	put("tls", e.TLS)
	put("delay", e.Delay)
	put("client", e.Client)
	put("name", e.ClientName)
	put("helo", e.Helo)
	put("account", e.Account)
	if e.Phase != 0 {
		put("phase", e.Phase)
	}
	if e.Reply.Code != 0 || e.Reply.Status != (mail.Status{}) {
		fmt.Fprintf(&b, " reply=%d/%s/%q", e.Reply.Code, e.Reply.Status, e.Reply.Lines)
	}
	put("list", e.List)
	if e.Text != "" {
		fmt.Fprintf(&b, " text=%q", e.Text)
	}
	return b.String()
}

var storyTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// tell reads the lines of a story and returns what they tell. A line of the story "#mta exim" sets an option.
func tell(t *testing.T, log string) string {
	o := Options{Now: storyTime, Location: time.UTC}
	var lines []string
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "#mta "); ok {
			o.MTA, _ = ParseMTA(name)
		} else if !strings.HasPrefix(line, "# ") {
			lines = append(lines, line)
		}
	}
	var b strings.Builder
	p := NewParser(o)
	for _, line := range lines {
		if err := p.Line([]byte(line), func(e *Event) error {
			fmt.Fprintln(&b, show(e))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s := p.Stats()
	fmt.Fprintf(&b, "lines=%d mail=%d unknown=%d foreign=%d events=%d\n", s.Lines, s.Mail, s.Unknown, s.Foreign, s.Events)
	return b.String()
}

func TestEachStoryIsUnderstood(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			log, want, _ := strings.Cut(string(raw), divider)
			got := tell(t, log)
			if *update {
				if err := os.WriteFile(file, []byte(log+divider+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
