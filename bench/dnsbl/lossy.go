package main

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

func freePort() (int, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	return portOf(c), nil
}

func portOf(c *net.UDPConn) int {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.Port
	}
	return 0
}

// lossy is a way to a server on which datagrams get lost, there and back.
type lossy struct {
	port   int
	front  *net.UDPConn
	server netip.AddrPort
	drop   int
	wg     sync.WaitGroup

	mu    sync.Mutex // guards backs
	backs map[netip.AddrPort]*net.UDPConn
}

func newLossy(port, drop int) (*lossy, error) {
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return nil, err
	}
	l := &lossy{port: portOf(front), front: front, server: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)), drop: drop, backs: make(map[netip.AddrPort]*net.UDPConn)} //nolint:gosec // a port
	l.wg.Go(l.there)
	return l, nil
}

func (l *lossy) lost() bool { return rand.IntN(100) < l.drop }

func (l *lossy) there() {
	buf := make([]byte, 2048)
	for {
		n, from, err := l.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if l.lost() {
			continue
		}
		back := l.back(from)
		if back == nil {
			return
		}
		_, _ = back.Write(buf[:n]) // one more that is lost
	}
}

// back returns the socket by which one client's questions go on.
func (l *lossy) back(client netip.AddrPort) *net.UDPConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.backs[client]; c != nil {
		return c
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.server))
	if err != nil {
		return nil
	}
	l.backs[client] = c
	l.wg.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if !l.lost() {
				_, _ = l.front.WriteToUDPAddrPort(buf[:n], client) // see there
			}
		}
	})
	return c
}

func (l *lossy) close() {
	_ = l.front.Close()
	l.mu.Lock()
	for _, c := range l.backs {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}
