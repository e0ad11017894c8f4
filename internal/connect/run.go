package connect

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// The server's commands are looked for where its packages put them, whatever the caller's own path is.
const commandPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// commandTime is how long one command of the server may take. A reload takes a second; making an indexed map of a hundred
// thousand lines a few.
const commandTime = time.Minute

// run runs a command inside the root.
func (e *Engine) run(ctx context.Context, c mtaconf.Command) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	name, err := e.program(c.Args[0])
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, name)
	cmd.Path, cmd.Args, cmd.Err = name, c.Args, nil
	cmd.Dir = "/"
	cmd.Env = []string{commandPath, "LC_ALL=C", "HOME=/"}
	// A group of its own: Ctrl-C is for ukai, which then has the server finish what it began.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Chroot: e.o.Root}
	cmd.WaitDelay = 2 * time.Second // a daemon that it has started may hold its output open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return out.String(), err
}

// program finds a command inside the root.
func (e *Engine) program(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(strings.TrimPrefix(commandPath, "PATH="), ":") {
		if st, err := e.sys.Stat(dir + "/" + name); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return dir + "/" + name, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// runAll runs commands until one fails; the error has what it said.
func (e *Engine) runAll(ctx context.Context, all []mtaconf.Command, key string) error {
	for _, c := range all {
		if len(c.Args) == 0 {
			continue
		}
		line := strings.Join(c.Args, " ")
		if err := e.disk.act(actRun, line); err != nil {
			return err
		}
		out, err := e.o.Run(ctx, c)
		if err != nil {
			e.o.Log.Warn("command failed", "command", line, "error", err)
			return i18n.Errorf(key, "command", line, "output", lastLines(out, 8), "cause", err)
		}
	}
	return nil
}

const actRun = "run"

// lastLines returns the end of what a command said.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
