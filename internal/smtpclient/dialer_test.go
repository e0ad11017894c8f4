package smtpclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// socks is a SOCKS5 proxy (RFC 1928) for one connection, with a user name and password if they are not empty. It says that it
// connects from 192.0.2.99.
func socks(t *testing.T, user, password string, status byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if target, err := socksRequest(conn, user, password, status); err == nil && status == 0 {
			relay(conn, target)
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func socksRequest(conn net.Conn, user, password string, status byte) (target string, err error) {
	in := bufio.NewReader(conn)
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return "", err
	}
	if _, err := in.Discard(int(head[1])); err != nil {
		return "", err
	}
	if user == "" {
		conn.Write([]byte{5, 0})
	} else {
		conn.Write([]byte{5, 2})
		if _, err := in.ReadByte(); err != nil { // RFC 1929
			return "", err
		}
		var got [2]string
		for i := range got {
			n, _ := in.ReadByte()
			b := make([]byte, n)
			if _, err := io.ReadFull(in, b); err != nil {
				return "", err
			}
			got[i] = string(b)
		}
		if got != [2]string{user, password} {
			conn.Write([]byte{1, 1})
			return "", errors.New("wrong password")
		}
		conn.Write([]byte{1, 0})
	}
	req := make([]byte, 10) // version, command, 0, 1 for IPv4, address, port
	if _, err := io.ReadFull(in, req); err != nil {
		return "", err
	}
	conn.Write([]byte{5, status, 0, 1, 192, 0, 2, 99, 0, 9})
	return fmt.Sprintf("%d.%d.%d.%d:%d", req[4], req[5], req[6], req[7], int(req[8])<<8|int(req[9])), nil
}

func relay(conn net.Conn, target string) {
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	done := make(chan struct{})
	go func() { defer close(done); io.Copy(conn, out); conn.Close() }()
	io.Copy(out, conn)
	out.Close()
	<-done
}

func TestSOCKS5(t *testing.T) {
	for _, test := range []struct {
		name, user, password string
		status               byte
		want                 string
	}{
		{"without a password", "", "", 0, ""},
		{"with a password", "me", "secret", 0, ""},
		{"with a wrong password", "me", "wrong", 0, "username/password authentication failed"},
		{"the proxy cannot connect", "", "", 5, "connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			password := strings.Replace(test.password, "wrong", "right", 1)
			d, err := SOCKS5Dialer(socks(t, test.user, password, test.status), test.user, test.password)
			if err != nil {
				t.Fatal(err)
			}
			p := &peer{addr: netip.MustParseAddrPort("192.0.2.1:25")}
			if test.want == "" {
				p = play(t, hello())
			}
			c, o := Dial(t.Context(), p.target(), &Options{Helo: "me.example", Dialer: d})
			if test.want == "" {
				if o != nil {
					t.Fatal(tell(*o))
				}
				defer c.Close()
				if c.LocalIP().String() != "192.0.2.99" || c.Remote() != p.addr {
					t.Errorf("from %v to %v: the server sees the proxy", c.LocalIP(), c.Remote())
				}
				return
			}
			if o == nil || o.Phase.String() != "connect" || !strings.Contains(o.Err, test.want) || !o.ErrTemporary {
				t.Errorf("%+v, want %q", o, test.want)
			}
		})
	}
}

func TestSOCKS5DialerWantsAPort(t *testing.T) {
	if d, err := SOCKS5Dialer("proxy.example.org", "", ""); err == nil {
		t.Errorf("%v", d)
	}
}

func TestDirectDialerConnectsFromItsSource(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for source, want := range map[string]string{"127.0.0.77": "127.0.0.77", "::ffff:127.0.0.78": "127.0.0.78"} {
		conn, err := DirectDialer(netip.MustParseAddr(source)).DialContext(context.Background(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if got := localIP(conn).String(); got != want {
			t.Errorf("connected from %s, want %s", got, want)
		}
		conn.Close()
	}
	if _, err := DirectDialer(netip.MustParseAddr("::1")).DialContext(context.Background(), "tcp", ln.Addr().String()); !errors.Is(err, errFamily) {
		t.Errorf("%v", err)
	}
	if _, err := DirectDialer(netip.MustParseAddr("::1")).DialContext(context.Background(), "tcp", "mx.example.org:25"); err == nil {
		t.Error("a name is dialled")
	}
}

func TestLocalIPIsEmptyWhereItIsNotKnown(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	if ip := localIP(ours); ip.IsValid() {
		t.Errorf("%v", ip)
	}
}
