package classify

import (
	"slices"
	"testing"

	"ukai/internal/dnsbl"
	"ukai/internal/i18n"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

func TestEveryClassHasItsWordsAndABehaviour(t *testing.T) {
	all, err := Classes()
	if err != nil {
		t.Fatal(err)
	}
	texts, err := i18n.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	refusals, mails := 0, 0
	seen := make(map[string]bool)
	for _, c := range all {
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		if c.Mail {
			mails++
		} else {
			refusals++
		}
		for _, key := range []string{NameKey(c.Name), WhatKey(c.Name)} {
			if _, ok := texts[key]; !ok {
				t.Errorf("%s: no text %s", c.Name, key)
			}
		}
		if c.Group == "" || c.Acts == "" || !slices.Contains(blames, c.Blame) || !slices.Contains(scopes, c.Scope) {
			t.Errorf("%s is incomplete: %+v", c.Name, c)
		}
		if c.Detour != (c.Blame == BlameIP) || c.Reputation != c.Detour {
			t.Errorf("%s: only what is to blame on the address is evidence and asks for a detour", c.Name)
		}
		if !c.Mail && (c.Temporary != Retry || c.Permanent != Fail) {
			t.Errorf("%s: %s after 4xx, %s after 5xx", c.Name, c.Temporary, c.Permanent)
		}
	}
	if refusals != 34 || mails != 4 {
		t.Errorf("%d classes of refusal, %d kinds of mail", refusals, mails)
	}
	for _, name := range []string{Delivered, Unclassified, networkError, domainUnknown, tlsFailure, protocolError} {
		if !seen[name] {
			t.Errorf("the code gives %s, which is no class", name)
		}
	}
}

func TestEveryRefusalOfTheProviderCatalogueIsUnderstood(t *testing.T) {
	c, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := rules(t)
	n := 0
	for _, row := range c.All() {
		for _, x := range row.Refusals {
			n++
			v := r.Classify(said(row.Provider, outcome.RcptTo, x.Reply))
			if v.Class != x.Class {
				t.Errorf("%s: %s: %s by %q, the catalogue says %s", row.ID, x.Reply, v.Class, v.Rule, x.Class)
			}
			if v.Reputation && v.Class != "ip_reputation" && v.Class != "dnsbl_listed" && v.Class != "ptr_missing" {
				t.Errorf("%s: %s: %s counts against the path", row.ID, x.Reply, v.Class)
			}
		}
	}
	if n < 90 {
		t.Errorf("%d refusals were read", n)
	}
}

func TestTheProvidersOfRulesAreInTheCatalogue(t *testing.T) {
	c, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rules(t).files {
		for _, p := range f.Providers {
			if len(c.Rows(p)) == 0 {
				t.Errorf("%s.toml: the provider %q is not in the catalogue", f.name, p)
			}
		}
	}
}

func TestTheListsThatHaveARowInTheCatalogueOfListsSaySo(t *testing.T) {
	catalogue, err := dnsbl.Load()
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, l := range catalogue.Lists {
		ids[l.ID] = true
	}
	r := rules(t)
	n := 0
	for _, l := range r.lists {
		id := r.DNSBL(l.Name)
		if id == "" {
			continue
		}
		n++
		if !ids[id] {
			t.Errorf("%s: the catalogue of lists has no %q", l.Name, id)
		}
	}
	if n < 40 {
		t.Errorf("%d lists have a row", n)
	}
	if r.DNSBL("proofpoint-pdr") != "" || r.DNSBL("nobody") != "" {
		t.Error("a vendor's service has a row")
	}
}
