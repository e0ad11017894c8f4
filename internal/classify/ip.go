package classify

import "net/netip"

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
	if i > 0 && partOfName(s[i-1]) || j < len(s) && partOfName(s[j]) {
		return 0, 0, ip
	}
	if six {
		for k := j; k > i; k-- { // "2001:db8::1:" and "2001:db8::1."
			if a, err := netip.ParseAddr(s[i:k]); err == nil {
				return i, k, a
			}
			if c := s[k-1]; c != ':' && c != '.' {
				break
			}
		}
	}
	for i < j && (s[i] < '0' || s[i] > '9') {
		if kinds[s[i]]&isAlpha != 0 {
			return 0, 0, ip
		}
		i++
	}
	end := i
	for end < j && s[end] != ':' {
		end++
	}
	for end > i && s[end-1] == '.' {
		end--
	}
	a, err := netip.ParseAddr(s[i:end])
	if err != nil {
		return 0, 0, ip
	}
	return i, end, a
}

// partOfName tells whether an octet beside a number makes it part of a name.
func partOfName(c byte) bool { return kinds[c]&(isAlpha|isDigit) != 0 || c == '-' || c == '_' }
