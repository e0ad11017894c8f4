package steer

import (
	"bytes"
	"context"
	"net"
	"strings"
	"time"
)

// Ask asks the listener at o.To one question about a server and returns the route; "" for none, and where no answer comes in
// time. It is for servers that run a program for each question: Sendmail's K map "program".
func Ask(ctx context.Context, o ForwardOptions, server, key string) string {
	ctx, cancel := context.WithTimeout(ctx, or(o.Deadline, 200*time.Millisecond))
	defer cancel()
	if strings.ContainsAny(server, " /") {
		return ""
	}
	l := dialLink(ctx, &o)
	if l == nil {
		return ""
	}
	defer l.conn.Close()
	end, _ := ctx.Deadline()
	answer, err := l.ask([]byte(server+" "+key), end)
	if err != nil {
		return ""
	}
	route, ok := bytes.CutPrefix(answer, []byte("OK "))
	if !ok || !printable(route) {
		return ""
	}
	return string(route)
}

// Greets tells whether a mail server greets at an address in time. One that says it is busy (421: RFC 5321, section 3.8) is
// there: mail waits for it.
func Greets(ctx context.Context, address string, deadline time.Duration) bool {
	end := time.Now().Add(deadline)
	d := net.Dialer{Deadline: end}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(end)
	var first [3]byte
	for n := 0; n < len(first); {
		got, err := conn.Read(first[n:])
		if n += got; err != nil && n < len(first) {
			return false
		}
	}
	greets := string(first[:]) == "220" || string(first[:]) == "421"
	_, _ = conn.Write([]byte("QUIT\r\n")) // out of politeness
	return greets
}
