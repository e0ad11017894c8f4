package dns

import "net/netip"

// ReverseName returns the name under which a list of addresses knows ip in a zone: the octets of an IPv4 address, the
// nibbles of an IPv6 address, last one first (RFC 5782, sections 2.1 and 2.4).
func ReverseName(ip netip.Addr, zone string) string {
	b := make([]byte, 0, 64+len(zone))
	if ip = ip.Unmap(); ip.Is4() {
		a := ip.As4()
		for i := 3; i >= 0; i-- {
			b = append(appendOctet(b, a[i]), '.')
		}
		return string(append(b, zone...))
	}
	const hex = "0123456789abcdef"
	a := ip.As16()
	for i := 15; i >= 0; i-- {
		b = append(b, hex[a[i]&15], '.', hex[a[i]>>4], '.')
	}
	return string(append(b, zone...))
}

func appendOctet(b []byte, n byte) []byte {
	if n >= 100 {
		b = append(b, '0'+n/100)
	}
	if n >= 10 {
		b = append(b, '0'+n/10%10)
	}
	return append(b, '0'+n%10)
}
