package route

import (
	"slices"
	"strings"

	"ukai/internal/i18n"
)

// check returns all that is wrong with the configuration.
func (t *Table) check() []error {
	var errs []error
	if len(t.Egresses) == 0 {
		errs = append(errs, i18n.Errorf("route.config.no_egress"))
	}
	if len(t.Egresses) > MaxEgresses {
		errs = append(errs, i18n.Errorf("route.config.too_many", "count", len(t.Egresses), "most", MaxEgresses))
	}
	names := make(map[string]bool)
	for i := range t.Egresses {
		errs = append(errs, t.Egresses[i].check(names)...)
	}
	return append(errs, t.checkPools()...)
}

func (e *Egress) check(names map[string]bool) []error {
	var errs []error
	if e.Name == "" {
		errs = append(errs, i18n.Errorf("route.config.egress_unnamed"))
	}
	if names[e.Name] {
		errs = append(errs, i18n.Errorf("route.config.egress_twice", "name", e.Name))
	}
	names[e.Name] = true
	if e.WarmUp < 0 {
		errs = append(errs, i18n.Errorf("route.config.warm_up", "name", e.Name, "value", e.WarmUp))
	}
	if e.BulkShare < 0 || e.BulkShare > 100 {
		errs = append(errs, i18n.Errorf("route.config.bulk_share", "name", e.Name, "value", e.BulkShare))
	}
	for _, p := range e.Providers {
		if strings.TrimSpace(p) == "" || p != "*" && (p[0] == '.' || strings.ContainsAny(p, "*@ ")) {
			errs = append(errs, i18n.Errorf("route.config.provider", "name", e.Name, "value", p))
		}
	}
	for _, d := range e.SenderDomains {
		if !isPattern(d) {
			errs = append(errs, i18n.Errorf("route.config.egress_sender", "name", e.Name, "value", d))
		}
	}
	return errs
}

func (t *Table) checkPools() []error {
	var errs []error
	names, owners := make(map[string]bool), make(map[claim]string)
	for i := range t.Pools {
		p := &t.Pools[i]
		if names[p.Name] {
			errs = append(errs, i18n.Errorf("route.config.pool_twice", "name", p.Name))
		}
		names[p.Name] = true
		errs = append(errs, t.checkPool(p)...)
		for _, c := range p.claims() {
			switch other, taken := owners[c]; {
			case !taken || other == p.Name:
			case c == claim{}:
				errs = append(errs, i18n.Errorf("route.config.two_defaults", "name", p.Name, "other", other))
			default:
				errs = append(errs, i18n.Errorf("route.config.claimed", "name", p.Name, "other", other, "who", c.String()))
			}
			owners[c] = p.Name
		}
	}
	if _, ok := owners[claim{}]; !ok {
		errs = append(errs, i18n.Errorf("route.config.no_default"))
	}
	return errs
}

func (t *Table) checkPool(p *Pool) []error {
	var errs []error
	if p.Name == "" {
		errs = append(errs, i18n.Errorf("route.config.pool_unnamed"))
	}
	if len(p.Egresses) == 0 && len(t.Egresses) > 0 {
		errs = append(errs, i18n.Errorf("route.config.pool_empty", "name", p.Name))
	}
	for i, e := range p.Egresses {
		switch {
		case e < 0 || e >= len(t.Egresses):
			errs = append(errs, i18n.Errorf("route.config.pool_egress", "name", p.Name, "value", e))
		case slices.Contains(p.Egresses[:i], e):
			errs = append(errs, i18n.Errorf("route.config.pool_egress_twice", "name", p.Name, "egress", t.Egresses[e].Name))
		}
	}
	for _, d := range p.Senders {
		if !isPattern(d) {
			errs = append(errs, i18n.Errorf("route.config.pool_sender", "name", p.Name, "value", d))
		}
	}
	return errs
}

// isPattern tells whether s is a domain, "*." with a domain, or "*".
func isPattern(s string) bool {
	s = strings.TrimSpace(s)
	if s == "*" {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	for label := range strings.SplitSeq(strings.TrimPrefix(s, "*."), ".") {
		if label == "" || strings.ContainsAny(label, "*@ \t/") {
			return false
		}
	}
	return true
}

// String tells a person who is claimed.
func (c claim) String() string {
	domain := c.domain
	if strings.HasPrefix(domain, ".") {
		domain = "*" + domain
	}
	return strings.Trim(c.account+" "+domain, " ")
}
