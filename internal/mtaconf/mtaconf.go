// Package mtaconf reads the configuration of a mail server that stays, and plans the changes that connect it to ukai.
//
// It only reads. A Planner (one for each kind of server, in the packages below this one) finds installations, says in plain
// words what it found and what it proposes, and returns the files as they would be. Package connect shows the difference,
// writes, has the server check its own configuration, and takes everything back to the byte.
//
// # What a planner never sees
//
// Its own work. Package connect hands it a System in which the changes of an earlier connect are taken out of the files, with
// what people have edited since still in them. A plan therefore always leads from a configuration without ukai to one with it,
// and planning twice gives the same plan. That is also why a planner reads the files itself and asks no command of the server:
// a command would see the files on disk.
//
// # What a planner refuses
//
// A configuration that it does not understand, and one in which something is set that ukai would have to overwrite. The error
// is made for the operator (i18n.Errorf): what stands where, why that is in the way, and what to do.
package mtaconf

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"strconv"
)

// MTA is a kind of mail server.
type MTA string

// The kinds that can be connected. Plesk is a Postfix or a qmail in a layout of its own.
const (
	Postfix   MTA = "postfix"
	Exim      MTA = "exim"
	Sendmail  MTA = "sendmail"
	Qmail     MTA = "qmail"
	OpenSMTPD MTA = "opensmtpd"
	Plesk     MTA = "plesk"
)

// Mode is how strongly ukai steers.
type Mode string

// The modes. In all but Relay the server delivers by itself and goes on doing so when ukai is down.
const (
	Relay     Mode = "relay"      // ukai is the smarthost for all remote mail
	SafetyNet Mode = "safety-net" // what a provider refuses for the reputation of the address goes out over ukai
	Steer     Mode = "steer"      // in addition, mail for a blocked provider goes to ukai at once
)

// Instance is an installation of a mail server.
type Instance struct {
	MTA     MTA    `json:"mta"`
	Dir     string `json:"dir"`               // its configuration directory or file, as seen inside the root
	Name    string `json:"name,omitempty"`    // of one among several instances
	Version string `json:"version,omitempty"` // where a file tells
}

// Peer is where ukai takes mail from the server.
type Peer struct {
	Host     string // name or address, without brackets
	Port     int
	Username string // empty: the listener knows the server by its address
	Password string
	TLS      bool // the server is to insist on TLS
}

// Literal returns the peer as Postfix, Sendmail and others write a host that no MX is looked up for: "[host]:port".
func (p Peer) Literal() string { return fmt.Sprintf("[%s]:%d", p.Host, p.Port) }

// Address returns host and port as package net wants them.
func (p Peer) Address() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// Wish is what the operator asks for.
type Wish struct {
	Mode   Mode // empty: the planner's default
	Server string
	Peer   Peer
	// Live is the address of the live lookup server (package steer), "127.0.0.1:8026" or the path of a socket; empty: routes
	// are kept in files.
	Live string
	// Secret is the word by which the live lookup server knows who tells it something; empty: there is none.
	Secret string
	// Program is the path of ukai inside the root, for servers that start it themselves.
	Program string
	// Door is the port of loopback to be tried first where the server gets a door to ukai; 0: the planner's own.
	Door int
	// Reply and Status are the tables by which Postfix takes a refusal for the reputation of the address for temporary (package
	// soften): of the last lines of replies, and of delivery status texts.
	Reply, Status []byte
}

// Plan is what would be changed, and how the server takes it up.
type Plan struct {
	Instance Instance `json:"instance"`
	Mode     Mode     `json:"mode"`
	// Found says what stands in the configuration, Does what the changes bring about, Gaps what they do not.
	Found []Note `json:"found"`
	Does  []Note `json:"does"`
	Gaps  []Note `json:"gaps,omitempty"`
	// Files are in the order in which they are written: what is named by another file comes before it.
	Files []File `json:"files"`
	// Routes are the files that package steer keeps while ukai runs. Each is among Files, too, as it is at the beginning.
	Routes []RouteFile `json:"routes,omitempty"`
	// Answer is what a live lookup is told of a recipient whose mail takes the detour; "{domain}" in it is the recipient's
	// domain. Empty where the server asks nobody.
	Answer string `json:"answer,omitempty"`
	// Door is the address, host:port, on which the server itself will listen and have ukai's program pass sessions on to ukai.
	// Empty: it goes to ukai directly.
	Door string `json:"door,omitempty"`
	// Prepare makes what the server needs besides the files (an indexed map); Check is the server's own check of its
	// configuration, with the files in their places; Reload has it taken up. The same are run after the changes were taken back.
	Prepare []Command `json:"prepare,omitempty"`
	Check   []Command `json:"check,omitempty"`
	Reload  []Command `json:"reload,omitempty"`
	// Made are files that Prepare makes: they are removed when the changes are taken back.
	Made []string `json:"made,omitempty"`
	// Alive is an address the server listens on, as host:port; after a reload it has to greet there. Empty: none is known.
	Alive string `json:"alive,omitempty"`
	// Logs are where the server writes what became of each message; Alarms are words in these lines by which it says that its
	// configuration is broken.
	Logs   []string `json:"logs,omitempty"`
	Alarms []string `json:"alarms,omitempty"`
}

