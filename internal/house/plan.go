package house

import (
	"path"
	"slices"
	"strings"
)

// module is the name that go.mod gives.
const module = "ukai"

// floors is the plan of the house: the packages under internal/, each room with its floor. A package imports only from lower
// floors, or from its own room. A new room gets its line here before it gets its first file.
var floors = map[string]int{
	// ground: words, texts, and the ways to the world outside
	"mail": 0, "provider": 0, "dns": 0, "store": 0, "i18n": 0, "systemd": 0,
	// readers: what was said, what it looks like
	"outcome": 1, "dsn": 1, "maillog": 1, "verp": 1, "peersim": 1, "sasl": 1, "dkim": 1,
	"dnsbl": 1, "mtaconf": 1,
	// keepers and hands
	"queue": 2, "health": 2, "journal": 2, "classify": 2, "smtpclient": 2, "account": 2,
	"suppress": 2, "servers": 2,
	// choosers
	"route": 3, "guard": 3, "smtpserver": 3, "explain": 3, "survey": 3, "incident": 3, "unclassified": 3,
	"soften": 3,
	// engines
	"dispatch": 4, "intake": 4, "watch": 4, "notify": 4, "cases": 4,
	"steer": 4, "connect": 4, "qmail": 4,
	// faces without a face
	"api": 5, "config": 5,
	// beside a mail server on another machine
	"agent": 6,
	// the one that knows everybody
	"app": 7,
	// the fire drill
	"rehearse": 8,
	// the face
	"cli": 9,
}

// stairs are the imports within one floor that the plan allows, with the reason. There is no way back: Go refuses a circle.
var stairs = map[[2]string]string{
	{"dsn", "outcome"}:       "a report tells the phase in which a reply came",
	{"maillog", "outcome"}:   "a log tells the phase in which a reply came",
	{"health", "classify"}:   "evidence is an outcome with its verdict",
	{"suppress", "classify"}: "a recipient is gone by a verdict, and by none but some",
	{"api", "config"}:        "a slip in a name is met as one in the settings: by the word that was probably meant",
}

// outside is the floor of what lies above all rooms: the commands, the benchmarks, tests that need the whole house, and the
// rules of the house.
const outside = 10

// tops are the directories beside internal/ that may hold Go files.
var tops = []string{"cmd", "bench", "e2e"}

// roomOf returns the room that a directory of the module belongs to and its floor; ok is false for one that is not in the plan.
func roomOf(dir string) (room string, floor int, ok bool) {
	parts := strings.Split(dir, "/")
	if parts[0] != "internal" {
		return parts[0], outside, slices.Contains(tops, parts[0])
	}
	if len(parts) < 2 {
		return "internal", 0, false
	}
	if parts[1] == "house" {
		return "house", outside, true
	}
	floor, ok = floors[parts[1]]
	return parts[1], floor, ok
}

// keptOut is a package that only some rooms may import.
type keptOut struct {
	path  string   // import path; one that ends in "/" covers everything below it
	rooms []string // rooms that may; nil: nobody
	files []string // base names of files that may, in any room ("sql_*.go" is a pattern)
	why   string
}

// gates lists the imports that are kept out of rooms. Tests are free of them.
var gates = []keptOut{
	{path: "database/sql", rooms: []string{"store"}, files: []string{"sql.go", "sql_*.go"}, why: "SQL is written in sql.go of the package that owns the table"},
	{path: "modernc.org/sqlite", rooms: []string{"store"}, why: "package store opens the databases"},
	{path: "net/http", rooms: []string{"api", "app", "cli", "rehearse", "notify"}, why: "HTTP is the business of api, and of notify, which tells people by it; facts come from the other rooms as values"},
	{path: "net/smtp", why: "frozen, and blind to everything a relay must see: use smtpclient"},
	{path: "net/textproto", why: "it flushes line by line and cannot limit a line"},
	{path: "log", why: "a *slog.Logger is handed in"},
	{path: "github.com/spf13/", rooms: []string{"cli"}, why: "the command line belongs to cli"},
	{path: "github.com/danielgtaylor/huma/", rooms: []string{"api"}, why: "the HTTP interface belongs to api"},
	{path: "github.com/miekg/dns", rooms: []string{"dns", "peersim"}, why: "ask a dns.Resolver"},
	{path: "github.com/pelletier/go-toml/", rooms: []string{"i18n", "provider", "classify", "config", "rehearse", "peersim", "dnsbl", "dsn"}, why: "settings are read by config and handed on as values"},
	{path: "github.com/emersion/go-msgauth/", rooms: []string{"dkim"}, why: "signing belongs to dkim"},
	{path: "github.com/emersion/go-imap/", rooms: []string{"watch"}, why: "mailboxes are read by watch"},
	{path: "github.com/klauspost/compress/", rooms: []string{"maillog"}, why: "packed logs are read by maillog"},
	{path: "golang.org/x/text/", rooms: []string{"dsn"}, why: "the charsets of mail are the business of dsn"},
	{path: "github.com/nicholas-fedor/shoutrrr", rooms: []string{"notify"}, why: "people are told by notify"},
	{path: "unsafe", why: "nothing here is worth it"},
	{path: "reflect", rooms: []string{"config"}, files: []string{"schema.go"}, why: "only the reader of the settings and the description of the HTTP interface look at types"},
	{path: "math/rand", why: "use math/rand/v2"},
	{path: "testing", why: "a suite for several implementations is a package whose name ends in test"},
}

// timeless are the rooms that judge: they get the time handed in, so that a test can set it and a story can be played faster.
var timeless = []string{"mail", "outcome", "classify", "health", "route", "dsn", "maillog", "verp", "suppress", "explain", "survey", "cases"}

// pure are the rooms without socket, file, log or goroutine.
var pure = []string{"route", "mail", "outcome"}

// impure are the imports that a pure room does without.
var impure = []string{"net", "os", "os/exec", "log/slog", "sync", "context", "io/fs"}

// opens tells whether a file of a room may import what the gate keeps out.
func (k keptOut) opens(room, file string) bool {
	if slices.Contains(k.rooms, room) {
		return true
	}
	for _, pattern := range k.files {
		if ok, _ := path.Match(pattern, path.Base(file)); ok {
			return true
		}
	}
	return false
}

// covers tells whether the gate stands before an import path.
func (k keptOut) covers(imported string) bool {
	if strings.HasSuffix(k.path, "/") {
		return strings.HasPrefix(imported, k.path)
	}
	return imported == k.path
}
