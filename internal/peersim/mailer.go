package peersim

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// replyTime is how long a reply may take.
const replyTime = 60 * time.Second

// mailer is one connection that sends.
type mailer struct {
	g    *generator
	conn net.Conn
	br   *bufio.Reader
	pipe bool // the server takes PIPELINING
	stop func() bool
	late atomic.Bool // ctx is over: only what is on its way is finished

	id, from string
	message  []byte // the content
	wire     []byte // dot-stuffed, with the final dot
	content  content
}

// write writes message n into the mailer's buffers.
func (m *mailer) write(n int64) Sent {
	g := m.g
	m.id = g.Prefix + strconv.FormatInt(n, 10)
	domain := g.sender(n)
	s := Sent{ID: m.id, Rcpt: g.rcpt(n)}
	m.from = "r+" + m.id + "@" + domain
	b := m.message[:0]
	b = append(b, "From: Rehearsal <rehearsal@"+domain+">\r\nTo: <"+s.Rcpt+">\r\nSubject: Rehearsal "+m.id+"\r\nDate: "...)
	b = time.Now().AppendFormat(b, time.RFC1123Z)
	b = append(b, "\r\nMessage-ID: <"+m.id+"@"+domain+">\r\nX-Rehearsal-ID: "+m.id+"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"...)
	b = append(b, g.Header...)
	b = append(b, "\r\n"...)
	b = append(b, g.Body...)
	if room := g.Size - len(b) - 2; room > 0 {
		b = append(b, strings.TrimRight(g.filler[:min(room, len(g.filler))], "\r\n")...)
		b = append(b, "\r\n"...)
	}
	m.message = b
	m.content.reset(0)
	m.content.write(b)
	m.content.end()
	s.Digest = m.content.digest
	m.wire = m.wire[:0]
	for line := range bytes.Lines(b) {
		if line[0] == '.' {
			m.wire = append(m.wire, '.')
		}
		m.wire = append(m.wire, line...)
	}
	m.wire = append(m.wire, ".\r\n"...)
	return s
}

// transmit makes one attempt and returns the reply that decided. doubtful: the content was sent and no reply came.
func (m *mailer) transmit(ctx context.Context, rcpt string) (reply string, doubtful bool, err error) {
	defer func() {
		if err != nil {
			m.hangUp()
		}
	}()
	if m.conn == nil {
		if reply, err = m.dial(ctx); err != nil || reply[0] != '2' {
			m.hangUp()
			return reply, false, err
		}
	}
	if reply, err = m.envelope(rcpt); err != nil || reply[0] != '3' {
		return reply, false, err
	}
	if _, err = m.conn.Write(m.wire); err != nil {
		return "", true, err
	}
	reply, err = m.reply()
	if err == nil && strings.HasPrefix(reply, "421") {
		m.hangUp()
	}
	return reply, err != nil, err
}

// envelope says MAIL, RCPT and DATA and returns the first reply that is no yes, or 354.
func (m *mailer) envelope(rcpt string) (string, error) {
	commands := []string{"MAIL FROM:<" + m.from + ">\r\n", "RCPT TO:<" + rcpt + ">\r\n", "DATA\r\n"}
	if !m.pipe {
		return m.oneByOne(commands)
	}
	if _, err := m.conn.Write([]byte(strings.Join(commands, ""))); err != nil {
		return "", err
	}
	decided := ""
	last := ""
	for range commands {
		reply, err := m.reply()
		if err != nil {
			return "", err
		}
		if decided == "" && reply[0] != '2' {
			decided = reply
		}
		last = reply
		if strings.HasPrefix(reply, "421") {
			break
		}
	}
	return m.giveUp(cmp.Or(decided, last), last, nil)
}

func (m *mailer) oneByOne(commands []string) (string, error) {
	var reply string
	for _, c := range commands {
		var err error
		if reply, err = m.ask(c); err != nil || reply[0] != '2' {
			return m.giveUp(reply, reply, err)
		}
	}
	return m.giveUp(reply, reply, nil)
}

// giveUp brings the session back to where the next MAIL can come, when the envelope was refused.
func (m *mailer) giveUp(decided, last string, err error) (string, error) {
	switch {
	case err != nil || decided[0] == '3':
		return decided, err
	case strings.HasPrefix(decided, "421"):
		m.hangUp()
		return decided, nil
	case last[0] == '3': // the server wants content all the same: an empty one (RFC 2920, section 3.1)
		if _, err := m.ask(".\r\n"); err != nil {
			return "", err
		}
	}
	if _, err := m.ask("RSET\r\n"); err != nil {
		return "", err
	}
	return decided, nil
}

// dial connects and says EHLO, with TLS and AUTH if they are wanted. It returns the reply that decided.
func (m *mailer) dial(ctx context.Context) (string, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	if m.g.Source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: m.g.Source.AsSlice()}
	}
	conn, err := d.DialContext(ctx, "tcp", m.g.To)
	if err != nil {
		return "", err
	}
	m.stop = context.AfterFunc(ctx, func() {
		m.late.Store(true)
		conn.SetDeadline(time.Now().Add(grace))
	})
	m.use(conn)
	m.arm()
	if reply, err := m.reply(); err != nil || reply[0] != '2' {
		return reply, err
	}
	reply, err := m.hello()
	if err != nil || reply[0] != '2' {
		return reply, err
	}
	if m.g.Roots != nil {
		if reply, err = m.startTLS(ctx); err != nil || reply[0] != '2' {
			return reply, err
		}
	}
	if l := m.g.Login; l != nil {
		return m.ask("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+l.User+"\x00"+l.Password)) + "\r\n")
	}
	return reply, nil
}

func (m *mailer) use(conn net.Conn) {
	m.conn = conn
	if m.br == nil {
		m.br = bufio.NewReader(conn)
	}
	m.br.Reset(conn)
}

// arm sets the time by which the next step must be over.
func (m *mailer) arm() {
	d := replyTime
	if m.late.Load() {
		d = grace
	}
	m.conn.SetDeadline(time.Now().Add(d))
}

func (m *mailer) hello() (string, error) {
	reply, err := m.ask("EHLO rehearsal.invalid\r\n")
	m.pipe = strings.Contains(strings.ToUpper(reply), "PIPELINING")
	return reply, err
}

func (m *mailer) startTLS(ctx context.Context) (string, error) {
	reply, err := m.ask("STARTTLS\r\n")
	if err != nil || reply[0] != '2' {
		return reply, err
	}
	conn := tls.Client(m.conn, &tls.Config{RootCAs: m.g.Roots, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	m.use(conn)
	return m.hello()
}

func (m *mailer) ask(command string) (string, error) {
	if _, err := m.conn.Write([]byte(command)); err != nil {
		return "", err
	}
	return m.reply()
}

// reply reads a whole reply, its lines joined by LF.
func (m *mailer) reply() (string, error) {
	m.arm()
	var all string
	for {
		line, err := m.br.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("read reply: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 3 {
			return "", fmt.Errorf("read reply: %q is none", line)
		}
		if all += line; len(line) == 3 || line[3] != '-' {
			return all, nil
		}
		all += "\n"
	}
}

// hangUp ends the connection without a word: the server must live with it.
func (m *mailer) hangUp() {
	if m.conn == nil {
		return
	}
	m.stop()
	m.conn.Close()
	m.conn = nil
}