// Note is a sentence for the operator: a key of the message catalogue and the values in it (name, value, ...).
type Note struct {
	Key  string `json:"key"`
	Args []any  `json:"args,omitempty"`
}

// N makes a Note.
func N(key string, args ...any) Note { return Note{Key: key, Args: args} }

// File is a file as it would be.
type File struct {
	Path string `json:"path"` // inside the root
	// Text is the whole content. A file that a planner has read is changed in as few lines as can be: the lines are taken
	// back one by one where somebody has edited it meanwhile.
	Text []byte `json:"-"`
	// Perm, UID and GID are for a file that is not there yet; one that is there keeps its own.
	Perm fs.FileMode `json:"perm,omitempty"`
	UID  int         `json:"uid,omitempty"`
	GID  int         `json:"gid,omitempty"`
	// Secret files hold a password: the difference is not shown.
	Secret bool `json:"secret,omitempty"`
	// Moving files are written by ukai while it runs: their content is no drift.
	Moving bool `json:"moving,omitempty"`
	// Whole files become something else, as a program becomes a script: such a file gets Perm even if it is there, and is taken
	// back whole, with the rights it had, or, if somebody has put another in its place, not at all.
	Whole bool `json:"whole,omitempty"`
}

// Format is how a file of routes is written.
type Format string

// The formats. In all of them # at the beginning of a line is a comment.
const (
	PostfixTransport Format = "postfix-transport" // "example.com ukai:[127.0.0.1]:2525, example.com"
	EximDomains      Format = "exim-domains"      // a domain list: "example.com"
	EximHosts        Format = "exim-hosts"        // MX hosts of blocked providers: "*.google.com"
	Mailertable      Format = "mailertable"       // "example.com	esmtp:[127.0.0.1]"
	SMTPRoutes       Format = "smtproutes"        // "example.com:127.0.0.1:2525"
	DomainList       Format = "domain-list"       // one domain a line
)

// RouteFile is a file that says which mail takes the detour while a provider refuses the server's address.
type RouteFile struct {
	Path   string `json:"path"` // inside the root
	Format Format `json:"format"`
	// Value stands behind a domain; "{domain}" in it is that domain. Formats that are lists have none.
	Value string `json:"value,omitempty"`
	// Block: only the lines between BlockBegin and BlockEnd are ukai's, the others are the operator's.
	Block bool `json:"block,omitempty"`
	// Then is run after the file was replaced, inside the root: the server would not see it otherwise.
	Then *Command `json:"then,omitempty"`
}

// The lines that enclose what is ukai's in a file of routes that the operator has lines in.
const (
	BlockBegin = "# ukai: begin. The lines down to the end are written by ukai."
	BlockEnd   = "# ukai: end."
)

// Command is a command of the mail server, run inside the root.
type Command struct {
	Args []string `json:"args"`
	// Quiet: what it prints is not shown where it succeeds.
	Quiet bool `json:"quiet,omitempty"`
}

// Run runs a command inside the root and returns what it printed. The error is that of os/exec.
type Run func(ctx context.Context, c Command) (output string, err error)

// Planner plans for one kind of mail server. It keeps no state and is safe for concurrent use.
type Planner interface {
	// MTA returns the kind.
	MTA() MTA
	// Find returns the installations; none is no error. An error is what keeps it from looking.
	Find(sys *System) ([]Instance, error)
	// Modes returns what can be asked for, the default first.
	Modes() []Mode
	// Plan returns what would be changed, or a refusal for the operator (*i18n.Error).
	Plan(sys *System, inst Instance, w Wish) (*Plan, error)
}
