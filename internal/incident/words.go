package incident

import (
	"strconv"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/i18n"
)

// Words is an incident for people, in one language. Every text is whole sentences without line ends.
type Words struct {
	Title string   `json:"title"`
	State string   `json:"state"`
	Fault string   `json:"fault"`
	Mail  string   `json:"mail"` // what became of the mail, in numbers
	Did   []string `json:"did"`  // what ukai did
	Next  []string `json:"next"` // what a person must do; empty when there is nothing
	Story []Line   `json:"story"`
}

// Line is an entry of the timeline in words.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Say puts an incident into words. name returns what people call a provider.
func (i *Incident) Say(l i18n.Lang, name func(id string) string) Words {
	s := speaker{i: i, lang: l, name: name}
	w := Words{Title: s.title(), State: s.state(), Fault: s.fault(), Mail: s.mail(), Did: s.did()}
	if i.State != Closed {
		w.Next = s.next()
	}
	for n := range i.Timeline.Entries {
		w.Story = append(w.Story, s.line(&i.Timeline.Entries[n]))
		if n == keepFirst-1 && i.Timeline.Left > 0 {
			w.Story = append(w.Story, Line{i.Timeline.Entries[n].At, s.text("incident.event.left", "count", i.Timeline.Left)})
		}
	}
	return w
}

// Where returns what is in trouble, as a person would call it: the one address if it is about one, else the place.
func (i *Incident) Where() string {
	if i.Cause.Kind == Reputation && i.Blame != classify.BlameRange && len(i.Addresses) == 1 {
		return i.Addresses[0].String()
	}
	return i.Cause.Place
}

// What a verdict of the blocklists is called in the timeline, and whose fault it makes it.
var (
	judgedKeys = map[string]string{
		"culprit": "incident.event.culprit", "neighbour": "incident.event.neighbour", "range": "incident.event.range", "clean": "incident.event.clean",
	}
	faultKeys = map[string]string{
		"culprit": "incident.fault.culprit", "neighbour": "incident.fault.neighbour", "range": "incident.fault.network", "clean": "incident.fault.clean",
	}
)

// speaker makes the words of one incident.
type speaker struct {
	i    *Incident
	lang i18n.Lang
	name func(string) string
}

func (s *speaker) text(key string, args ...any) string { return i18n.Text(s.lang, key, args...) }

// title says in one sentence what is the matter.
func (s *speaker) title() string {
	key := "incident.title." + string(s.i.Cause.Kind)
	if s.i.Cause.Kind != Content && len(s.i.Providers) == 0 {
		switch {
		case len(s.i.Listings) > 0:
			return s.text("incident.title.listed", "place", s.i.Where(), "list", s.i.Listings[0].Name)
		case len(s.i.Shut) > 0:
			return s.text("incident.title.shut", "place", s.i.Where(), "provider", s.name(s.i.Shut[0].Provider))
		}
		return s.text("incident.title.over", "place", s.i.Where())
	}
	return s.text(key, "place", s.i.Where(), "who", s.refusers())
}

// refusers names the providers, the first three of them.
func (s *speaker) refusers() string {
	const most = 3
	var names []string
	for n, p := range s.i.Providers {
		if n == most {
			break
		}
		names = append(names, s.name(p.ID))
	}
	list := strings.Join(names, s.text("incident.and"))
	if more := len(s.i.Providers) - most; more > 0 {
		return s.text("incident.more", "names", list, "count", more)
	}
	return list
}

func (s *speaker) state() string {
	key := "incident.state." + string(s.i.State)
	if s.i.By != "" {
		return s.text("incident.state_by", "state", s.text(key), "by", s.i.By)
	}
	return s.text(key)
}

func (s *speaker) fault() string {
	if j := s.i.Judged; j != nil && s.i.Cause.Kind == Reputation {
		return s.text(faultKeys[j.Verdict])
	}
	blame := s.i.Blame
	if blame == "" { // nothing but a listing or a shut path
		if blame = classify.BlameIP; s.i.Cause.Kind == Sender {
			blame = classify.BlameDomain
		}
	}
	return s.text("incident.fault."+string(blame), "place", s.i.Where())
}

func (s *speaker) mail() string {
	c := &s.i.Counts
	return s.text("incident.mail", "refused", c.Refused, "delivered", c.Delivered, "detoured", c.Detoured, "held", c.Held, "bounced", c.Bounced,
		"domains", s.i.Domains.Len())
}

// did says what ukai did, from what the incident counted.
func (s *speaker) did() (list []string) {
	c := &s.i.Counts
	if c.Detoured > 0 {
		list = append(list, s.text("incident.did.detoured", "count", c.Detoured))
	}
	if c.Held > 0 {
		list = append(list, s.text("incident.did.held"))
	}
	if n := len(s.i.Shut); n > 0 {
		list = append(list, s.text("incident.did.shut", "count", n))
	}
	if s.i.Cause.Kind != Reputation {
		list = append(list, s.text("incident.did.no_detour"))
	}
	return list
}

// next says what a person must do.
func (s *speaker) next() (list []string) {
	if s.i.Cause.Kind == Reputation {
		list = append(list, s.text("incident.next.cause"))
	} else {
		list = append(list, s.text("incident.next."+string(s.i.Cause.Kind), "place", s.i.Where()))
	}
	for n := range s.i.Listings {
		if l := &s.i.Listings[n]; l.Standing() {
			list = append(list, s.text("incident.next.list", "list", l.Name, "net", l.Net, "url", l.URL))
		}
	}
	if s.i.Cause.Kind != Reputation {
		return list
	}
	for n := range s.i.Providers {
		if p := &s.i.Providers[n]; p.URL != "" {
			list = append(list, s.text("incident.next.provider", "provider", s.name(p.ID), "url", p.URL))
		}
	}
	if s.i.Blame == classify.BlameRange || s.i.Judged != nil && s.i.Judged.Verdict == "range" {
		list = append(list, s.text("incident.next.range"))
	}
	return list
}

// line puts an entry of the timeline into words.
func (s *speaker) line(e *Entry) Line {
	var args []any
	for k, v := range e.Args {
		switch k {
		case "provider":
			v = s.name(v)
		case "state":
			v = s.text("health.state." + v)
		}
		args = append(args, k, v)
	}
	text := s.text(e.What, args...)
	if e.Times > 1 {
		text += s.text("incident.event.times", "times", strconv.Itoa(e.Times))
	}
	return Line{e.At, text}
}
