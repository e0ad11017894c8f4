package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFD is SD_LISTEN_FDS_START.
const firstFD = 3

// Listeners are the sockets that were handed over, by name (FileDescriptorName= of the socket unit, by default the unit's
// own name). Several sockets may share a name.
type Listeners map[string][]net.Listener

// Inherited takes over the sockets that the service manager opened ($LISTEN_PID, $LISTEN_FDS, $LISTEN_FDNAMES). It is to be
// called once; the variables are removed, so that no child takes the sockets for its own. Without them it returns nil.
// Something handed over that is no listening stream socket is an error: a unit that is wrong should not go unnoticed.
func Inherited() (Listeners, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("take over sockets: %w", err)
		}
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1024 {
		return nil, fmt.Errorf("take over sockets: LISTEN_FDS is %q", count)
	}
	return adopt(n, strings.Split(names, ":"))
}

// adopt makes listeners of n descriptors. All or none: after an error everything is closed.
func adopt(n int, names []string) (Listeners, error) {
	all := make(Listeners)
	var errs []error
	for i := range n {
		name := "unknown" // what sd_listen_fds_with_names says of a socket without a name
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		fd := firstFD + i
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), name)
		l, err := net.FileListener(f) // works on a copy of the descriptor
		f.Close()
		if err != nil {
			errs = append(errs, fmt.Errorf("take over socket %d (%s): %w", fd, name, err))
			continue
		}
		all[name] = append(all[name], l)
	}
	if err := errors.Join(errs...); err != nil {
		all.Close()
		return nil, err
	}
	return all, nil
}

// Take removes the sockets of a name and returns them.
func (l Listeners) Take(name string) []net.Listener {
	taken := l[name]
	delete(l, name)
	return taken
}

// Close closes the sockets that nobody took.
func (l Listeners) Close() {
	for _, sockets := range l {
		for _, s := range sockets {
			s.Close()
		}
	}
}
