package cli

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

const listedCatalogue = `
[[list]]
id = "bl"
name = "The Blocklist"
zone = "bl.example"
[list.entries]
lists = ["ip4"]
codes = [{ code = "127.0.0.2", meaning = "sent spam" }]
[list.delist]
url = "https://bl.example/remove"
who = "network"
pay = "express removal"
[[list]]
id = "own"
zone = "own.example"
own = true
[list.entries]
lists = ["ip4"]
[[list]]
id = "names"
zone = "names.example"
[list.entries]
lists = ["domain"]
`

// listServer answers for the zones of listedCatalogue: what is listed stands in its table, the rest does not exist.
func listServer(t *testing.T) string {
	t.Helper()
	listed := map[string]string{
		"2.0.0.127.bl.example.": "127.0.0.2", "5.2.0.192.bl.example.": "127.0.0.2",
		"2.0.0.127.own.example.": "127.0.0.2", "7.2.0.192.own.example.": "127.0.0.2",
		"9.2.0.192.bl.example.": "127.255.255.254",
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan struct{})
	s := &mdns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(ready) }}
	s.Handler = mdns.HandlerFunc(func(w mdns.ResponseWriter, r *mdns.Msg) {
		m, q := new(mdns.Msg), r.Question[0]
		m.SetReply(r)
		code, ok := listed[strings.ToLower(q.Name)]
		switch {
		case !ok:
			m.Rcode = mdns.RcodeNameError
		case q.Qtype == mdns.TypeA:
			m.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: q.Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET, Ttl: 60}, A: net.IP(netip.MustParseAddr(code).AsSlice())}}
		default:
			m.Answer = []mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: q.Name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET}, Txt: []string{"see the page"}}}
		}
		_ = w.WriteMsg(m)
	})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return conn.LocalAddr().String()
}

// listed runs "ukai listed" against the server.
func listed(t *testing.T, server string, args ...string) (out, trouble string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lists.toml")
	if err := os.WriteFile(file, []byte(listedCatalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e strings.Builder
	all := append([]string{"listed", "--resolver", server, "--catalogue", file}, args...)
	if !slices.Contains(args, "--lang=ja") {
		all = append(all, "--lang=en")
	}
	code = run(all, at(&o, &e, nil))
	return o.String(), e.String(), code
}

func TestListedTellsOneObjectALineAndAClosingOne(t *testing.T) {
	server := listServer(t)
	tests := []struct {
		target, verdict string
		states          string
		code            int
	}{
		{"192.0.2.5", "culprit", "bl listed 127.0.0.2 sent spam, own clean", 1},
		{"192.0.2.100", "clean", "bl clean, own clean", 0},
		{"192.0.2.9", "unknown", "bl resolver_unfit 127.255.255.254 ", 2},
		{"example.com", "unknown", "names broken ", 2}, // no test entry
		{"192.0.2.0/28", "neighbour", "own listed 127.0.0.2", 1},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			out, trouble, code := listed(t, server, "--json", tt.target)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			var states []string
			for _, line := range lines[:len(lines)-1] {
				var l map[string]any
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				for _, key := range []string{"target", "zone", "state", "code", "meaning", "scope", "reason"} {
					if _, ok := l[key]; !ok {
						t.Errorf("no %s: %s", key, line)
					}
				}
				states = append(states, strings.TrimSpace(strings.Join([]string{l["list"].(string), l["state"].(string), l["code"].(string), l["meaning"].(string)}, " ")))
			}
			var end struct {
				Verdict  string
				Evidence []any
				Queries  int
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
				t.Fatal(err)
			}
			for _, want := range strings.Split(tt.states, ", ") {
				if !strings.Contains(strings.Join(states, ", "), strings.TrimSpace(want)) {
					t.Errorf("%v, want %s", states, want)
				}
			}
			if end.Verdict != tt.verdict || code != tt.code || len(end.Evidence) == 0 || trouble != "" {
				t.Errorf("%+v, exit %d %s, want %s, exit %d", end, code, trouble, tt.verdict, tt.code)
			}
		})
	}
}

func TestListedTellsPeopleWhatToDo(t *testing.T) {
	server := listServer(t)
	out, _, code := listed(t, server, "192.0.2.5")
	for _, want := range []string{
		"192.0.2.5: listed itself", "The Blocklist", "sent spam", "The Blocklist says: see the page",
		"only the owner of the network may ask", "https://bl.example/remove", "do not pay", "2 of 2 lists",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	out, _, _ = listed(t, server, "192.0.2.0/24")
	if !strings.Contains(out, "\n    . . . . . . . # . . . . . . . .\n") || strings.Count(out, "\n    . ") != 16 {
		t.Errorf("no map in\n%s", out)
	}
	out, _, _ = listed(t, server, "--lang=ja", "192.0.2.5")
	if !strings.Contains(out, "それ自身が掲載されています") {
		t.Errorf("no Japanese in\n%s", out)
	}
	out, _, code = listed(t, server, "--self-test")
	if code != 2 || !strings.Contains(out, "its test entry is not listed") || !strings.Contains(out, "to be believed") {
		t.Errorf("exit %d, %s", code, out)
	}
}

func TestListedSaysWhatIsWrongWithItsArguments(t *testing.T) {
	server := listServer(t)
	tests := []struct {
		args []string
		want string
	}{
		{nil, "name an IP address"},
		{[]string{"10.0.0.0/8"}, "10.0.0.0/8 is too wide"},
		{[]string{"192.0.2.300"}, "192.0.2.300 is not an IP address"},
		{[]string{"192.0.2.0/99"}, "is not a range"},
		{[]string{"2001:db8::1"}, "no list of the catalogue"},
		{[]string{"--resolver", "nowhere", "192.0.2.1"}, `the resolver "nowhere"`},
		{[]string{"--catalogue", "absent.toml", "192.0.2.1"}, "absent.toml cannot be read"},
	}
	for _, tt := range tests {
		out, trouble, code := listed(t, server, tt.args...)
		if code != 3 || out != "" || !strings.Contains(trouble, tt.want) {
			t.Errorf("%v: exit %d, %s%s, want %q", tt.args, code, out, trouble, tt.want)
		}
	}
}
