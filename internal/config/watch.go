package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"ukai/internal/i18n"
)

// Watch says where ukai looks for what other mail servers meet: their logs, and the mailboxes that reports come to.
type Watch struct {
	Logs     []WatchLog     `toml:"log"`
	Maildirs []WatchMaildir `toml:"maildir"`
	IMAP     []WatchIMAP    `toml:"imap"`
}

// Watched is what every source has.
type Watched struct {
	// Server is the name of the mail server that it tells of; its paths go by it. Default of a log: the host in its lines; of
	// a mailbox: the name of the source.
	Server string
	// Egress is the egress whose address that server sends from, so that what it meets counts for ukai, too. Default: none.
	Egress string
}

// WatchLog is the log of a mail server.
type WatchLog struct {
	Name string `toml:"name"`
	// Paths are files or patterns ("/var/log/mail*.log").
	Paths  []string `toml:"paths"`
	Server string   `toml:"server"` // see Watched
	Egress string   `toml:"egress"` // see Watched
	// From: "end" or "start", where a log that was never read is begun. Default "end".
	From WatchFrom `toml:"from"`
}

// WatchMaildir is a mailbox on this machine that reports come to.
type WatchMaildir struct {
	Name string `toml:"name"`
	// Path is the directory that holds new, cur and tmp.
	Path   string `toml:"path"`
	Server string `toml:"server"` // see Watched
	Egress string `toml:"egress"` // see Watched
	// Done: "mark" marks a report that was read as seen, "move" puts it into the folder ".ukai-done". Default "mark".
	Done WatchDone `toml:"done"`
	// Poll is how often it is looked into. Default 10 s.
	Poll time.Duration `toml:"poll" range:"1s..1d"`
}

// WatchIMAP is a mailbox on another machine that reports come to.
type WatchIMAP struct {
	Name string `toml:"name"`
	Host string `toml:"host"`
	// Port defaults to 993, with tls = "starttls" or "none" to 143.
	Port int `toml:"port" range:"1..65535"`
	// TLS: "implicit", "starttls" or, to this machine only, "none". Default "implicit".
	TLS WatchTLS `toml:"tls"`
	// CA is a PEM file of authorities that are believed in place of the system's.
	CA       string `toml:"ca"`
	Username string `toml:"username"`
	// Password may be "env:NAME", or stand in PasswordFile.
	Password     Secret `toml:"password"`
	PasswordFile string `toml:"password_file"`
	// Mailbox is the folder. Default "INBOX".
	Mailbox string `toml:"mailbox"`
	Server  string `toml:"server"` // see Watched
	Egress  string `toml:"egress"` // see Watched
	// Done: "mark" puts a keyword to a report that was read, "move" moves it to Folder. Default "mark", "ukai-done".
	Done   WatchDone `toml:"done"`
	Folder string    `toml:"folder"`
	// Poll is how often it is looked into where the server does not tell of new mail by itself (IDLE). Default 1 min.
	Poll time.Duration `toml:"poll" range:"1s..1d"`
}

// WatchFrom says where a log is begun.
type WatchFrom string

// The places where a log is begun.
const (
	FromEnd   WatchFrom = "end"
	FromStart WatchFrom = "start"
)

func (WatchFrom) choices() []string { return []string{"end", "start"} }

// WatchDone says what becomes of a report that was read.
type WatchDone string

// What becomes of a report.
const (
	DoneMark WatchDone = "mark"
	DoneMove WatchDone = "move"
)

func (WatchDone) choices() []string { return []string{"mark", "move"} }

// WatchTLS says how a mailbox is reached.
type WatchTLS string

func (WatchTLS) choices() []string { return []string{"implicit", "starttls", "none"} }

