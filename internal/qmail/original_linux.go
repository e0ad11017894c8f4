package qmail

import "syscall"

// dieWithParent makes the original end with the wrapper: if it lived on after the wrapper was killed, it would deliver what
// qmail, told of a crash, delivers again.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
