package steer

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"ukai/internal/i18n"
)

// maxTalks is how many connections are served at a time. Postfix opens one for each of its processes (default_process_limit:
// 100); one that comes above the limit is closed, and asks again.
const maxTalks = 1024

// ListenOptions say where questions come in.
type ListenOptions struct {
	// Address is "127.0.0.1:8026", or the path of a unix socket.
	Address string
	// Group may use the unix socket besides its owner; empty: the group that ukai runs as. Mode is 0660.
	Group string
}

// SocketPath returns the path of a unix socket ("/run/ukai/steer.sock", "unix:/run/ukai/steer.sock"); ok is false for an address
// of the network.
func SocketPath(address string) (path string, ok bool) {
	path, prefixed := strings.CutPrefix(address, "unix:")
	return path, prefixed || strings.HasPrefix(path, "/")
}

// Listen opens the listener. A socket that a killed ukai left is replaced; one that somebody listens at is not.
func Listen(ctx context.Context, o ListenOptions) (net.Listener, error) {
	var lc net.ListenConfig
	path, ok := SocketPath(o.Address)
	if !ok {
		l, err := lc.Listen(ctx, "tcp", o.Address)
		if err != nil {
			return nil, i18n.Errorf("steer.listen", "address", o.Address, "cause", err)
		}
		return l, nil
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, i18n.Errorf("steer.listen_taken", "path", path)
		}
		_ = os.Remove(path) // if it cannot be removed, it cannot be made either, and that is told
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, i18n.Errorf("steer.listen", "address", path, "cause", err)
	}
	if err := open(path, o.Group); err != nil {
		l.Close()
		return nil, i18n.Errorf("steer.listen", "address", path, "cause", err)
	}
	return l, nil
}

// open lets a group use a socket.
func open(path, group string) error {
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return err
		}
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return err
		}
	}
	return os.Chmod(path, 0o660)
}

// Serve answers the questions that come in over l until ctx ends, and closes it.
func (s *Steer) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var talks sync.WaitGroup
	defer talks.Wait()
	room := make(chan struct{}, maxTalks)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				cancel()
				return nil
			}
			s.Log.Warn("connection not accepted", "error", err) // too many open files: it passes
			pause(ctx, acceptAgain)
			continue
		}
		select {
		case room <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		talks.Go(func() {
			defer func() { <-room }()
			s.talk(ctx, conn)
		})
	}
}

// acceptAgain is the pause after a connection that could not be accepted.
const acceptAgain = 100 * time.Millisecond

// pause waits, and is false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *Steer) talk(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	t := &talk{s: s, conn: conn, in: bufio.NewReaderSize(conn, buffered)}
	t.serve()
}

// named returns a server by its name, in any case; "-" stands for the default.
func (s *Steer) named(name []byte) *server {
	if string(name) == nobody {
		return s.only.Load()
	}
	all := *s.byName.Load()
	if srv := all[string(name)]; srv != nil {
		return srv
	}
	return all[strings.ToLower(string(name))]
}
