package notify

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/incident"
)

// Notice is what one channel is given, in its language. It fits the screen of a phone.
type Notice struct {
	ID    string          // unguessable, for receivers that want to tell repeats apart
	At    time.Time       // when it was made
	News  incident.News   // of an incident, or "repeated", "escalated", "test", "channel_failed", "channel_returned"
	Lang  i18n.Lang       // of the texts
	Title string          // one sentence
	Lines []string        // what to know and what to do, a paragraph each
	Event *incident.Event // nil: it is not about an incident
	Words *incident.Words // nil with Event
}

// Text returns title and lines.
func (m *Notice) Text() string { return m.Title + "\n\n" + m.Body() }

// Body returns the lines.
func (m *Notice) Body() string { return strings.Join(m.Lines, "\n") }

// Bad tells whether the news are bad; they are good when a trouble is over or a channel is back.
func (m *Notice) Bad() bool {
	switch m.News {
	case incident.WasClosed, incident.WasAcked, hasReturned, isTest:
		return false
	}
	return true
}

// mostNext is how many things to do a notice names; the rest is in the incident.
const mostNext = 2

// notice puts an event into words for a channel.
func (n *Notifier) notice(e *incident.Event, c *channel) *Notice {
	l := c.opts.lang()
	i := &e.Incident
	words := i.Say(l, n.parts.Name)
	text := func(key string, args ...any) string { return i18n.Text(l, key, args...) }
	m := &Notice{ID: rand.Text(), At: e.At, News: e.News, Lang: l, Event: e, Words: &words}
	m.Title = text("notify.title."+string(e.News), "title", words.Title)
	when := text("notify.line.since", "time", n.when(i.Began, e.At), "lasts", i18n.Duration(l, e.At.Sub(i.Began).Truncate(time.Second)))
	if i.State == incident.Closed {
		when = text("notify.line.span", "from", n.when(i.Began, e.At), "to", n.when(i.ClosedAt, e.At))
	}
	m.Lines = append(m.Lines, when)
	if e.News == incident.WasAcked && i.By != "" {
		m.Lines = append(m.Lines, text("notify.line.by", "by", i.By, "note", i.Note))
	}
	m.Lines = append(m.Lines, text("notify.line.mail", "text", words.Mail))
	if i.State == incident.Closed {
		return n.signed(m, text("notify.line.details", "command", command("show", i.ID)))
	}
	m.Lines = append(m.Lines, text("notify.line.fault", "text", words.Fault))
	for k, next := range words.Next {
		if k == mostNext {
			break
		}
		m.Lines = append(m.Lines, text("notify.line.next", "text", next))
	}
	if i.State == incident.Open {
		m.Lines = append(m.Lines, text("notify.line.ack", "command", command("ack", i.ID)))
	}
	return n.signed(m, text("notify.line.details", "command", command("show", i.ID)))
}

// signed adds the last lines: where to read on, and which ukai says this.
func (n *Notifier) signed(m *Notice, lines ...string) *Notice {
	m.Lines = append(m.Lines, lines...)
	if n.parts.Host != "" {
		m.Lines = append(m.Lines, i18n.Text(m.Lang, "notify.line.host", "host", n.parts.Host))
	}
	return m
}

func command(what string, id int64) string {
	return "ukai incident " + what + " " + strconv.FormatInt(id, 10)
}

// when writes a time as short as it can be told apart, on the wall clock of the quiet hours.
func (n *Notifier) when(t, now time.Time) string {
	loc := n.opts.Load().Quiet.Location
	t, now = t.In(loc), now.In(loc)
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04 MST")
	}
	return t.Format("2006-01-02 15:04 MST")
}

// said makes a notice that is not about an incident.
func (n *Notifier) said(c *channel, news incident.News, args ...any) *Notice {
	l := c.opts.lang()
	m := &Notice{ID: rand.Text(), At: time.Now(), News: news, Lang: l, Title: i18n.Text(l, "notify.title."+string(news), args...)}
	m.Lines = []string{i18n.Text(l, "notify.say."+string(news), args...)}
	return n.signed(m)
}
