//go:build !linux

package qmail

import "syscall"

// dieWithParent has no counterpart on this system.
func dieWithParent() *syscall.SysProcAttr { return nil }
