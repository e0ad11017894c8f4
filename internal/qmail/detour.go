package qmail

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/smtpclient"
)

// opening is how long ukai has to be ready for a message: a server that hangs must not hold up mail that can go another way.
const opening = 4 * time.Second

// patience are the limits towards ukai. Behind the last dot it has time: giving up there could mean a second copy.
var patience = smtpclient.Timeouts{
	Connect: 2 * time.Second, Greeting: opening, Ehlo: opening, Command: 30 * time.Second, Data: 30 * time.Second,
	Block: time.Minute, EndOfData: 5 * time.Minute,
}

// maxRounds bounds the transactions of one delivery: a server may take only so many recipients at once.
const maxRounds = 100

// detour hands the message to ukai and returns one outcome for each of the recipients.
func (d *delivery) detour(ctx context.Context, m *message, recips []string) []outcome.Outcome {
	env, err := d.envelope(m, recips)
	if err != nil {
		return everybody(recips, outcome.Outcome{Phase: outcome.Data, Err: err.Error(), ErrTemporary: true})
	}
	ready, cancel := context.WithTimeout(ctx, opening)
	defer cancel()
	target, err := d.target(ready)
	if err != nil {
		return everybody(recips, outcome.Outcome{Phase: outcome.Lookup, Err: err.Error(), ErrTemporary: true})
	}
	s := d.settings
	conn, trouble := smtpclient.Dial(ready, target, &smtpclient.Options{
		Helo: d.helo(), TLS: s.TLS, Username: s.Username, Password: s.Password, Timeouts: patience,
		PlainAuth: target.Addrs[0].Addr().IsLoopback(), // nobody listens on the way
	})
	if trouble != nil {
		return everybody(recips, *trouble)
	}
	defer conn.Close()
	return transactions(ctx, conn, m, env)
}

// transactions sends the message to all recipients of an envelope, in as many transactions as the server wants.
func transactions(ctx context.Context, conn *smtpclient.Conn, m *message, env *mail.Envelope) []outcome.Outcome {
	all := make([]outcome.Outcome, len(env.Recipients))
	open := make([]int, len(all))
	for i := range open {
		open[i] = i
	}
	for range maxRounds {
		res := conn.Send(ctx, &smtpclient.Message{Envelope: env, Recipients: open, Content: m.content()})
		for n, i := range open {
			all[i] = res.Outcomes[n]
		}
		var left []int
		for _, n := range res.TooMany() {
			left = append(left, open[n])
		}
		if len(left) == 0 || len(left) == len(open) || !res.ConnUsable || !conn.Usable() {
			break
		}
		open = left
	}
	return all
}

func everybody(recips []string, o outcome.Outcome) []outcome.Outcome {
	all := make([]outcome.Outcome, len(recips))
	for i := range all {
		all[i] = o
	}
	return all
}

func (d *delivery) envelope(m *message, recips []string) (*mail.Envelope, error) {
	size, eightBit, err := m.measure()
	if err != nil {
		return nil, err
	}
	env := &mail.Envelope{From: address(d.sender), Size: size, EightBit: eightBit}
	if d.sender == "#@[]" { // the return path of a report that came back (qmail-send(8), double bounces), which is none in SMTP
		env.From = ""
	}
	env.UTF8 = !ascii(env.From)
	for _, r := range recips {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: address(r)})
		env.UTF8 = env.UTF8 || !ascii(r)
	}
	return env, nil
}

func ascii(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0 }

// atext are the characters besides letters and digits that stand in a local part without quotes (RFC 5321, section 4.1.2).
const atext = "!#$%&'*+-/=?^_`{|}~."

// address quotes the local part of an address where it must be: qmail keeps addresses without quotes (qmail-remote.c, addrmangle).
func address(a string) string {
	at := strings.LastIndexByte(a, '@')
	if at < 0 {
		return a
	}
	local := a[:at]
	plain := local != "" && local[0] != '.' && local[at-1] != '.' && !strings.Contains(local, "..")
	for _, c := range []byte(local) {
		if c <= ' ' || c == 127 || c < 127 && !alphanumeric(c) && strings.IndexByte(atext, c) < 0 {
			plain = false
		}
	}
	if plain {
		return a
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"` + a[at:]
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// target is where ukai takes mail.
func (d *delivery) target(ctx context.Context) (smtpclient.Target, error) {
	s := d.settings
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.Host)
	if err != nil {
		return smtpclient.Target{}, err
	}
	t := smtpclient.Target{Host: s.Host}
	for _, ip := range ips {
		t.Addrs = append(t.Addrs, netip.AddrPortFrom(ip.Unmap(), s.Port))
	}
	if len(t.Addrs) == 0 {
		return t, fmt.Errorf("%s has no address", s.Host)
	}
	return t, nil
}

// helo is the name that qmail-remote greets with: control/helohost, or control/me.
func (d *delivery) helo() string {
	var name string
	for _, file := range []string{"helohost", "me"} {
		b, err := os.ReadFile(filepath.Join(d.dir, file))
		if err == nil && name == "" {
			first, _, _ := strings.Cut(string(b), "\n")
			name = strings.TrimSpace(first)
		}
	}
	return cmp.Or(name, "localhost")
}

// taken tells what an outcome of ukai's means for qmail: done; hard, where final is; soft in all other cases.
func taken(o *outcome.Outcome, final bool) fate {
	where := o.Host
	if o.Remote.IsValid() {
		where = o.Remote.Addr().String()
	}
	if o.Reply.Code == 0 {
		duplicate := ""
		if doubtful(o) {
			duplicate = "Possible duplicate! "
		}
		return fate{kind: soft, text: fmt.Sprintf("ukai at %s: %s. %s(#4.4.2)\n", where, strings.TrimSuffix(o.Err, "."), duplicate)}
	}
	said := where + " " + phrase(o) + ".\n" + remoteSaid + quote(o.Reply) + "\n"
	switch {
	case o.OK():
		return fate{kind: done, text: said}
	case final && o.Reply.Permanent():
		return fate{kind: hard, text: said}
	}
	return fate{kind: soft, text: said}
}

// doubtful tells that nobody knows whether the message was taken: it may not go anywhere else in this attempt.
func doubtful(o *outcome.Outcome) bool { return o.Reply.Code == 0 && o.Phase >= outcome.Data }

// phrase is how qmail-remote says in which phase a reply came, so that what reads its log reads ours.
func phrase(o *outcome.Outcome) string {
	switch {
	case o.OK():
		return "accepted message"
	case o.Phase == outcome.RcptTo:
		return "does not like recipient"
	case o.Phase == outcome.MailFrom:
		return "connected but sender was rejected"
	case o.Phase == outcome.Data:
		return "failed on DATA command"
	case o.Phase == outcome.EndOfData:
		return "failed after I sent the message"
	}
	return "connected but greeting failed"
}

// quote writes a reply in its lines.
func quote(r mail.Reply) string {
	var b strings.Builder
	for i, l := range r.Lines {
		sep := "-"
		if i == len(r.Lines)-1 {
			sep = " "
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%d%s%s", r.Code, sep, l)
	}
	if len(r.Lines) == 0 {
		fmt.Fprintf(&b, "%d", r.Code)
	}
	return b.String()
}
