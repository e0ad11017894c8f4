package smtpclient

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// shareSourcePorts lets the system choose the source port when it connects and not when it binds the source address. Bound
// early, a port is taken for every destination, and an egress would be out of ports at some 28,000 connections of the last
// minute to all destinations together (ip(7), IP_BIND_ADDRESS_NO_PORT).
func shareSourcePorts(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// An old kernel refuses: then ports are as scarce as they were.
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
