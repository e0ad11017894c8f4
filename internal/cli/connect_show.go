package cli

import (
	"fmt"
	"io"
	"strings"

	"ukai/internal/connect"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// showPlan says what was found, what would be done and what not, and shows the difference.
func (c *connectCommand) showPlan(w io.Writer, p *connect.Proposal) {
	c.head(w, &p.Instance, p.Mode)
	c.notes(w, "cli.connect.found", p.Found)
	c.notes(w, "cli.connect.does", p.Does)
	c.notes(w, "cli.connect.gaps", p.Gaps)
	c.notes(w, "cli.connect.notes", p.Notes)
	c.lines(w, "cli.connect.left_lines", p.Left)
	if p.Nothing() {
		fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.nothing"))
		return
	}
	c.changes(w, p.Changes)
	fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.next.apply", "command", c.again("--apply")))
}

// showReport says what was done.
func (c *connectCommand) showReport(w io.Writer, r *connect.Report) {
	if !r.Done {
		fmt.Fprintln(w, c.text("cli.connect.nothing"))
		c.notes(w, "cli.connect.notes", r.Notes)
		return
	}
	c.head(w, &r.Instance, r.Mode)
	c.notes(w, "cli.connect.done", r.Does)
	c.notes(w, "cli.connect.gaps", r.Gaps)
	c.notes(w, "cli.connect.notes", r.Notes)
	c.lines(w, "cli.connect.left_lines", r.Left)
	t := &table{indent: "  "}
	for _, f := range r.Changes {
		t.row(c.text("cli.connect.kind."+f.Kind), f.Path)
	}
	fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.files", "count", len(r.Changes)))
	t.write(w)
	if r.Running && c.watch > 0 {
		key := "cli.connect.seen"
		if r.Seen.Blind {
			key = "cli.connect.blind"
		}
		fmt.Fprintf(w, "\n%s\n", c.text(key, "time", i18n.Duration(c.lang, c.watch), "delivered", r.Seen.Delivered, "deferred", r.Seen.Deferred,
			"bounced", r.Seen.Bounced, "over", r.Seen.Over))
	}
	fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.next.after", "status", c.again("--status"), "remove", c.again("--remove")))
}

// showRemoval says what was taken back.
func (c *connectCommand) showRemoval(w io.Writer, r *connect.Removal) {
	name := c.name(&r.Instance)
	switch {
	case !r.Done:
		fmt.Fprintln(w, c.text("cli.connect.not_connected", "mta", name))
		return
	case r.Exact:
		fmt.Fprintln(w, c.text("cli.connect.removed", "mta", name, "count", len(r.Changes)))
	default:
		fmt.Fprintln(w, c.text("cli.connect.removed_edited", "mta", name, "count", len(r.Changes)))
	}
	c.notes(w, "cli.connect.notes", r.Notes)
	c.lines(w, "cli.connect.left_lines", r.Left)
	c.lines(w, "cli.connect.lost_lines", r.Lost)
}

// showStatus says how a connected server stands.
func (c *connectCommand) showStatus(w io.Writer, s *connect.Status) {
	if !s.Connected {
		fmt.Fprintln(w, c.text("cli.connect.not_connected", "mta", c.name(&s.Instance)))
		return
	}
	c.head(w, &s.Instance, s.Mode)
	t := &table{indent: "  "}
	t.row(c.text("cli.connect.col.server"), s.Server)
	t.row(c.text("cli.connect.col.since"), clock(s.Since))
	t.row(c.text("cli.connect.col.mta"), c.wellOr(s.Alive, s.MTATrouble))
	t.row(c.text("cli.connect.col.relay"), c.wellOr(s.Peer, s.PeerTrouble))
	t.write(w)
	fmt.Fprintln(w)
	t = &table{indent: "  "}
	for i := range s.Files {
		f := &s.Files[i]
		age := ""
		if f.Drift == connect.Moving && !f.Written.IsZero() {
			age = c.text("cli.connect.written", "time", clock(f.Written))
		}
		t.row(f.Path, c.text("cli.connect.drift."+string(f.Drift)), age)
	}
	t.write(w)
	for i := range s.Files {
		for _, l := range s.Files[i].Missing {
			paragraph(w, "  ! ", "    ", c.text("cli.connect.missing", "file", s.Files[i].Path, "line", strings.TrimSpace(l)))
		}
	}
	switch {
	case s.Refuse != nil:
		fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.refuse", "cause", i18n.ErrorText(c.lang, s.Refuse)))
	case len(s.Behind) > 0:
		fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.behind", "files", join(s.Behind), "command", c.again("--apply")))
	case !s.Drifted():
		fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.well"))
	}
}

func (c *connectCommand) wellOr(address, trouble string) string {
	if address == "" {
		return c.text("cli.connect.unwatched")
	}
	if trouble == "" {
		return c.text("cli.connect.greets", "address", address)
	}
	return c.text("cli.connect.silent", "address", address, "cause", trouble)
}

// head names the installation.
func (c *connectCommand) head(w io.Writer, i *mtaconf.Instance, m mtaconf.Mode) {
	fmt.Fprintln(w, c.text("cli.connect.head", "mta", c.name(i), "dir", i.Dir, "mode", string(m), "what", c.text("cli.connect.mode."+string(m))))
}

// name is what people call an installation: "Postfix 3.7.11 (out)".
func (c *connectCommand) name(i *mtaconf.Instance) string {
	s := c.text("cli.connect.mta." + string(i.MTA))
	if i.Version != "" {
		s += " " + i.Version
	}
	if i.Name != "" {
		s += " (" + i.Name + ")"
	}
	return s
}

// notes writes sentences as a list below a title.
func (c *connectCommand) notes(w io.Writer, title string, all []mtaconf.Note) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", c.text(title))
	for _, n := range all {
		paragraph(w, "  - ", "    ", c.text(n.Key, n.Args...))
	}
}

