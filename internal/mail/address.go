package mail

import "strings"

// Domain returns the domain of an address in lower case: what stands behind the last @. It is empty for an address
// without one ("", "postmaster").
func Domain(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return ""
	}
	return strings.ToLower(addr[i+1:])
}

// Local returns what stands before the last @ of an address, or all of it where there is no @.
func Local(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return addr
	}
	return addr[:i]
}
