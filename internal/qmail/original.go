package qmail

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"runtime"
)

// maxReport is far more than qmail-remote ever says. What says more is not qmail-remote.
const maxReport = 16 << 20

var errLong = errors.New("the report is too long")

// bounded keeps what a program prints.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxReport {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}

// original has qmail's own qmail-remote deliver, and returns its report. ok is false when it ended in any way but properly: for
// qmail-rspawn that is a temporary failure if a signal or exit code 111 ended it, and a bounce otherwise. Here it is a temporary
// one in any case.
//
// It has no time limit: it keeps its own (control/timeoutconnect, control/timeoutremote).
func (d *delivery) original(ctx context.Context, m *message, recips []string) (report []byte, ok bool) {
	if m.rewind() != nil {
		return nil, false
	}
	cmd := exec.CommandContext(ctx, d.call.original, append([]string{d.host, d.sender}, recips...)...)
	var out bounded
	cmd.Args[0] = "qmail-remote"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = m.f, &out, &out // qmail-rspawn, too, gives one descriptor for both
	cmd.Env = insideEnviron()
	cmd.SysProcAttr = dieWithParent()
	runtime.LockOSThread() // the signal at the parent's death is one at the death of the thread that started it
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return nil, false
	}
	return out.Bytes(), true
}
