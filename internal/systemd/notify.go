// Package systemd tells the service manager how ukai is doing and takes over the sockets that it opened.
//
// Two small protocols, both frozen and both described in manual pages: sd_notify(3) is a datagram of KEY=value lines to the
// socket that $NOTIFY_SOCKET names; sd_listen_fds(3) is a row of open file descriptors from number 3 on, counted in
// $LISTEN_FDS and named in $LISTEN_FDNAMES. Without the variables (in a terminal, in a container, in a test) everything here
// does nothing and says so by returning nil.
package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier sends the state of the service to the service manager. The zero value and nil send nothing. It is safe for
// concurrent use: each message is one datagram on a socket of its own, so that a restarted manager is found again.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// NewNotifier reads where to send to and how often ($NOTIFY_SOCKET, $WATCHDOG_USEC, $WATCHDOG_PID) through getenv, which is
// os.Getenv but in tests.
func NewNotifier(getenv func(string) string) *Notifier {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET")}
	// The variables reach children too: only the process that is meant keeps the watchdog (sd_watchdog_enabled(3)).
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n
	}
	if us, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && us > 0 {
		n.watchdog = time.Duration(us) * time.Microsecond
	}
	return n
}

// Enabled tells whether anybody listens.
func (n *Notifier) Enabled() bool { return n != nil && n.socket != "" }

// Ready says that the service is up, or that a reload is done. status is one line for a person who asks systemctl.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", "STATUS="+status) }

// Reloading says that the service reads its settings anew; Ready ends it. The manager wants to know since when, by the
// monotonic clock (Type=notify-reload, systemd 253).
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read the monotonic clock: %w", err)
	}
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(now.Nano()/1000, 10))
}

// Stopping says that the service is on its way down.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Status tells a person what the service does, in one line.
func (n *Notifier) Status(status string) error { return n.send("STATUS=" + status) }

// Interval is how often Watchdog has to be called at least, or 0 where nobody watches.
func (n *Notifier) Interval() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Watchdog says that the service is alive.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// Run calls Watchdog twice per interval until ctx ends, as long as alive returns true: a service that runs but does not work
// is to be restarted. alive is called in Run's goroutine and must return soon. Run returns at once where nobody watches.
func (n *Notifier) Run(ctx context.Context, alive func() bool) error {
	if n.Interval() == 0 || !n.Enabled() {
		return nil
	}
	tick := time.NewTicker(max(n.watchdog/2, time.Millisecond))
	defer tick.Stop()
	for {
		if alive() {
			if err := n.Watchdog(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// oneLine keeps a text from ending its line: what follows would be read as another message.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

func (n *Notifier) send(lines ...string) error {
	if !n.Enabled() {
		return nil
	}
	for i := range lines {
		lines[i] = oneLine.Replace(lines[i])
	}
	// Package net reads a leading @ as the NUL of an abstract socket, as systemd writes it.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("notify the service manager at %s: %w", n.socket, err)
	}
	return nil
}