// lines names lines that somebody has to look at.
func (c *connectCommand) lines(w io.Writer, title string, all []connect.Line) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", c.text(title))
	for _, l := range all {
		fmt.Fprintf(w, "  %s:%d: %s\n", l.Path, l.Number, strings.TrimSpace(l.Text))
	}
}

// changes shows the differences. They are for programs, too: nothing in them is wrapped.
func (c *connectCommand) changes(w io.Writer, all []connect.FileChange) {
	fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.difference", "count", len(all)))
	for _, f := range all {
		if f.Secret {
			fmt.Fprintf(w, "\n%s\n", c.text("cli.connect.secret."+f.Kind, "file", f.Path))
			continue
		}
		fmt.Fprintf(w, "\n%s", c.shortened(&f))
	}
}

// What is shown of one file. Tables of a thousand lines would hide the three that matter.
const (
	shownNew    = 15  // lines of a file that is new, or goes away: nothing of the operator's is in it
	shownChange = 120 // of a difference
)

// shortened returns a difference with its end left out where it is long; --json has all of it.
func (c *connectCommand) shortened(f *connect.FileChange) string {
	most := shownChange
	if f.Kind != connect.Change {
		most = shownNew
	}
	lines := strings.SplitAfter(f.Diff, "\n")
	if len(lines) <= most+5 {
		return f.Diff
	}
	return strings.Join(lines[:most], "") + c.text("cli.connect.more", "count", len(lines)-1-most) + "\n"
}

// again is the command line for the next step.
func (c *connectCommand) again(action string) string {
	words := []string{"ukai connect"}
	if c.mta != "" {
		words = append(words, string(c.mta))
	}
	put := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	put("--root", c.root)
	put("--instance", c.instance)
	if action == "--apply" {
		put("--mode", c.mode)
		put("--relay", c.relay)
		put("--server", c.server)
		put("--live", c.live)
		put("--username", c.username)
		put("--password-file", c.passwordFile)
		put("--join", c.join)
		put("--egress", c.egress)
		if c.tls {
			words = append(words, "--tls")
		}
		if c.aloneGiven {
			words = append(words, "--no-register")
		}
	}
	return strings.Join(append(words, action), " ")
}

// told is a plan as JSON: the notes are in words.
type told struct {
	Found []string `json:"found"`
	Does  []string `json:"does"`
	Gaps  []string `json:"gaps"`
	Notes []string `json:"notes"`
}

func (c *connectCommand) told(p *connect.Proposal) told {
	words := func(all []mtaconf.Note) []string {
		out := []string{}
		for _, n := range all {
			out = append(out, c.text(n.Key, n.Args...))
		}
		return out
	}
	return told{words(p.Found), words(p.Does), words(p.Gaps), words(p.Notes)}
}

// planJSON is what --json tells of a plan.
func (c *connectCommand) planJSON(p *connect.Proposal) any {
	return struct {
		Instance  mtaconf.Instance     `json:"instance"`
		Mode      mtaconf.Mode         `json:"mode"`
		Connected bool                 `json:"connected"`
		Nothing   bool                 `json:"nothing_to_do"`
		Texts     told                 `json:"texts"`
		Changes   []connect.FileChange `json:"changes"`
		Left      []connect.Line       `json:"left,omitempty"`
		Plan      *mtaconf.Plan        `json:"plan"`
	}{p.Instance, p.Mode, p.Connected, p.Nothing(), c.told(p), p.Changes, p.Left, p.Plan}
}

// reportJSON is what --json tells of what was done.
func (c *connectCommand) reportJSON(r *connect.Report) any {
	return struct {
		Done      bool                 `json:"done"`
		Running   bool                 `json:"running"`
		Instance  mtaconf.Instance     `json:"instance"`
		Mode      mtaconf.Mode         `json:"mode"`
		Connected bool                 `json:"connected"`
		Texts     told                 `json:"texts"`
		Changes   []connect.FileChange `json:"changes"`
		Left      []connect.Line       `json:"left,omitempty"`
		Seen      connect.Deliveries   `json:"seen"`
	}{r.Done, r.Running, r.Instance, r.Mode, true, c.told(r.Proposal), r.Changes, r.Left, r.Seen}
}

// statusJSON is what --json tells of a status.
func (c *connectCommand) statusJSON(s *connect.Status) any {
	refuse := ""
	if s.Refuse != nil {
		refuse = i18n.ErrorText(c.lang, s.Refuse)
	}
	return struct {
		*connect.Status
		Drifted bool   `json:"drifted"`
		Refused string `json:"refused,omitempty"`
	}{s, s.Drifted(), refuse}
}