// settle fills in the defaults.
func (w *Watch) settle() {
	for i := range w.Logs {
		w.Logs[i].From = or(w.Logs[i].From, FromEnd)
	}
	for i := range w.Maildirs {
		m := &w.Maildirs[i]
		m.Done, m.Poll = or(m.Done, DoneMark), or(m.Poll, 10*time.Second)
	}
	for i := range w.IMAP {
		m := &w.IMAP[i]
		m.TLS, m.Mailbox, m.Folder = or(m.TLS, WatchTLS(Implicit)), or(m.Mailbox, "INBOX"), or(m.Folder, "ukai-done")
		m.Done, m.Poll = or(m.Done, DoneMark), or(m.Poll, time.Minute)
		if m.Port == 0 {
			m.Port = 143
			if m.TLS == WatchTLS(Implicit) {
				m.Port = 993
			}
		}
	}
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// files are the names of files, which are relative to that of the settings.
func (w *Watch) files() []*string {
	var all []*string
	for i := range w.Logs {
		for j := range w.Logs[i].Paths {
			all = append(all, &w.Logs[i].Paths[j])
		}
	}
	for i := range w.Maildirs {
		all = append(all, &w.Maildirs[i].Path)
	}
	for i := range w.IMAP {
		all = append(all, &w.IMAP[i].CA, &w.IMAP[i].PasswordFile)
	}
	return all
}

func (k *checker) watch() {
	names := make(map[string]bool) // of all kinds together: how far each has read is kept under its name
	for i := range k.c.Watch.Logs {
		l, path := &k.c.Watch.Logs[i], fmt.Sprintf("watch.log[%d]", i)
		k.name(path, l.Name, names)
		k.watched(path, Watched{l.Server, l.Egress})
		if len(l.Paths) == 0 {
			k.add(path+".paths", i18n.Errorf("config.check.watch_paths"))
		}
		for j, p := range l.Paths {
			at := fmt.Sprintf("%s.paths[%d]", path, j)
			if p == "" {
				k.add(at, i18n.Errorf("config.check.empty"))
			} else if _, err := filepath.Match(p, ""); err != nil {
				k.add(at, i18n.Errorf("config.check.watch_pattern", "value", p))
			}
		}
	}
	for i := range k.c.Watch.Maildirs {
		m, path := &k.c.Watch.Maildirs[i], fmt.Sprintf("watch.maildir[%d]", i)
		k.name(path, m.Name, names)
		k.watched(path, Watched{m.Server, m.Egress})
		if m.Path == "" {
			k.add(path+".path", i18n.Errorf("config.check.empty"))
		}
	}
	for i := range k.c.Watch.IMAP {
		m, path := &k.c.Watch.IMAP[i], fmt.Sprintf("watch.imap[%d]", i)
		k.name(path, m.Name, names)
		k.watched(path, Watched{m.Server, m.Egress})
		k.imap(path, m)
	}
}

// watched checks whom a source tells of.
func (k *checker) watched(path string, w Watched) {
	var names []string
	for _, e := range k.c.Egresses {
		names = append(names, e.Name)
		if w.Server == e.Name {
			k.add(path+".server", i18n.Errorf("config.check.watch_server", "value", w.Server))
		}
	}
	if w.Egress != "" && !slices.Contains(names, w.Egress) {
		k.add(path+".egress", i18n.Errorf("config.check.no_egress", "name", w.Egress, "hint", near(w.Egress, names), "allowed", list(names)))
	}
	if w.Server != "" && !hostname(w.Server) {
		k.add(path+".server", i18n.Errorf("config.check.hostname", "value", w.Server))
	}
}

func (k *checker) imap(path string, m *WatchIMAP) {
	if _, err := netip.ParseAddr(m.Host); err != nil && !hostname(m.Host) {
		k.add(path+".host", i18n.Errorf("config.check.watch_host", "value", m.Host))
	}
	k.authorities(path+".ca", m.CA)
	k.secret(path, &m.Password, m.PasswordFile)
	switch {
	case m.Username == "":
		k.add(path+".username", i18n.Errorf("config.check.empty"))
	case m.Password == "" && !k.failed(path+".password") && !k.failed(path+".password_file"):
		k.add(path+".password", i18n.Errorf("config.check.password"))
	case m.TLS == WatchTLS(NoTLS) && !local(m.Host):
		k.add(path+".tls", i18n.Errorf("config.check.watch_plain"))
	}
}
