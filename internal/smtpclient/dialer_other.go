//go:build !linux

package smtpclient

import "syscall"

func shareSourcePorts(_, _ string, _ syscall.RawConn) error { return nil }
