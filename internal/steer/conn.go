package steer

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"time"
)

// The patience of the listener. A mail server keeps its connection for as long as it likes to ask (Postfix closes an idle one
// after 10 s by itself, socketmap_table(5)); a question that has begun comes to its end, and a reply is taken.
const (
	idleFor  = 5 * time.Minute
	whole    = 10 * time.Second
	takeFor  = 10 * time.Second
	buffered = 4096
)

// talk is one connection.
type talk struct {
	s       *Steer
	conn    net.Conn
	in      *bufio.Reader
	out     []byte // replies that were not sent yet
	spare   []byte
	domain  [longestDomain + 1]byte
	patient time.Time // the deadline for reading that is set
	taken   time.Time // that for writing
}

// serve answers the questions of one connection until it ends.
func (t *talk) serve() {
	t.wait(idleFor)
	first, err := t.in.Peek(1)
	if err != nil {
		return
	}
	step, here := t.netstring, t.netstringHere
	switch c := first[0]; {
	case c >= '0' && c <= '9':
	case c == 'g', c == 'p':
		step, here = t.table, t.lineHere
	case c == 'e':
		step, here = t.exim, t.lineHere
	default:
		return
	}
	for {
		if step() != nil {
			_ = t.flush() // what was asked before is answered
			return
		}
		if len(t.out) < buffered && t.in.Buffered() > 0 && here() { // more questions are here: one write for all replies
			continue
		}
		if t.flush() != nil {
			return
		}
	}
}

// wait sets the deadline for reading. It is moved only when it is a good part off: that costs more than an answer.
func (t *talk) wait(d time.Duration) {
	now := time.Now()
	if left := t.patient.Sub(now); left <= d && left > d*3/4 {
		return
	}
	t.patient = now.Add(d)
	t.conn.SetReadDeadline(t.patient)
}

func (t *talk) flush() error {
	if len(t.out) == 0 {
		return nil
	}
	if now := time.Now(); t.taken.Sub(now) < takeFor/2 { // as in wait
		t.taken = now.Add(takeFor)
		t.conn.SetWriteDeadline(t.taken)
	}
	_, err := t.conn.Write(t.out)
	t.out = t.out[:0]
	return err
}

// await waits for a question to begin, and then allows the time that it may take to come.
func (t *talk) await() error {
	if t.in.Buffered() > 0 {
		return nil
	}
	t.wait(idleFor)
	_, err := t.in.Peek(1)
	return err
}

// netstring answers one netstring.
func (t *talk) netstring() error {
	if err := t.await(); err != nil {
		return err
	}
	if !t.netstringHere() {
		t.wait(whole)
	}
	text, spare, err := readNetstring(t.in, t.spare, maxQuery)
	t.spare = spare
	if err != nil {
		return err
	}
	began := time.Now()
	name, key, ok := bytes.Cut(text, []byte(" "))
	if !ok {
		return errGarbage
	}
	if string(name) == "observe" {
		return t.observe(string(key), began)
	}
	if name, ok := bytes.CutSuffix(name, []byte("/status")); ok {
		t.status(string(name), string(key), began)
		return nil
	}
	if srv := t.s.named(name); srv != nil {
		if route := t.route(srv, key, began); route != "" {
			t.out = appendNetstring(t.out, "OK ", route)
			return nil
		}
	}
	t.out = appendNetstring(t.out, "NOTFOUND ")
	return nil
}

// netstringHere tells whether a whole netstring lies in the buffer, as it nearly always does: then no deadline is needed.
func (t *talk) netstringHere() bool {
	b, _ := t.in.Peek(t.in.Buffered())
	n := 0
	for i, c := range b {
		if c == ':' {
			return len(b) >= i+1+n+1
		}
		if c < '0' || c > '9' || i > 5 {
			return true // garbage: it will be seen
		}
		n = n*10 + int(c-'0')
	}
	return false
}

