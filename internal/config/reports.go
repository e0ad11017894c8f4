package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/verp"
)

// Reports says where delivery reports about our mail come in by SMTP, and whose mail asks for them there.
type Reports struct {
	// Address is the bounce address, "bounce@mail.example.com". Its domain's MX must lead to a listener with reports = true.
	// Default: none, and nothing of this table happens.
	Address string `toml:"address"`
	// Delimiter stands between the name and the token. Default "+".
	Delimiter Delimiter `toml:"delimiter"`
	// Senders are sender domains whose reverse-path is replaced by the bounce address with a token: "*" for all,
	// "*.example.org" for subdomains. Default: nobody's.
	Senders []string `toml:"senders"`
	// Unsigned allows that for mail without an aligned DKIM signature of ukai's: because a server before it signs. Default false.
	Unsigned bool `toml:"unsigned"`
	// Plain takes mail to the bounce address without a token as well, for Postmaster. Default false.
	Plain bool `toml:"plain"`
	// Postmaster gets what nobody else can be found for. Default: it is dropped, with a line in the journal.
	Postmaster string `toml:"postmaster"`
	// KeyLife is how long a key makes tokens, TokenLife how long a token is taken. Defaults 90 d and 30 d.
	KeyLife   time.Duration `toml:"key_life" range:"1d..3650d"`
	TokenLife time.Duration `toml:"token_life" range:"6d..365d"`
}

// Delimiter is what stands between the name of the bounce address and a token.
type Delimiter string

func (Delimiter) choices() []string { return []string{"+", "-", "="} }

// Suppression says when a recipient that does not exist is spared.
type Suppression struct {
	// Enabled refuses mail to recipients whose server has called them unknown. Default true.
	Enabled bool `toml:"enabled"`
	// Confirmations is how many different messages must have been refused so, Apart the least time between two that count.
	// Defaults 2 and 24 h.
	Confirmations int           `toml:"confirmations" range:"1..10"`
	Apart         time.Duration `toml:"apart" range:"1m..30d"`
	// Keep is how long a recipient is spared, before one message may try again. Default 30 d.
	Keep time.Duration `toml:"keep" range:"1h..3650d"`
}

func defaultReports() Reports {
	return Reports{Delimiter: "+", KeyLife: 90 * day, TokenLife: 30 * day}
}

func defaultSuppression() Suppression {
	return Suppression{Enabled: true, Confirmations: 2, Apart: 24 * time.Hour, Keep: 30 * day}
}

// BounceAddress returns the parsed address; ok is false where there is none.
func (r *Reports) BounceAddress() (a verp.Address, ok bool) {
	if r.Address == "" {
		return a, false
	}
	a, err := verp.ParseAddress(r.Address, r.Delimiter[0])
	return a, err == nil // Load has looked at it
}

func (k *checker) reports() {
	r := &k.c.Reports
	if r.Address == "" {
		k.reportsWithoutAddress()
		return
	}
	address, err := verp.ParseAddress(r.Address, r.Delimiter[0])
	if err != nil || !hostname(address.Domain) {
		k.add("reports.address", i18n.Errorf("config.check.reports_address", "value", r.Address, "most", verp.MaxName))
		return
	}
	for i, d := range r.Senders {
		if d != "*" && !hostname(strings.TrimPrefix(d, "*.")) {
			k.add(fmt.Sprintf("reports.senders[%d]", i), i18n.Errorf("config.check.domain", "value", d))
		}
	}
	if r.Plain && r.Postmaster == "" {
		k.add("reports.plain", i18n.Errorf("config.check.reports_plain"))
	}
	if r.Postmaster != "" && (!mailbox(r.Postmaster) || (&verp.Returns{Address: address}).Ours(r.Postmaster)) {
		k.add("reports.postmaster", i18n.Errorf("config.check.reports_postmaster", "value", r.Postmaster))
	}
}

// reportsWithoutAddress names the settings that mean nothing without the address.
func (k *checker) reportsWithoutAddress() {
	for _, name := range []string{"senders", "plain", "postmaster", "unsigned"} {
		if path := "reports." + name; k.has(path) {
			k.add(path, i18n.Errorf("config.check.reports_off"))
		}
	}
	for i := range k.c.Listeners {
		if k.c.Listeners[i].Reports {
			k.add(fmt.Sprintf("listener[%d].reports", i), i18n.Errorf("config.check.reports_off"))
		}
	}
}

// mailbox tells whether s is one address, without a name or brackets.
func mailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at <= 64 && hostname(s[at+1:]) && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c <= ' ' || strings.IndexByte(`<>"(),:;\`, c) >= 0 })
}
