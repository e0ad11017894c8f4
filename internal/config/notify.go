package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mail"
)

// Notify says who is told of incidents, how, and how often. Without a channel nobody is.
type Notify struct {
	// Send: "first" tells the first channel of a level that works, "all" every one. Default "first".
	Send NotifySend `toml:"send"`
	// GroupInterval is the least pause before the growth of an incident is told; it trebles with each time. Default 5 min.
	GroupInterval time.Duration `toml:"group_interval" range:"10s..1d"`
	// Repeat is how often people are reminded of what nobody has taken on; "0s": never. Default 4 h.
	Repeat time.Duration `toml:"repeat" range:"0s..30d"`
	// Escalate is how long nobody may have taken an incident on before the next level is told; "0s": never. Default 30 min.
	Escalate time.Duration `toml:"escalate" range:"0s..7d"`
	// PerHour is how many notices one incident may make within an hour. Default 6.
	PerHour int `toml:"per_hour" range:"1..1000"`
	// QuietFrom and QuietTo are the hours, on the clock of this machine ("22:00"), in which people sleep. Default: none.
	QuietFrom string `toml:"quiet_from"`
	QuietTo   string `toml:"quiet_to"`
	// QuietThrough are the kinds of incident whose opening is told all the same. Default ["reputation"].
	QuietThrough []NotifyKind `toml:"quiet_through"`

	Heartbeat Heartbeat       `toml:"heartbeat"`
	Channels  []NotifyChannel `toml:"channel"`
}

// Heartbeat is the request to a service elsewhere that raises the alarm when it does not come.
type Heartbeat struct {
	// URL may be "env:NAME", or stand in URLFile. Default: no heartbeat.
	URL     Secret `toml:"url"`
	URLFile string `toml:"url_file"`
	// Every is how often it is sent. Default 1 min.
	Every time.Duration `toml:"every" range:"5s..1d"`
	// Method: "GET" or "POST". Default "GET".
	Method HeartbeatMethod `toml:"method"`
}

// NotifyChannel is one way to people.
type NotifyChannel struct {
	Name string `toml:"name"`
	// Kind is the service; shoutrrr speaks to those that are not named.
	Kind ChannelKind `toml:"kind"`
	// Level: 1 is told first, higher ones when nobody has taken it on, or when no lower one works. Default 1.
	Level int `toml:"level" range:"1..9"`
	// URL is the address of a webhook (webhook, slack, discord, teams), the URL of shoutrrr, of the others that of their API
	// where it is not the usual one. It may be "env:NAME", or stand in URLFile.
	URL     Secret `toml:"url"`
	URLFile string `toml:"url_file"`
	// Token is that of telegram, ntfy, line and chatwork; of a webhook the key that signs. It may be "env:NAME", or stand in TokenFile.
	Token     Secret `toml:"token"`
	TokenFile string `toml:"token_file"`
	// To is the chat (telegram), topic (ntfy), user or group (line), room (chatwork), or the addresses (mail).
	To []string `toml:"to"`
	// From is the sender of mail. Default: the null sender.
	From string `toml:"from"`
	// Command is a program on this machine with its arguments; it gets the notice as JSON.
	Command []string `toml:"command"`
	// Lang: "ja" or "en". Default "en".
	Lang NotifyLang `toml:"lang"`
	// Timeout is how long one attempt may take. Default 10 s.
	Timeout time.Duration `toml:"timeout" range:"1s..2m"`
}

// NotifySend says how many channels of a level are told.
type NotifySend string

// How many are told.
const (
	SendFirst NotifySend = "first"
	SendAll   NotifySend = "all"
)

func (NotifySend) choices() []string { return []string{"first", "all"} }

// NotifyKind is a kind of incident.
type NotifyKind string

func (NotifyKind) choices() []string { return []string{"reputation", "sender", "content"} }

// NotifyLang is the language of a channel.
type NotifyLang string

func (NotifyLang) choices() []string { return []string{"ja", "en"} }

// HeartbeatMethod is how the heartbeat is sent.
type HeartbeatMethod string

func (HeartbeatMethod) choices() []string { return []string{"GET", "POST"} }

// ChannelKind is a service that carries notices.
type ChannelKind string

func (ChannelKind) choices() []string {
	return []string{"webhook", "slack", "discord", "teams", "telegram", "ntfy", "line", "chatwork", "mail", "command", "shoutrrr"}
}

func defaultNotify() Notify {
	return Notify{Send: SendFirst, GroupInterval: 5 * time.Minute, Repeat: 4 * time.Hour, Escalate: 30 * time.Minute, PerHour: 6,
		QuietThrough: []NotifyKind{"reputation"}, Heartbeat: Heartbeat{Every: time.Minute, Method: "GET"}}
}

func (n *Notify) settle() {
	for i := range n.Channels {
		c := &n.Channels[i]
		c.Level, c.Lang, c.Timeout = or(c.Level, 1), or(c.Lang, "en"), or(c.Timeout, 10*time.Second)
	}
}

// files are the names of files, which are relative to that of the settings.
func (n *Notify) files() []*string {
	all := []*string{&n.Heartbeat.URLFile}
	for i := range n.Channels {
		all = append(all, &n.Channels[i].URLFile, &n.Channels[i].TokenFile)
	}
	return all
}

// Quiet returns the quiet hours as times since midnight; the same twice: none.
func (n *Notify) Quiet() (from, to time.Duration) {
	from, okFrom := clockTime(n.QuietFrom)
	to, okTo := clockTime(n.QuietTo)
	if !okFrom || !okTo {
		return 0, 0
	}
	return from, to
}