// table answers one line of tcp_table(5): "get KEY". Nothing can be put.
func (t *talk) table() error {
	line, err := t.line()
	if err != nil {
		return err
	}
	began := time.Now()
	verb, key, _ := bytes.Cut(line, []byte(" "))
	if string(verb) != "get" {
		t.out = append(t.out, "500 only%20get\n"...)
		return nil
	}
	key, ok := unquote(key)
	if !ok {
		return errGarbage
	}
	if srv := t.s.only.Load(); srv != nil {
		if route := t.route(srv, key, began); route != "" {
			t.out = append(quote(append(t.out, "200 "...), route), '\n')
			return nil
		}
	}
	t.out = append(t.out, "500 none\n"...)
	return nil
}

// exim answers "exim NAME KEY" and ends the connection: ${readsocket} reads to its end.
func (t *talk) exim() error {
	line, err := t.line()
	if err != nil {
		return err
	}
	began := time.Now()
	f := bytes.SplitN(line, []byte(" "), 3)
	if len(f) < 3 || string(f[0]) != "exim" {
		return errGarbage
	}
	if srv := t.s.named(f[1]); srv != nil {
		key := f[2]
		if bytes.IndexByte(key, '@') < 0 { // $domain, where a domain may have no dot
			key = append([]byte{'@'}, key...)
		}
		t.out = append(t.out, t.route(srv, key, began)...)
	}
	return errDone
}

var errDone = net.ErrClosed

func (t *talk) line() ([]byte, error) {
	if err := t.await(); err != nil {
		return nil, err
	}
	if !t.lineHere() {
		t.wait(whole)
	}
	return readLine(t.in)
}

// lineHere tells whether a whole line lies in the buffer.
func (t *talk) lineHere() bool {
	b, _ := t.in.Peek(t.in.Buffered())
	return bytes.IndexByte(b, '\n') >= 0
}

// route answers one question of a server: what is to be said for the detour, or "".
func (t *talk) route(srv *server, key []byte, began time.Time) string {
	t.s.heard(srv, began)
	domain := domainOf(key, t.domain[:0])
	answer := ""
	if domain != nil && t.s.route(srv, key, domain, began) {
		answer = strings.ReplaceAll(srv.Load().Answer, "{domain}", string(domain))
	}
	srv.count(answer != "", time.Since(began))
	return answer
}

// observe takes "NAME SECRET JSON".
func (t *talk) observe(text string, began time.Time) error {
	name, rest, _ := strings.Cut(text, " ")
	secret, data, ok := strings.Cut(rest, " ")
	if !ok {
		t.out = appendNetstring(t.out, "PERM observe NAME SECRET JSON")
		return nil
	}
	srv := t.s.named([]byte(name))
	if srv == nil || !t.s.Check(name, secret) { // one answer for both: names are not to be found out
		t.out = appendNetstring(t.out, "PERM no such server, or not its secret")
		return nil
	}
	told, ok := readTold(data)
	if !ok {
		t.out = appendNetstring(t.out, "PERM not an observation")
		return nil
	}
	t.s.heard(srv, began)
	told.Server = srv.name
	if told.Outcome.At.IsZero() {
		told.Outcome.At = began
	}
	t.s.Observe(&told)
	srv.told.Add(1)
	t.out = appendNetstring(t.out, "OK ")
	return nil
}

// status answers a question of smtp_delivery_status_filter (postconf(5)): its key is what became of a recipient. What a refusal
// for the reputation of the address gets is a temporary status: the message stays in the queue instead of coming back.
func (t *talk) status(name, key string, began time.Time) {
	srv := t.s.named([]byte(name))
	told, ok := readStatus(key)
	if srv == nil || !ok {
		t.out = appendNetstring(t.out, "NOTFOUND ")
		return
	}
	t.s.heard(srv, began)
	told.Server, told.Outcome.At = srv.name, began
	srv.told.Add(1)
	if t.s.Observe(&told) && key[0] == '5' {
		t.out = appendNetstring(t.out, "OK 4", key[1:])
		return
	}
	t.out = appendNetstring(t.out, "NOTFOUND ")
}
