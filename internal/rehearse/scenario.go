package rehearse

import (
	"embed"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/peersim"
)

// DefaultScenario is what is played when nobody asks for another one.
const DefaultScenario = "gmo-2019"

// Words is a text in both languages.
type Words struct {
	EN string `toml:"en"`
	JA string `toml:"ja"`
}

// In returns the text in a language, or in the other one where it is missing.
func (w Words) In(l i18n.Lang) string {
	if l == i18n.JA && w.JA != "" || w.EN == "" {
		return w.JA
	}
	return w.EN
}

// Scenario is an incident to be played: docs/rehearse.md describes the file. Its times are those of the story.
type Scenario struct {
	Name  string `toml:"-"`
	Title Words  `toml:"title"`
	About Words  `toml:"about"`
	// Begins is the time of day at which the story begins: "09:00".
	Begins string `toml:"begins"`
	// Speed is how many seconds of the story pass in one second. It divides the thresholds of health and the retry schedule.
	Speed float64 `toml:"speed"`
	// Patience is how long, in the story, the rehearsal waits behind the last step for the ways to come back, and then for
	// the queue to empty.
	Patience string `toml:"patience"`

	Egresses  []Egress       `toml:"egress"`
	Streams   []Stream       `toml:"traffic"`
	Providers []Provider     `toml:"provider"`
	Steps     []Step         `toml:"step"`
	Expect    map[string]any `toml:"expect"`

	expect   []expectation
	patience time.Duration
}

// Egress is one way out of the ukai that is put to the test, in the order of preference.
type Egress struct {
	Name string `toml:"name"`
	// Kind: "direct", "relay" (a second ukai, reached over TLS with a password) or "smarthost" (a simulated relay: what it
	// takes counts as delivered). Default "direct".
	Kind string `toml:"kind"`
	// Source is the loopback address that receivers see; of a smarthost, where it listens.
	Source string `toml:"source"`
	// Shown is the address that receivers quote in their replies, in place of Source.
	Shown string `toml:"shown"`

	source, shown netip.Addr
}

// Stream is some mail that is sent all the time.
type Stream struct {
	Name string `toml:"name"`
	// Rate is how many messages are sent in a real second.
	Rate float64 `toml:"rate"`
	Size int     `toml:"size"`
	// Senders and To are domains; "shop-{1..5}.example" stands for five. To may also name providers; default: all, by their share.
	Senders []string `toml:"senders"`
	To      []string `toml:"to"`
	// User is the local part of the recipients; default: one of its own for each message.
	User string `toml:"user"`
	// Body is a line at the beginning of each content, and Header one in its header: marks that rules can look for.
	Body   string `toml:"body"`
	Header string `toml:"header"`
	// Fate is what has to become of the mail: "delivered" or "bounced". Default "delivered".
	Fate string `toml:"fate"`
}

// Provider is a receiver of mail.
type Provider struct {
	Name string `toml:"name"`
	// Label is its name in what is shown; default Name.
	Label string `toml:"label"`
	// Share is its part of the traffic, relative to the others'.
	Share  int     `toml:"share"`
	Groups []Group `toml:"group"`
	Rules  []Rule  `toml:"rule"` // that hold all the time
}

// Group is some domains with the same MX hosts.
type Group struct {
	Domains []string `toml:"domains"`
	MX      []string `toml:"mx"`
}

// Rule is a peersim.Rule as a file has it.
type Rule struct {
	Provider string   `toml:"provider"` // in a step
	Egress   []string `toml:"egress"`   // whose mail; default: everybody's
	Phase    string   `toml:"phase"`
	Action   string   `toml:"action"`
	Reply    string   `toml:"reply"`
	Delay    string   `toml:"delay"`
	From     []string `toml:"from"`
	To       []string `toml:"to"`
	Contains string   `toml:"contains"`
	Chance   float64  `toml:"chance"`
	Over     float64  `toml:"over"`
	Every    int      `toml:"every"`
	First    int      `toml:"first"`

	rule peersim.Rule
}

// Step is something that happens.
type Step struct {
	At   string `toml:"at"`
	Name string `toml:"name"`
	Text Words  `toml:"text"`
	// Rules replace what an earlier step had its provider do; Forgive takes that back.
	Rules   []Rule   `toml:"rule"`
	Forgive []string `toml:"forgive"`
	// List enters addresses into DNS blocklists, Delist takes them out.
	List   []Listing `toml:"list"`
	Delist []Listing `toml:"delist"`
	// Down and Up name providers, smarthosts and relays that go off the net or come back.
	Down []string `toml:"down"`
	Up   []string `toml:"up"`

	at time.Duration
}

//go:embed scenarios/*.toml
var shipped embed.FS

// Shipped returns the names of the scenarios that are built in, the default first.
func Shipped() []string {
	files, err := shipped.ReadDir("scenarios")
	if err != nil {
		panic("bug: " + err.Error())
	}
	names := []string{DefaultScenario}
	for _, f := range files {
		if name := strings.TrimSuffix(f.Name(), ".toml"); name != DefaultScenario {
			names = append(names, name)
		}
	}
	return names
}

// UnknownError is a name that no scenario has.
type UnknownError struct {
	Name string
	// All are the names that there are.
	All []string
}

// Error returns the sentence without words for a person: the command line has better ones.
func (u *UnknownError) Error() string { return "no scenario " + u.Name }

// Load returns a scenario that is built in, by its name, or one of a file, by a path: what has a slash in it or ends in
// ".toml" is one. What is wrong with it is told all at once, as Problems.
func Load(name string) (*Scenario, error) {
	if slices.Contains(Shipped(), name) {
		text, err := shipped.ReadFile(path.Join("scenarios", name+".toml"))
		if err != nil {
			panic("bug: " + err.Error())
		}
		return Parse(name+".toml", text)
	}
	if !strings.ContainsRune(name, filepath.Separator) && !strings.HasSuffix(name, ".toml") {
		return nil, &UnknownError{Name: name, All: Shipped()}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, i18n.Errorf("rehearse.file.read", "file", name, "cause", err)
	}
	return Parse(name, text)
}

// clock returns the time of day of a moment of the story.
func (s *Scenario) clock(at time.Duration) string {
	begins, _ := timeOfDay(s.Begins)
	t := begins + at
	return time.Unix(0, 0).UTC().Add(t).Format("15:04")
}

// timeOfDay reads "09:12".
func timeOfDay(s string) (time.Duration, bool) {
	t, err := time.Parse("15:04", s)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err == nil
}

// spread writes "shop-{1..5}.example" out.
func spread(patterns []string) []string {
	var all []string
	for _, p := range patterns {
		head, rest, open := strings.Cut(p, "{")
		numbers, tail, closed := strings.Cut(rest, "}")
		from, to, ok := bounds(numbers)
		if !open || !closed || !ok {
			all = append(all, p)
			continue
		}
		for n := from; n <= to; n++ {
			all = append(all, head+itoa(n)+tail)
		}
	}
	return all
}
