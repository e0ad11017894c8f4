package cli

import (
	"fmt"

	"ukai/internal/classify"
	"ukai/internal/survey"
)

// inbound tells whom our own blocklists lock out.
func (t *logsTale) inbound() {
	in := &t.r.Inbound
	if len(in.Lists) == 0 {
		return
	}
	t.title("cli.logs.inbound")
	for i := range in.Lists {
		t.locked(&in.Lists[i])
	}
}

func (t *logsTale) locked(l *survey.List) {
	key := "cli.logs.list"
	if l.Known > 0 {
		key = "cli.logs.list.known"
	}
	t.say("  ", t.text(key, "list", l.Zone, "rejected", count(l.Rejected), "partners", count(int64(len(l.Partners)+l.Others)), "known", l.Known))
	most := min(screenPartners, l.Known) // strangers are what a blocklist is for
	if t.details {
		most = len(l.Partners)
	}
	for i := range l.Partners[:most] {
		p := &l.Partners[i]
		key := "cli.logs.partner"
		if p.Written > 0 {
			key = "cli.logs.partner.known"
		}
		client := p.Client
		if p.Addr.IsValid() {
			client = or(client, "unknown") + " [" + p.Addr.String() + "]"
		}
		paragraph(t.w, "    ", "      ", t.text(key, "domain", p.Domain, "client", or(client, "-"), "rejected", count(p.Rejected), "last", p.Last,
			"written", count(p.Written), "last_written", p.LastWritten))
	}
	if rest := l.Known - most; rest > 0 {
		t.say("    ", t.text("cli.logs.more_partners", "count", rest))
	}
	if l.Known > 0 {
		t.say("  ", t.text("cli.logs.list.step"))
	}
}

// detail tells more of each provider and of what our own server rejected.
func (t *logsTale) detail() {
	for i := range t.r.Providers {
		if p := &t.r.Providers[i]; len(p.Causes) > 0 || p.Storm != nil {
			t.provider(p)
		}
	}
	if in := &t.r.Inbound; len(in.Causes) > 0 {
		t.title("cli.logs.rejected")
		y := newTable(t.text("cli.logs.col.messages"), t.text("cli.logs.col.why"), t.text("cli.logs.col.first"), t.text("cli.logs.col.last"))
		y.indent = "  "
		for _, c := range in.Causes {
			y.row(count(c.N), t.text(classify.NameKey(c.Name)), minutes(c.First), minutes(c.Last))
		}
		y.write(t.w)
	}
}

func (t *logsTale) provider(p *survey.Provider) {
	name := or(p.Name, t.text("cli.logs.other"))
	if p.ID != p.Name {
		name += " (" + p.ID + ")"
	}
	fmt.Fprintf(t.w, "\n%s\n", name)
	for i := range p.Causes {
		c := &p.Causes[i]
		why := t.text(classify.NameKey(c.Class))
		if c.List != "" {
			why += " (" + c.List + ")"
		}
		t.say("  ", t.text("cli.logs.cause", "why", why, "messages", count(c.Messages), "returned", count(c.Final), "first", c.First, "last", c.Last))
		for k := range c.Trouble {
			t.say("    ", t.episode(name, &c.Trouble[k]))
		}
		t.say("    ", t.words(p, c).What)
		if c.Example != "" {
			t.say("    ", "> "+c.Example)
		}
	}
	if s := p.Storm; s != nil {
		t.say("  ", t.text("cli.logs.storm", "messages", count(s.Messages), "retries", count(s.Retries), "most", s.Most, "peak", count(s.Peak), "at", s.PeakAt))
	}
	if len(p.IPs) > 0 {
		var ips []string
		for _, ip := range p.IPs {
			ips = append(ips, ip.String())
		}
		t.say("  ", t.text("cli.logs.ips", "ips", join(ips)))
	}
}

// notes say what was not read, and what more there is to see.
func (t *logsTale) notes() {
	r := t.r
	if r.Read.Unknown*100 > r.Read.Lines {
		fmt.Fprintln(t.w)
		t.say("", t.text("cli.logs.unknown", "count", count(r.Read.Unknown)))
	}
	for _, s := range r.Skipped {
		fmt.Fprintln(t.w)
		t.say("", s)
	}
	if !t.details && len(r.Providers) > 0 {
		fmt.Fprintln(t.w)
		t.say("", t.text("cli.logs.hint"))
	}
}
