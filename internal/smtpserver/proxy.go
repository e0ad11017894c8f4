package smtpserver

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"time"
)

// The PROXY protocol (haproxy.org/download/2.9/doc/proxy-protocol.txt): a load balancer that accepts for us says in a header, before
// everything else, who the client is. Whoever may send it can claim any address, so it is read only from named networks.
const (
	proxyV2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV1Longest   = 107
	proxyV2Longest   = 4096 // addresses and extensions (TLV)
)

// readProxyHeader reads the header from a load balancer and takes the client's address from it.
func (s *session) readProxyHeader() error {
	if len(s.lo.Proxy) == 0 || !exempt(s.pub.Client.Addr(), s.lo.Proxy) {
		return nil
	}
	conn := s.wire.raw
	if err := conn.SetReadDeadline(time.Now().Add(s.opts.Timeouts.Handshake)); err != nil {
		return err
	}
	src, dst, err := parseProxy(conn)
	if err != nil {
		s.log.Warn("no PROXY header from a load balancer", "listener", s.pub.Listener, "client", s.pub.Client, "why", err.Error())
		return errNoHeader
	}
	if src.IsValid() {
		s.pub.Client, s.pub.Local = src, dst
	}
	return nil
}

// parseProxy reads a header of version 1 or 2, and not one octet behind it: TLS may follow. Without error and address it is a
// connection of the load balancer itself (a health check) or of a client that it does not know.
func parseProxy(r io.Reader) (src, dst netip.AddrPort, err error) {
	var head [proxyV1Longest]byte
	n := len(proxyV2Signature)
	if _, err := io.ReadFull(r, head[:n]); err != nil {
		return src, dst, err
	}
	if string(head[:n]) == proxyV2Signature {
		return parseProxyV2(r)
	}
	if !bytes.HasPrefix(head[:], []byte("PROXY ")) {
		return src, dst, errNoHeader
	}
	for head[n-1] != '\n' {
		if n == len(head) {
			return src, dst, errNoHeader
		}
		if _, err := io.ReadFull(r, head[n:n+1]); err != nil { // octet by octet: see above
			return src, dst, err
		}
		n++
	}
	return parseProxyV1(head[:n])
}

// parseProxyV1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n".
func parseProxyV1(line []byte) (src, dst netip.AddrPort, err error) {
	line, ok := bytes.CutSuffix(line, crlf)
	if !ok {
		return src, dst, errNoHeader
	}
	f := bytes.Split(line, []byte(" "))
	if string(f[1]) == "UNKNOWN" {
		return src, dst, nil
	}
	if len(f) != 6 || string(f[1]) != "TCP4" && string(f[1]) != "TCP6" {
		return src, dst, errNoHeader
	}
	four := string(f[1]) == "TCP4"
	src, ok1 := proxyAddr(f[2], f[4], four)
	dst, ok2 := proxyAddr(f[3], f[5], four)
	if !ok1 || !ok2 {
		return netip.AddrPort{}, netip.AddrPort{}, errNoHeader
	}
	return src, dst, nil
}

func proxyAddr(addr, port []byte, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(string(addr))
	p, ok := parseSize(port)
	if err != nil || !ok || p > 65535 || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}

// parseProxyV2 reads what stands behind the signature: version and command, family, length, addresses.
func parseProxyV2(r io.Reader) (src, dst netip.AddrPort, err error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return src, dst, err
	}
	size := int(binary.BigEndian.Uint16(fixed[2:]))
	if fixed[0]>>4 != 2 || fixed[0]&15 > 1 || size > proxyV2Longest {
		return src, dst, errNoHeader
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return src, dst, err
	}
	if fixed[0]&15 == 0 {
		return src, dst, nil // LOCAL
	}
	var width int
	switch fixed[1] {
	case 0x11: // TCP over IPv4
		width = 4
	case 0x21: // TCP over IPv6
		width = 16
	default:
		return src, dst, nil // a Unix socket, or unknown
	}
	if size < 2*width+4 {
		return src, dst, errNoHeader
	}
	a, _ := netip.AddrFromSlice(body[:width])
	b, _ := netip.AddrFromSlice(body[width : 2*width])
	ports := body[2*width:]
	src = netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(ports))
	dst = netip.AddrPortFrom(b.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return src, dst, nil
}
