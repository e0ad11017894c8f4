package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// logsReport is what these tests look at in the report of ukai logs.
type logsReport struct {
	Providers []struct {
		ID      string
		Refused int64
		Trouble []struct {
			Since   time.Time
			Until   time.Time
			Share   float64
			Before  float64
			Gradual bool
			Open    bool
		}
		Causes []struct {
			Class       string
			DetourHelps bool `json:"detour_helps"`
			Messages    int64
			URL         string
		}
		Domains struct{ Top []struct{ Name string } }
	}
}

// checkLogsCommand runs ukai logs on a log in which Google begins to refuse at a time, and expects it to be named no later than
// near.
func checkLogsCommand(t *testing.T, path string, change, near time.Time) {
	t.Helper()
	cmd := exec.Command(ukaiBin, "logs", "--json", path)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v, want exit code 1: %s", err, out)
	}
	var r logsReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	p := r.Providers[0]
	if p.ID != "google" || len(p.Trouble) != 1 {
		t.Fatalf("%s", out)
	}
	e := p.Trouble[0]
	if e.Since.Truncate(time.Minute) != change || e.Since.After(near) || !e.Until.IsZero() || e.Open || e.Share < 0.95 || e.Before > 0.01 {
		t.Errorf("since %v, it was between %v and %v: %+v", e.Since, change, near, e)
	}
	if c := p.Causes[0]; c.Class != "ip_reputation" || !c.DetourHelps || c.URL != "https://support.google.com/mail/answer/188131" {
		t.Errorf("%+v", c)
	}
	hit := fmt.Sprint(p.Domains.Top)
	if !strings.Contains(hit, "gmail.com") || !strings.Contains(hit, "customer00.example") {
		t.Errorf("hit: %s", hit)
	}
	for _, q := range r.Providers[1:] {
		if len(q.Trouble) > 0 || q.Refused > 0 {
			t.Errorf("%s is said to refuse: %+v", q.ID, q.Trouble)
		}
	}
	t.Logf("changed at %v, named %v: %+v", change, e.Since, e)
}

// refusedFrom hands a message in from an address and expects a 5xx before the content.
func refusedFrom(t *testing.T, m *mta, from netip.Addr, sender, rcpt string) {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 10 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	answer := func() string {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			if len(line) < 4 || line[3] != '-' {
				return line
			}
		}
	}
	if s := answer(); strings.HasPrefix(s, "5") {
		return
	}
	for _, line := range []string{"EHLO mx.open.example", "MAIL FROM:<" + sender + ">", "RCPT TO:<" + rcpt + ">"} {
		fmt.Fprint(c, line+"\r\n")
		if s := answer(); strings.HasPrefix(s, "5") {
			fmt.Fprint(c, "QUIT\r\n")
			answer()
			return
		}
	}
	t.Fatalf("%s took mail from %s, which is on its blocklist", m.name, from)
}
