package classify

import (
	"net/netip"
	"strings"
)

// findIP returns the place and the value of the first IP address in a word; to is 0 if there is none. What only looks like
// one (a part of a host name, five numbers in a row, a time of day) is not taken.
func findIP(s string) (from, to int, ip netip.Addr) {
	for i := 0; i < len(s); {
		if !inIP(s[i]) {
			i++
			continue
		}
		j, dots, colons := i, 0, 0
		for j < len(s) && inIP(s[j]) {
			switch s[j] {
			case '.':
				dots++
			case ':':
				colons++
			}
			j++
		}
		if dots >= 3 || colons >= 2 {
			if a, b, ip := parseIP(s, i, j, colons >= 2); b != 0 {
				return a, b, ip
			}
		}
		i = j
	}
	return 0, 0, netip.Addr{}
}

// inIP tells whether an octet can stand in an address.
func inIP(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == ':' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// parseIP reads the address in s[i:j], a run of octets that can stand in one. Punctuation of the sentence may have crept in at its
// ends, and a port behind an IPv4 address.
func parseIP(s string, i, j int, six bool) (from, to int, ip netip.Addr) {
	if i >= 3 && strings.HasPrefix(s[i:j], "6:") && strings.EqualFold(s[i-3:i], "ipv") { // RFC 5321, section 4.1.3
		i += len("6:")
	} else if i > 0 && partOfName(s[i-1]) {
		return 0, 0, ip
	}
	if j < len(s) && partOfName(s[j]) {
		return 0, 0, ip
	}
	if six {
		if to, ip = parse6(s, i, j); to != 0 {
			return i, to, ip
		}
	}
	for i < j && kinds[s[i]]&(isDot|isColon) != 0 {
		i++
	}
	to, ip = parse4(s, i, j)
	return i, to, ip
}

// parse6 reads an IPv6 address at s[i:j]; a dot or colon of the sentence may stand behind it. to is 0 if there is none.
func parse6(s string, i, j int) (to int, ip netip.Addr) {
	for k := j; k > i; k-- {
		if a, err := netip.ParseAddr(s[i:k]); err == nil {
			return k, a
		}
		if kinds[s[k-1]]&(isDot|isColon) == 0 {
			break
		}
	}
	return 0, ip
}

// parse4 reads an IPv4 address at s[i:j], up to a colon. to is 0 if there is none.
func parse4(s string, i, j int) (to int, ip netip.Addr) {
	to = i
	for to < j && s[to] != ':' {
		to++
	}
	for to > i && s[to-1] == '.' {
		to--
	}
	a, err := netip.ParseAddr(s[i:to])
	if err != nil {
		return 0, ip
	}
	return to, a
}

// partOfName tells whether an octet beside a number makes it part of a name.
func partOfName(c byte) bool { return kinds[c]&(isAlpha|isDigit) != 0 || c == '-' || c == '_' }
