// Command qmailremote plays qmail-remote for the tests of `ukai qmail-remote`: there is no package of qmail to test with.
//
// It was written from qmail-remote(8) and from what the program does: it finds the MX hosts or the relay of control/smtproutes,
// says HELO, MAIL, RCPT, DATA to the first that answers, turns LF into CRLF, doubles dots, and reports in texts that end in NUL.
// It exits 0 always. Its home is compiled in, as the real one's is; control/standin-dns is the address of a name server.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// patience is for every step; the real one waits for control/timeoutremote seconds, 1200.
const patience = 20 * time.Second

func main() {
	out := bufio.NewWriter(os.Stdout)
	run(out)
	_ = out.Flush() // nobody is left to tell
}

// remote is one delivery.
type remote struct {
	control string
	out     *bufio.Writer
	conn    net.Conn
	in      *bufio.Reader
	partner string
	said    string // the last reply
}

func run(out *bufio.Writer) {
	if len(os.Args) < 4 {
		fmt.Fprint(out, "DI (qmail-remote) was invoked improperly. (#5.3.5)\n\x00")
		return
	}
	r := &remote{control: "/var/qmail/control", out: out}
	for _, addr := range r.hosts(os.Args[1]) {
		c, err := net.DialTimeout("tcp4", addr, patience)
		if err != nil {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		r.conn, r.in = c, bufio.NewReader(c)
		r.partner, _, _ = net.SplitHostPort(addr)
		r.smtp(os.Args[2], os.Args[3:])
		c.Close()
		return
	}
	fmt.Fprint(out, "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\x00")
}

func (r *remote) read(name string) string {
	b, err := os.ReadFile(filepath.Join(r.control, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// hosts returns where mail for a host goes: a relay of control/smtproutes, or the addresses of its MX hosts.
func (r *remote) hosts(host string) []string {
	for l := range strings.Lines(r.read("smtproutes")) {
		domain, relay, ok := strings.Cut(strings.TrimSpace(l), ":")
		if ok && relay != "" && (domain == host || domain == "" || domain[0] == '.' && strings.HasSuffix(host, domain)) {
			if !strings.Contains(relay, ":") {
				relay += ":25"
			}
			return []string{relay}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dns := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimSpace(r.read("standin-dns")))
	}}
	var all []string
	mx, err := dns.LookupMX(ctx, host+".")
	if err != nil {
		return nil
	}
	for _, x := range mx {
		ips, err := dns.LookupNetIP(ctx, "ip4", x.Host)
		if err != nil {
			continue
		}
		for _, ip := range ips {
			all = append(all, net.JoinHostPort(ip.String(), "25"))
		}
	}
	return all
}

// code reads a reply and returns its class: 2 to 5, 0 for a connection that died.
func (r *remote) code() int {
	r.said = ""
	for {
		l, err := r.in.ReadString('\n')
		if err != nil || len(l) < 4 {
			return 0
		}
		r.said += strings.ReplaceAll(l, "\r", "")
		if l[3] != '-' {
			return int(l[0] - '0')
		}
	}
}

func (r *remote) ask(format string, args ...any) int {
	fmt.Fprintf(r.conn, format+"\r\n", args...)
	return r.code()
}

// quit is the report on the message.
func (r *remote) quit(before, after string) {
	fmt.Fprint(r.conn, "QUIT\r\n")
	fmt.Fprintf(r.out, "%s%s%s.\n", before, r.partner, after)
	if r.said != "" {
		fmt.Fprintf(r.out, "Remote host said: %s", r.said)
	}
	fmt.Fprint(r.out, "\x00")
}

// by chooses the letter for a reply.
func by(class int, final, retry string) string {
	if class == 5 {
		return final
	}
	return retry
}

func (r *remote) smtp(sender string, recips []string) {
	if r.code() != 2 {
		r.quit("ZConnected to ", " but greeting failed")
		return
	}
	if r.ask("HELO %s", strings.TrimSpace(r.read("me"))) != 2 {
		r.quit("ZConnected to ", " but my name was rejected")
		return
	}
	if c := r.ask("MAIL FROM:<%s>", sender); c != 2 {
		r.quit(by(c, "D", "Z")+"Connected to ", " but sender was rejected")
		return
	}
	taken := false
	for _, to := range recips {
		c := r.ask("RCPT TO:<%s>", to)
		if c == 2 {
			taken = true
			fmt.Fprint(r.out, "r\x00")
			continue
		}
		fmt.Fprintf(r.out, "%s%s does not like recipient.\nRemote host said: %s\x00", by(c, "h", "s"), r.partner, r.said)
	}
	r.said = "" // what was said of recipients is not said again
	if !taken {
		r.quit("DGiving up on ", "")
		return
	}
	if c := r.ask("DATA"); c != 3 {
		r.quit(by(c, "D", "Z"), " failed on DATA command")
		return
	}
	if !r.blast() {
		fmt.Fprint(r.out, "ZUnable to read message. (#4.3.0)\n\x00")
		return
	}
	switch c := r.code(); c {
	case 2:
		r.quit("K", " accepted message")
	case 0:
		fmt.Fprintf(r.out, "ZConnected to %s but connection died. Possible duplicate! (#4.4.2)\n\x00", r.partner)
	default:
		r.quit(by(c, "D", "Z"), " failed after I sent the message")
	}
}

// blast sends the message.
func (r *remote) blast() bool {
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		return false
	}
	var text bytes.Buffer
	for l := range bytes.Lines(b) {
		if l[0] == '.' {
			text.WriteByte('.')
		}
		text.Write(bytes.TrimSuffix(l, []byte("\n")))
		text.WriteString("\r\n")
	}
	text.WriteString(".\r\n")
	_, err = r.conn.Write(text.Bytes())
	return err == nil
}
