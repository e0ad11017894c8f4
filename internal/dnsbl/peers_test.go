package dnsbl

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/dns"
)

// freePort returns a port of loopback that nobody uses.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// daemon runs a server until the test ends, and waits until it answers a question.
func daemon(t *testing.T, port int, question string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (scripts/install-peers installs what the tests play with)", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	server := fmt.Sprintf("127.0.0.1:%d", port)
	for range 100 {
		p := pipeTo(t, server, 300*time.Millisecond)
		if _, err := p.Ask(t.Context(), question, dns.TypeA); err == nil {
			return server
		}
		p.Close()
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("%s does not answer: %s", args[0], log.String())
	return ""
}

func pipeTo(t *testing.T, server string, timeout time.Duration) *dns.Pipe {
	t.Helper()
	p, err := dns.NewPipe(dns.PipeOptions{Server: server, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// files writes zones into a directory that the server's own user can read.
func files(t *testing.T, all map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ukai-dnsbl-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // read by another user
		t.Fatal(err)
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // read by another user
			t.Fatal(err)
		}
	}
	return dir
}

const head = "$SOA 60 ns.example. host.example. 1 60 60 60 60\n$NS 60 ns.example.\n"

// theLists are zones as lists have them, good ones and all the ways to be bad.
var theLists = map[string]string{
	"normal.example:ip4set":    "127.0.0.2\n192.0.2.5 :127.0.0.2:spam from $, see https://normal.example/$\n",
	"range.example:ip4trie":    "127.0.0.2\n153.122.0.0/17 :127.0.0.2:SBL1 153.122.0.0/17\n",
	"six.example:ip6trie":      "::ffff:7f00:2\n2001:db8:5::/64 :127.0.0.3:a /64\n",
	"names.example:dnset":      "test\n.listed.example :127.0.1.2:listed name\n",
	"public.example:ip4trie":   "0/0 :127.255.255.254:Error: open resolver; https://public.example/returnc\n",
	"quota.example:ip4trie":    "0/0 :127.255.255.255:Error: excessive number of queries\n",
	"typo.example:ip4trie":     "0/0 :127.255.255.252:\n",
	"refusing.example:ip4trie": "0/0 :127.0.0.1:Query Refused. See http://uribl.com/refused.shtml for more information [Your DNS IP: 192.0.2.9]\n",
	"world.example:ip4trie":    "0/0 :127.0.0.2:this list is closed\n",
	"shy.example:ip4trie":      "0/0 :127.0.0.2:this list is closed\n!127.0.0.1\n",
	"empty.example:ip4set":     "10.9.9.9\n",
	"parked.example:ip4trie":   "0/0 :203.0.113.80:\n",
	"late.example:ip4set":      "127.0.0.2\n192.0.2.5 :127.255.255.255:now it is too much\n",
	"strange.example:ip4set":   "127.0.0.2\n192.0.2.5 :127.77.7.7:\n",
	"parkedhit.example:ip4set": "127.0.0.2\n192.0.2.5 :198.51.100.7:\n",
}

// rbldnsd serves theLists and returns its address.
func rbldnsd(t *testing.T) string {
	t.Helper()
	contents := map[string]string{}
	port := freePort(t)
	args := []string{"/usr/sbin/rbldnsd", "-n", "-q", "-b", fmt.Sprintf("127.0.0.1/%d", port), "-w"}
	var zones []string
	for key, text := range theLists {
		zone, kind, _ := strings.Cut(key, ":")
		contents[zone] = head + text
		zones = append(zones, zone+":"+kind+":"+zone)
	}
	args = append(append(args, files(t, contents)), zones...)
	return daemon(t, port, "2.0.0.127.normal.example", args...)
}

// unbound asks behind for the zones of theLists and knows no other; more are lines of its configuration.
func unbound(t *testing.T, behind, more string) string {
	t.Helper()
	port := freePort(t)
	conf := fmt.Sprintf("server:\n  interface: 127.0.0.1@%d\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  num-threads: 1\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n%s", port, more)
	if !strings.Contains(more, "local-zone") {
		conf += "  local-zone: \".\" static\n"
		for key := range theLists {
			zone, _, _ := strings.Cut(key, ":")
			conf += fmt.Sprintf("  local-zone: \"%s.\" transparent\n", zone)
		}
	}
	for key := range theLists {
		zone, _, _ := strings.Cut(key, ":")
		conf += fmt.Sprintf("stub-zone:\n  name: \"%s\"\n  stub-addr: %s\n", zone, strings.Replace(behind, ":", "@", 1))
	}
	dir := files(t, map[string]string{"unbound.conf": conf})
	return daemon(t, port, "2.0.0.127.normal.example", "/usr/sbin/unbound", "-d", "-c", filepath.Join(dir, "unbound.conf"))
}

func theCatalogue(t *testing.T) *Catalogue {
	t.Helper()
	var b strings.Builder
	for key := range theLists {
		zone, kind, _ := strings.Cut(key, ":")
		id, _, _ := strings.Cut(zone, ".")
		lists := map[string]string{"ip6trie": "ip6", "dnset": "domain"}[kind]
		if lists == "" {
			lists = "ip4"
		}
		fmt.Fprintf(&b, "[[list]]\nid = %q\nzone = %q\n[list.entries]\nlists = [%q]\n", id, zone, lists)
		if id == "refusing" {
			b.WriteString("codes = [{ code = \"127.0.0.1\", meaning = \"query refused\", state = \"resolver_unfit\", why = \"public\" }]\n")
		}
	}
	return mustParse(t, b.String())
}

func TestRealServersOfListsAndARealResolver(t *testing.T) {
	lists := rbldnsd(t)
	want := map[string]string{ // of 192.0.2.5
		"normal": "listed", "range": "clean", "public": "resolver_unfit public", "quota": "refused quota", "typo": "broken zone",
		"refusing": "resolver_unfit public", "world": "broken world", "shy": "broken world", "empty": "broken no_test_entry",
		"parked": "broken outside", "late": "refused quota", "strange": "broken undocumented", "parkedhit": "broken outside",
	}
	for name, server := range map[string]string{"directly": lists, "over Unbound": unbound(t, lists, "")} {
		t.Run(name, func(t *testing.T) {
			cat := theCatalogue(t)
			e := New(cat, pipeTo(t, server, 5*time.Second), Options{})
			for _, l := range cat.For(IP4, false) {
				a := e.Ask(t.Context(), l, Target{IP: netip.MustParseAddr("192.0.2.5")})
				if got := strings.TrimSpace(string(a.State) + " " + string(a.Why)); got != want[l.ID] {
					t.Errorf("%s: %s, want %s", l.ID, got, want[l.ID])
				}
			}
			a := e.Ask(t.Context(), cat.List("normal"), Target{IP: netip.MustParseAddr("192.0.2.5")})
			if a.Reason != "spam from 192.0.2.5, see https://normal.example/192.0.2.5" || a.TTL <= 0 {
				t.Errorf("reason %q, TTL %s", a.Reason, a.TTL)
			}
			for ip, state := range map[string]State{"2001:db8:5::99": Listed, "2001:db8:6::1": Clean} {
				if a := e.Ask(t.Context(), cat.List("six"), Target{IP: netip.MustParseAddr(ip)}); a.State != state {
					t.Errorf("%s: %s %s", ip, a.State, a.Why)
				}
			}
			for domain, state := range map[string]State{"listed.example": Listed, "other.example": Clean} {
				if a := e.Ask(t.Context(), cat.List("names"), Target{Domain: domain}); a.State != state {
					t.Errorf("%s: %s %s", domain, a.State, a.Why)
				}
			}
			f := e.Resolver(t.Context())
			if rewritten := f.Rewrites; rewritten {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestAResolverThatRewritesIsFoundOut(t *testing.T) {
	server := unbound(t, rbldnsd(t), "  local-zone: \".\" redirect\n  local-data: \". 60 IN A 203.0.113.80\"\n")
	cat := theCatalogue(t)
	e := New(cat, pipeTo(t, server, 5*time.Second), Options{})
	s := e.SelfTest(t.Context(), server, false)
	if !s.Resolver.Rewrites || s.Resolver.OK() {
		t.Errorf("%+v", s.Resolver)
	}
	for i := range s.Lists {
		if h := &s.Lists[i]; h.State != ResolverUnfit || h.Why != WhyRewritten {
			t.Errorf("%s: %s %s", h.List.ID, h.State, h.Why)
		}
	}
	for _, ip := range []string{"192.0.2.5", "192.0.2.6", "2001:db8::1"} {
		if f := e.Look(t.Context(), Question{Target: Target{IP: netip.MustParseAddr(ip)}}); f.Verdict != Unknown || f.Listed() {
			t.Errorf("%s: %s", ip, f.Verdict)
		}
	}
}

func TestARealRangeListingIsSeenAsOne(t *testing.T) {
	cat := theCatalogue(t)
	cat.Lists = []*List{cat.List("normal"), cat.List("range")}
	for target, want := range map[string]Verdict{"153.122.77.25": InRange, "153.122.0.0/17": InRange, "192.0.2.5": Culprit, "192.0.2.99": VerdictClean} {
		e := New(cat, pipeTo(t, rbldnsd(t), 5*time.Second), Options{})
		tg, err := ParseTarget(target)
		if err != nil {
			t.Fatal(err)
		}
		f := e.Look(t.Context(), Question{Target: tg})
		queries, tests := e.Count()
		if f.Verdict != want || queries+tests > 64 {
			t.Errorf("%s: %s, want %s, with %d+%d questions; %+v", target, f.Verdict, want, queries, tests, f.Evidence)
		}
	}
}

// A resolver that is not there must not look like a world without listings.
func TestNobodyAtTheResolversAddress(t *testing.T) {
	cat := theCatalogue(t)
	e := New(cat, pipeTo(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)), time.Second), Options{})
	f := e.Look(t.Context(), Question{Target: Target{IP: netip.MustParseAddr("192.0.2.5")}})
	if f.Verdict != Unknown {
		t.Errorf("%s", f.Verdict)
	}
	for i := range f.Answers {
		if a := &f.Answers[i]; a.State != ResolverUnfit || a.Why != WhyUnreachable {
			t.Errorf("%s: %s %s", a.List.ID, a.State, a.Why)
		}
	}
}
