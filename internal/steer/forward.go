package steer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Protocol is how a mail server asks "ukai lookup".
type Protocol string

// The protocols.
const (
	Socketmap Protocol = "socketmap" // netstrings: socketmap_table(5)
	TCPTable  Protocol = "tcp"       // lines: tcp_table(5)
)

// ForwardOptions say what Forward does. Zero values mean the defaults.
type ForwardOptions struct {
	To       string        // the listener's address: see ListenOptions
	Protocol Protocol      // default: Socketmap
	Deadline time.Duration // for one answer; default 200 ms
	Idle     time.Duration // without a question; default 2 min: more than Postfix keeps an idle connection (10 s)
	// Server is asked about where questions have no name (TCPTable); empty: the listener's default.
	Server string
}

// nobody is the name of the default server in a question.
const nobody = "-"

// Forward passes the questions of one connection from in on to the listener, and the answers back to out. What ukai does not
// answer in time, or not as it should, is answered "not found": the mail server then goes its former way, where an error would
// make it defer all mail (transport(5)). It ends with the input, after a long silence, or with input that is no question.
//
// A connection over which an answer is missing is given up, for a late answer would be taken for that of the next question. A
// new one is made in the background and tried with a question of its own: a ukai that hangs costs the deadline once.
func Forward(ctx context.Context, in io.Reader, out io.Writer, o ForwardOptions) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.Protocol, o.Deadline, o.Idle, o.Server = or(o.Protocol, Socketmap), or(o.Deadline, 200*time.Millisecond), or(o.Idle, 2*time.Minute), or(o.Server, nobody)
	questions := make(chan []byte)
	go readQuestions(ctx, in, questions, &o) // it ends with the input, at the latest with the process
	up := upstream{ctx: ctx, opts: o}
	defer up.close()
	up.dial()
	idle := time.NewTimer(o.Idle)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-idle.C:
			return
		case q, ok := <-questions:
			if !ok {
				return
			}
			if _, err := out.Write(o.reply(up.ask(q))); err != nil {
				return
			}
			idle.Reset(o.Idle)
		}
	}
}

// readQuestions hands out each question as it is put to the listener: "NAME KEY".
func readQuestions(ctx context.Context, in io.Reader, to chan<- []byte, o *ForwardOptions) {
	defer close(to)
	r := bufio.NewReaderSize(in, buffered)
	for {
		var q []byte
		var err error
		if o.Protocol == TCPTable {
			q, err = readGet(r, o.Server)
		} else {
			q, _, err = readNetstring(r, nil, maxQuery)
			q = bytes.Clone(q)
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case to <- q:
		}
	}
}

// readGet reads "get KEY". Anything else that is a line becomes a question nobody has an answer to.
func readGet(r *bufio.Reader, name string) ([]byte, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	key, ok := bytes.CutPrefix(line, []byte("get "))
	if !ok {
		return []byte(name + " *"), nil
	}
	if key, ok = unquote(key); !ok {
		return nil, errGarbage
	}
	return append([]byte(name+" "), key...), nil
}

// reply makes the listener's answer one for the mail server: only "OK" with something behind it is passed on.
func (o *ForwardOptions) reply(answer []byte) []byte {
	route, ok := bytes.CutPrefix(answer, []byte("OK "))
	ok = ok && printable(route)
	if o.Protocol == TCPTable {
		const most = 4096 // of a reply, with its code: tcp_table(5)
		b := append(quote([]byte("200 "), string(route)), '\n')
		if !ok || len(b) > most {
			return []byte("500 none\n")
		}
		return b
	}
	if !ok {
		return appendNetstring(nil, "NOTFOUND ")
	}
	return appendNetstring(nil, string(answer))
}

// printable tells whether a route can be one: something, without line ends and the like.
func printable(route []byte) bool {
	return len(route) > 0 && bytes.IndexFunc(route, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// upstream is the way to the listener. It belongs to one goroutine.
type upstream struct {
	ctx  context.Context
	opts ForwardOptions
	link *link
	next chan *link // the link that is being made; nil: none is
	hurt bool       // the last question was not answered: the next one does not wait for a link
}

type link struct {
	conn net.Conn
	in   *bufio.Reader
}

// ask returns the listener's answer, or nil.
func (u *upstream) ask(q []byte) []byte {
	end := time.Now().Add(u.opts.Deadline)
	for range 2 { // a link that broke between two questions is replaced within the time of one
		if !u.ready(end) {
			return nil
		}
		answer, err := u.link.ask(q, end)
		if err == nil {
			u.hurt = false
			return answer
		}
		u.link.conn.Close()
		u.link = nil
		u.dial()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	u.hurt = true
	return nil
}

// ready waits for a link, at most until end.
func (u *upstream) ready(end time.Time) bool {
	if u.link != nil {
		return true
	}
	if u.hurt {
		end = time.Now()
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select { // first: at a time that is over, the timer would win half of the time
	case u.link = <-u.next:
		return true
	default:
	}
	select {
	case <-u.ctx.Done():
	case <-timer.C:
		u.hurt = true
	case u.link = <-u.next:
		return true
	}
	return false
}

// The pauses before a link is tried again, and how long one may take that is not waited for.
const (
	firstDial = 50 * time.Millisecond
	maxDial   = 2 * time.Second
	tryFor    = 2 * time.Second
)

// dial makes a link in the background.
func (u *upstream) dial() {
	next := make(chan *link, 1)
	u.next = next
	ctx, o := u.ctx, u.opts
	go func() { // it ends with ctx
		for wait := firstDial; ; wait = min(2*wait, maxDial) {
			if l := connect(ctx, &o); l != nil {
				if ctx.Err() != nil {
					l.conn.Close()
				}
				next <- l
				return
			}
			if !pause(ctx, wait) {
				return
			}
		}
	}()
}

func (u *upstream) close() {
	if u.link == nil {
		select {
		case u.link = <-u.next:
		default:
			return
		}
	}
	u.link.conn.Close()
}

// connect makes a link and asks it something: that a connection is accepted says nothing of a process that is stopped.
func connect(ctx context.Context, o *ForwardOptions) *link {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	l := dialLink(ctx, o)
	if l == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	if _, err := l.ask([]byte(nobody+" *"), time.Now().Add(tryFor)); err != nil {
		l.conn.Close()
		return nil
	}
	return l
}

func dialLink(ctx context.Context, o *ForwardOptions) *link {
	network, address := "tcp", o.To
	if path, ok := SocketPath(o.To); ok {
		network, address = "unix", path
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil
	}
	return &link{conn, bufio.NewReaderSize(conn, buffered)}
}

func (l *link) ask(q []byte, end time.Time) ([]byte, error) {
	l.conn.SetDeadline(end)
	if _, err := l.conn.Write(appendNetstring(nil, string(q))); err != nil {
		return nil, err
	}
	answer, _, err := readNetstring(l.in, nil, maxReply)
	if err == nil && l.in.Buffered() > 0 { // more than one answer
		return nil, errGarbage
	}
	return answer, err
}
