package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/provider"
)

// limits are those of provider.Limits, for programs.
type limits struct {
	Connections int     `json:"connections"`
	Messages    int     `json:"messages_per_connection"`
	PerSecond   float64 `json:"messages_per_second,omitempty"`
	Basis       string  `json:"basis,omitempty"`
	Published   string  `json:"published,omitempty"`
}

// facts are what the catalogue knows of a provider, for programs. The texts are in English.
type facts struct {
	ID           string        `json:"id"` // of the row; several rows may share a provider
	Country      string        `json:"country,omitempty"`
	Type         provider.Type `json:"type"`
	Requirements []string      `json:"requirements,omitempty"`
	MTASTS       string        `json:"mta_sts,omitempty"`
	DANE         string        `json:"dane,omitempty"`
	TLSRequired  bool          `json:"tls_required"`
	Delist       string        `json:"delist,omitempty"` // where to ask, and what else there is to know of it
	DelistWho    string        `json:"delist_who,omitempty"`
	Feedback     string        `json:"feedback_loop,omitempty"`
	Postmaster   []string      `json:"postmaster,omitempty"`
	Notes        []string      `json:"notes,omitempty"`
	Confidence   string        `json:"confidence"`
	AsOf         string        `json:"as_of"`
	Sources      []string      `json:"sources,omitempty"`
}

func factsOf(r *provider.Row, asOf string) *facts {
	return &facts{
		ID: r.ID, Country: r.Country, Type: r.Type, Requirements: r.Requirements, MTASTS: r.TLS.MTASTS, DANE: r.TLS.DANE, TLSRequired: r.TLS.Required,
		Delist: r.Delist.URL, DelistWho: r.Delist.Who, Feedback: r.Feedback, Postmaster: r.Postmaster, Notes: r.Notes,
		Confidence: r.Confidence, AsOf: asOf, Sources: r.Sources,
	}
}

// showAll writes the answers for people.
func (q *inquiry) showAll(w io.Writer, found []*receiver, all bool) {
	if len(found) > 1 {
		t := newTable(q.text("cli.provider.column.domain"), q.text("cli.provider.column.provider"), q.text("cli.provider.column.mx"), q.text("cli.provider.column.name"))
		for _, r := range found {
			mx := "-"
			if len(r.MX) > 0 {
				mx = r.MX[0].Host
			}
			name := r.Name
			if r.Provider == "" {
				name = q.text("cli.provider.nobody." + r.State)
			}
			t.row(r.Asked, or(r.Provider, "-"), mx, name)
		}
		t.write(w)
		if !all {
			fmt.Fprintf(w, "\n%s\n", q.text("cli.provider.more"))
			return
		}
		fmt.Fprintln(w)
	}
	for i, r := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		q.showOne(w, r)
	}
}

// showOne writes one answer with everything that is known of the provider.
func (q *inquiry) showOne(w io.Writer, r *receiver) {
	head := r.Asked
	if r.Provider != "" {
		head += ": " + r.Name
		if r.Name != r.Provider {
			head += " (" + r.Provider + ")"
		}
	}
	paragraph(w, "", "", head)
	paragraph(w, "  ", "  ", q.text("cli.provider.state."+r.State))
	if r.Why != "" {
		paragraph(w, "  ", "  ", upper(r.Why))
	}
	if r.Trouble != "" {
		paragraph(w, "  ", "  ", q.text("cli.provider.trouble", "cause", r.Trouble))
	}
	for _, m := range r.MX {
		fmt.Fprintf(w, "  MX %s %s\n", strconv.Itoa(int(m.Pref)), m.Host)
	}
	if r.Gateway {
		paragraph(w, "  ", "  ", q.text("cli.provider.gateway"))
	}
	q.showLimits(w, r)
	if r.row != nil {
		q.showCare(w, r.row)
	}
}

// upper gives a text a capital at its beginning.
func upper(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

// showLimits writes what ukai keeps to on the paths of the provider, and who chose the numbers.
func (q *inquiry) showLimits(w io.Writer, r *receiver) {
	if r.Limits == nil {
		return
	}
	l := &r.limits
	fmt.Fprintf(w, "\n%s\n", q.text("cli.provider.limits"))
	key := "cli.provider.limits.default"
	if l.Basis != "" {
		key = "cli.provider.limits.by"
	}
	paragraph(w, "  ", "  ", q.text(key, "connections", strconv.Itoa(l.MaxConns), "messages", strconv.Itoa(l.MaxMsgsPerConn), "basis", l.Basis))
	if l.PerSecond > 0 {
		paragraph(w, "  ", "  ", q.text("cli.provider.limits.rate", "rate", strconv.FormatFloat(l.PerSecond, 'g', 3, 64)))
	}
	if l.Published != "" {
		paragraph(w, "  ", "  ", q.text("cli.provider.limits.published", "text", l.Published))
	}
}

// showCare writes what a sender should know and where to turn, and how far it can be believed.
func (q *inquiry) showCare(w io.Writer, row *provider.Row) {
	d := row.Delist
	q.section(w, "cli.provider.requirements", row.Requirements...)
	q.section(w, "cli.provider.tls", q.transport(&row.TLS))
	q.section(w, "cli.provider.delist", d.URL, labelled(q.env, "cli.provider.delist.who", d.Who), labelled(q.env, "cli.provider.delist.for", d.For),
		labelled(q.env, "cli.provider.delist.also", d.Also), labelled(q.env, "cli.provider.delist.note", d.Note))
	q.section(w, "cli.provider.feedback", row.Feedback)
	q.section(w, "cli.provider.tool", strings.TrimSpace(row.ReputationTool.Name+" "+row.ReputationTool.URL))
	q.section(w, "cli.provider.postmaster", row.Postmaster...)
	q.section(w, "cli.provider.notes", row.Notes...)
	fmt.Fprintln(w)
	paragraph(w, "", "", q.text("cli.provider.confidence."+row.Confidence, "as_of", q.catalogue.AsOf))
	if q.lang == i18n.JA {
		paragraph(w, "", "", q.text("cli.provider.english"))
	}
}

// section writes a head and its lines, if there are any.
func (q *inquiry) section(w io.Writer, key string, lines ...string) {
	begun := false
	for _, l := range lines {
		if l == "" {
			continue
		}
		if !begun {
			fmt.Fprintf(w, "\n%s\n", q.text(key))
			begun = true
		}
		paragraph(w, "  - ", "    ", l)
	}
}

// labelled puts a name in front of a value, "" for none.
func labelled(e *env, key, value string) string {
	if value == "" {
		return ""
	}
	return e.text(key, "value", value)
}

// transport says what is known of a provider's TLS, on one line.
func (q *inquiry) transport(t *provider.TLS) string {
	var parts []string
	if t.Required {
		parts = append(parts, q.text("cli.provider.tls.required"))
	}
	if t.MTASTS != "" {
		parts = append(parts, "MTA-STS: "+t.MTASTS)
	}
	if t.DANE != "" {
		parts = append(parts, "DANE: "+t.DANE)
	}
	if t.TLSRPT {
		parts = append(parts, "TLS-RPT")
	}
	return strings.Join(parts, "; ")
}
