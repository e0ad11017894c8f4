package qmail

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// liveWait is how long an answer of the live lookup server is waited for: it has it in memory.
const liveWait = 200 * time.Millisecond

// steered tells whether mail for the host goes to ukai first. Where that cannot be found out, it does not.
func (d *delivery) steered(ctx context.Context) bool {
	s := d.settings
	switch {
	case s.Routes != "":
		return listed(s.Routes, d.host)
	case s.Steer && s.Live != "":
		answer, err := ask(ctx, s.Live, s.Server+" "+d.recips[0], liveWait)
		return err == nil && strings.HasPrefix(answer, "OK ")
	}
	return false
}

// listed tells whether a file of domains, one a line, has a domain. A line that begins with a dot stands for what is below it.
func listed(path, domain string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	for lines := bufio.NewScanner(f); lines.Scan(); {
		l := strings.ToLower(strings.TrimSpace(lines.Text()))
		if l == domain || len(l) > 1 && l[0] == '.' && strings.HasSuffix(domain, l) {
			return domain != ""
		}
	}
	return false
}

// routed tells whether control/smtproutes has a route of its own for a host (qmail-remote(8)): for it, for a suffix of it that
// begins with a dot, or for all hosts. The longest one counts; one without a relay means: by MX records.
func routed(dir, host string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "smtproutes"))
	if err != nil {
		return false
	}
	routes := make(map[string]string)
	for l := range strings.Lines(string(b)) {
		l = strings.TrimRight(l, " \t\r\n")
		domain, relay, ok := strings.Cut(l, ":")
		if _, twice := routes[strings.ToLower(domain)]; ok && !twice && !strings.HasPrefix(l, "#") {
			routes[strings.ToLower(domain)] = relay
		}
	}
	host = strings.ToLower(host)
	for i := 0; i <= len(host); i++ {
		if i > 0 && i < len(host) && host[i] != '.' {
			continue
		}
		if relay, ok := routes[host[i:]]; ok {
			return relay != ""
		}
	}
	return false
}

// dial connects to ukai's live listener: an address of package net, or the path of a socket.
func dial(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