// clockTime reads "22:00".
func clockTime(s string) (time.Duration, bool) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}

func (k *checker) notify() {
	n := &k.c.Notify
	for _, at := range []struct{ key, value string }{{"quiet_from", n.QuietFrom}, {"quiet_to", n.QuietTo}} {
		if _, ok := clockTime(at.value); !ok && at.value != "" {
			k.add("notify."+at.key, i18n.Errorf("config.check.clock", "value", at.value))
		}
	}
	if (n.QuietFrom == "") != (n.QuietTo == "") {
		k.add("notify", i18n.Errorf("config.check.quiet_half"))
	}
	heartbeat := join("notify", "heartbeat.url")
	k.hidden(heartbeat, &n.Heartbeat.URL, n.Heartbeat.URLFile)
	k.webAddress(heartbeat, n.Heartbeat.URL)
	seen := make(map[string]bool)
	for i := range n.Channels {
		c, path := &n.Channels[i], fmt.Sprintf("notify.channel[%d]", i)
		k.name(path, c.Name, seen)
		k.hidden(path+".url", &c.URL, c.URLFile)
		k.hidden(path+".token", &c.Token, c.TokenFile)
		k.channel(path, c)
	}
}

// hidden resolves a secret that may be "env:NAME" or stand in a file.
func (k *checker) hidden(path string, s *Secret, file string) {
	name, fromEnv := strings.CutPrefix(string(*s), "env:")
	key := path[strings.LastIndexByte(path, '.')+1:]
	switch {
	case file != "" && *s != "":
		k.add(path+"_file", i18n.Errorf("config.check.secret_twice", "key", key))
		*s = "" // neither is looked at
	case file != "":
		*s = Secret(strings.TrimSpace(string(k.readable(path+"_file", file))))
	case fromEnv:
		if *s = Secret(k.getenv(name)); *s == "" {
			k.add(path, i18n.Errorf("config.check.secret_env", "name", name, "key", key))
		}
	}
}

// channel checks that a channel has what its kind needs, and nothing that another one would.
func (k *checker) channel(path string, c *NotifyChannel) {
	needs := map[string]bool{} // false: may be there
	switch c.Kind {
	case "":
		if !k.failed(path + ".kind") {
			k.add(path, i18n.Errorf("config.check.channel_needs", "key", "kind", "kind", c.Kind))
		}
		return
	case "webhook":
		needs["url"], needs["token"] = true, false
	case "slack", "discord", "teams", "shoutrrr":
		needs["url"] = true
	case "telegram", "line", "chatwork":
		needs["token"], needs["to"], needs["url"] = true, true, false
	case "ntfy":
		needs["to"], needs["token"], needs["url"] = true, false, false
	case "mail":
		needs["to"], needs["from"] = true, false
	case "command":
		needs["command"] = true
	}
	given := []struct {
		key   string
		there bool
	}{{"url", c.URL != "" || c.URLFile != ""}, {"token", c.Token != "" || c.TokenFile != ""}, {"to", len(c.To) > 0}, {"from", c.From != ""}, {"command", len(c.Command) > 0}}
	for _, g := range given {
		must, may := needs[g.key]
		at := path + "." + g.key
		switch {
		case must && !g.there && !k.failed(at) && !k.failed(at+"_file"):
			k.add(at, i18n.Errorf("config.check.channel_needs", "kind", c.Kind, "key", g.key))
		case g.there && !may:
			k.add(at, i18n.Errorf("config.check.channel_extra", "kind", c.Kind, "key", g.key))
		}
	}
	k.channelValues(path, c)
}

func (k *checker) channelValues(path string, c *NotifyChannel) {
	if c.Kind == "shoutrrr" {
		if scheme, rest, ok := strings.Cut(string(c.URL), "://"); c.URL != "" && (!ok || scheme == "" || rest == "") {
			k.add(path+".url", i18n.Errorf("config.check.shoutrrr"))
		}
	} else {
		k.webAddress(path+".url", c.URL)
	}
	for i, to := range c.To {
		at := fmt.Sprintf("%s.to[%d]", path, i)
		switch {
		case to == "":
			k.add(at, i18n.Errorf("config.check.empty"))
		case c.Kind == "mail" && (mail.Local(to) == "" || mail.Domain(to) == ""):
			k.add(at, i18n.Errorf("config.check.mail_address", "value", to))
		case c.Kind != "mail" && i > 0:
			k.add(at, i18n.Errorf("config.check.channel_one", "kind", c.Kind))
		}
	}
	if c.From != "" && (mail.Local(c.From) == "" || mail.Domain(c.From) == "") {
		k.add(path+".from", i18n.Errorf("config.check.mail_address", "value", c.From))
	}
	if len(c.Command) > 0 && !filepath.IsAbs(c.Command[0]) {
		k.add(path+".command", i18n.Errorf("config.check.command_path", "value", c.Command[0]))
	}
}

// webAddress checks a URL without showing it: it is a secret. What goes over other machines goes over TLS.
func (k *checker) webAddress(path string, s Secret) {
	if s == "" || k.failed(path) {
		return
	}
	u, err := url.Parse(string(s))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		k.add(path, i18n.Errorf("config.check.web_address"))
	case u.Scheme == "http" && !inHouse(u.Hostname()):
		k.add(path, i18n.Errorf("config.check.web_plain"))
	}
}

// inHouse tells whether a host is this machine, or one of a private network: there a service of one's own may do without TLS.
func inHouse(host string) bool {
	a, err := netip.ParseAddr(host)
	return local(host) || err == nil && a.IsPrivate()
}
