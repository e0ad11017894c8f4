package cli

import (
	"ukai/internal/api"
	"ukai/internal/i18n"
)

// steered shows how a server is steered: what it asks, what stands in its files, and what keeps it from them.
func (e *env) steered(row func(key, value string), st *api.Steered) {
	if st == nil {
		return
	}
	if st.Domains > 0 {
		row("cli.servers.row.domains", e.text("cli.servers.domains", "domains", st.Domains, "detoured", st.Detoured))
	}
	if st.Lookups > 0 {
		row("cli.servers.row.lookups", e.text("cli.servers.lookups", "lookups", st.Lookups, "detours", st.Detours, "p99", st.P99.String()))
	}
	for i := range st.Files {
		f := &st.Files[i]
		if f.Trouble != "" {
			row("cli.servers.row.trouble", f.Trouble)
			continue
		}
		if !f.Written.IsZero() {
			row("cli.servers.row.written", e.text("cli.servers.written", "routes", f.Routes, "ago", i18n.Duration(e.lang, e.now().Sub(f.Written))))
		}
	}
}
