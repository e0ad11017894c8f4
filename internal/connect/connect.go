// Package connect connects a mail server that stays to ukai, and takes everything back to the byte.
//
// A planner (package mtaconf and those below it) says what the files would be. This package does what has to be done around
// that so that an administrator in trouble can say yes without fear:
//
//   - shows the difference before anything is written;
//   - looks first: rights, room on the disk, whether ukai answers at all;
//   - keeps a copy of each file, to the byte, with owner, rights, time and extended attributes (SELinux, ACL);
//   - replaces each file in one step (temporary file in the same directory, fsync, rename, fsync of the directory), through
//     symbolic links to what they lead to;
//   - has the server check its own configuration, reload it, and greet; then watches the first deliveries in its log;
//   - puts everything back when one of these goes wrong, and says what it was.
//
// # Line by line
//
// People go on editing their files. So the changes are not taken back as files but as lines: what ukai added is taken out of
// the file as it is today, what ukai replaced is put back, and everything else stays as it stands. A line of ukai's that
// somebody has edited since is theirs: it stays, and is named with file and line number (see reverse).
//
// The same step comes before each plan. A planner sees the files without ukai, with all that people did since; its plan is
// what shall be; and where that is what is on the disk, there is nothing to do.
//
// # Killed at any moment
//
// Below ROOT/var/lib/ukai/connect/ each connected server has a directory (0700) with manifest.json, which says how it is
// connected, and copies/, which holds the files before and after, named by their SHA-256. While files are changed there is a
// journal.json beside it, with a phase. Whoever comes next, whatever for, ends what was begun:
//
//	phase      the disk                                       ended by
//	staged     nothing is changed; temporary files may lie    taking them away
//	writing    some files are new, or all                     putting the old ones back, and a reload
//	watching   all is new, checked, reloaded, greeted         writing the manifest
//	done       the same                                       writing the manifest, or removing the directory
//
// The new files are all written out before the first of them takes its place, and the old ones keep a second name until the
// end. So a disk that fills up is found while nothing is changed, and going back needs no room.
package connect

import (
	"context"
	"log/slog"
	"net"
	"path"
	"regexp"
	"time"

	"ukai/internal/mtaconf"
)

// Options are how an Engine works. The zero value works on this machine.
type Options struct {
	// Root is a directory that is laid out as "/" is, of a mail server in a container or a chroot; empty: this machine.
	Root string
	// Planners are those that are asked; nil: all.
	Planners []mtaconf.Planner
	// Run runs a command of the server; nil: inside the root, with a limit of time.
	Run mtaconf.Run
	// Dial connects to the server and to ukai; nil: as package net does.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Registrar tells the running ukai who is connected; nil: nobody is told.
	Registrar Registrar
	// Tell is called with each step as it begins, one at a time; nil: nobody looks.
	Tell func(Step)
	// Watch is how long the first deliveries are watched after the server took the changes up; 0: not at all.
	Watch time.Duration
	// Greet is how long the server has to greet after a reload; 0: 20 s.
	Greet time.Duration
	Log   *slog.Logger // nil: none
}

// Engine connects the mail servers of one machine. It is safe for one caller at a time; several processes exclude each other.
type Engine struct {
	o    Options
	sys  *mtaconf.System
	disk disk
	made []string // directories of ukai's own that this call has made
}

// New makes an Engine.
func New(o Options) *Engine {
	if o.Planners == nil {
		o.Planners = Planners()
	}
	if o.Greet == 0 {
		o.Greet = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Tell == nil {
		o.Tell = func(Step) {}
	}
	e := &Engine{o: o, sys: &mtaconf.System{Root: o.Root}}
	e.disk.sys = e.sys
	if o.Run == nil {
		e.o.Run = e.run
	}
	if o.Dial == nil {
		var d net.Dialer
		e.o.Dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	return e
}

// Step is something that takes a while, for whoever looks on.
type Step struct {
	Note mtaconf.Note
	Left time.Duration // of a watch; else 0
}

// Target is an installation, and who plans for it.
type Target struct {
	Instance mtaconf.Instance
	planner  mtaconf.Planner // nil: the server is gone, only what was kept of it is there
}

// Key is the name under which a connected server is kept: "postfix", or "postfix-out" for one among several.
func (t *Target) Key() string { return key(t.Instance) }

func key(i mtaconf.Instance) string {
	if i.Name == "" {
		return string(i.MTA)
	}
	return string(i.MTA) + "-" + notInName.ReplaceAllString(i.Name, "_")
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// Request is what the operator asks for, and what is known of the ukai it is asked about.
type Request struct {
	Wish mtaconf.Wish
	// Smarthosts are the addresses (host:port) that ukai itself hands mail to: one of them being this very server would send
	// mail in a circle.
	Smarthosts []string
	// Alone: the running ukai is not told, even where there is a Registrar.
	Alone bool
}

// Registrar tells a running ukai which mail servers are connected to it.
type Registrar interface {
	// Register makes a server known under its name, or known anew: it is called each time, also when nothing else changed.
	// The Credentials are those that the server's configuration is to hold. An error keeps the server from being connected.
	Register(ctx context.Context, r Registration) (Credentials, error)
	// Unregister forgets a server. It is called after the changes were taken back; a name that is not known is no error.
	Unregister(ctx context.Context, server string) error
}

// Registration is what ukai gets to know of a server.
type Registration struct {
	Server   string              `json:"server"`
	Instance mtaconf.Instance    `json:"instance"`
	Mode     mtaconf.Mode        `json:"mode"`
	Root     string              `json:"root,omitempty"`
	Logs     []string            `json:"logs,omitempty"`   // on this machine, Root put before
	Routes   []mtaconf.RouteFile `json:"routes,omitempty"` // inside the root
	Live     bool                `json:"live,omitempty"`   // it asks for each recipient
	Answer   string              `json:"answer,omitempty"` // what a live lookup is told: see mtaconf.Plan
	Peer     string              `json:"peer"`             // where the server hands its mail over, host:port
	// Username and Password are what the server's configuration holds already; empty: nothing. They are to be kept where they
	// are still good.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// Dry: nothing is to be kept. The Credentials are of the form the real ones would have, or empty where none are needed.
	Dry bool `json:"dry,omitempty"`
	// Tell takes what the operator is to know of how the server is known to ukai. It may be called while Register runs.
	Tell func(mtaconf.Note) `json:"-"`
}

// Credentials are how the server makes itself known to ukai. Empty: by its address.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// Secret is the word by which it is known when it tells what it met: see mtaconf.Wish. The same each time.
	Secret string `json:"secret,omitempty"`
}

// stateDir is where what is kept lies, inside the root.
const stateDir = "/var/lib/ukai/connect"

func (t *Target) dir() string { return path.Join(stateDir, t.Key()) }
