package account

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/store"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, path string, c *clock) *Book {
	t.Helper()
	db, err := store.Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	b, err := Open(t.Context(), db, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newBook(t *testing.T) (*Book, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	return open(t, filepath.Join(t.TempDir(), "ukai.db"), c), c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheBookKeepsWhatItIsTold(t *testing.T) {
	b, c := newBook(t)
	ctx := t.Context()
	nets := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	fp := strings.Repeat("AB:", 31) + "CD"
	must(t, b.Add(ctx, Account{Name: "Shop@Example.ORG", Domains: []string{"b.test", "*.A.test", "b.test"}, Networks: nets,
		Limits: Limits{MessagesPerHour: 10, RecipientsPerDay: 20}, Certificate: fp}, "password one"))
	must(t, b.Add(ctx, Account{Name: "cert-only"}, ""))

	a, err := b.Get(ctx, "shop@example.org")
	must(t, err)
	if a.Name != "shop@example.org" || !slices.Equal(a.Domains, []string{"*.a.test", "b.test"}) || !slices.Equal(a.Networks, nets) ||
		a.Limits != (Limits{10, 20}) || a.Certificate != strings.Repeat("ab", 31)+"cd" || !a.HasPassword || !a.Suspended.IsZero() || !a.Created.Equal(c.t) {
		t.Errorf("%+v", a)
	}
	must(t, b.SetDomains(ctx, "SHOP@example.org", []string{"*"}))
	must(t, b.SetLimit(ctx, "shop@example.org", Limits{}))
	must(t, b.SetNetworks(ctx, "shop@example.org", nil))
	must(t, b.SetCertificate(ctx, "shop@example.org", ""))
	must(t, b.SetPassword(ctx, "shop@example.org", ""))
	must(t, b.Suspend(ctx, "shop@example.org", "spam"))
	a, err = b.Get(ctx, "shop@example.org")
	must(t, err)
	if !slices.Equal(a.Domains, []string{"*"}) || a.Networks != nil || a.Limits != (Limits{}) || a.Certificate != "" || a.HasPassword ||
		!a.Suspended.Equal(c.t) || a.Reason != "spam" {
		t.Errorf("%+v", a)
	}
	must(t, b.Resume(ctx, "shop@example.org"))
	all, err := b.List(ctx)
	must(t, err)
	if len(all) != 2 || all[0].Name != "cert-only" || !all[1].Suspended.IsZero() || all[1].Reason != "" {
		t.Errorf("%+v", all)
	}
	must(t, b.Delete(ctx, "cert-only"))
	if n, err := b.Count(ctx); n != 1 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestOrdersForAccountsThatAreNotThere(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	for _, name := range []string{"nobody", "no body"} {
		for what, err := range map[string]error{
			"SetPassword": b.SetPassword(ctx, name, "password"), "SetLimit": b.SetLimit(ctx, name, Limits{}), "SetDomains": b.SetDomains(ctx, name, nil),
			"SetNetworks": b.SetNetworks(ctx, name, nil), "SetCertificate": b.SetCertificate(ctx, name, ""), "Suspend": b.Suspend(ctx, name, ""),
			"Resume": b.Resume(ctx, name), "Delete": b.Delete(ctx, name),
		} {
			if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
		if _, err := b.Get(ctx, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("Get %q: %v", name, err)
		}
		for range 2 { // read, and remembered
			if a, err := b.Current(ctx, name); a != nil || !errors.Is(err, ErrUnknown) {
				t.Errorf("Current %q: %v, %v", name, a, err)
			}
		}
	}
}

func TestWhatTheBookRefuses(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	fp := strings.Repeat("ab", 32)
	must(t, b.Add(ctx, Account{Name: "a", Certificate: fp}, ""))
	must(t, b.Add(ctx, Account{Name: "b"}, ""))
	for name, c := range map[string]struct {
		err error
		key string
	}{
		"an account twice":          {b.Add(ctx, Account{Name: "A"}, ""), "account.error.exists"},
		"a certificate twice":       {b.Add(ctx, Account{Name: "c", Certificate: fp}, ""), "account.error.certificate_taken"},
		"a certificate of another":  {b.SetCertificate(ctx, "b", fp), "account.error.certificate_taken"},
		"a bad name":                {b.Add(ctx, Account{Name: "no body"}, ""), "account.error.name"},
		"a bad domain":              {b.Add(ctx, Account{Name: "c", Domains: []string{"a..b"}}, ""), "account.error.domain"},
		"a bad fingerprint":         {b.Add(ctx, Account{Name: "c", Certificate: "abc"}, ""), "account.error.fingerprint"},
		"a bad limit":               {b.Add(ctx, Account{Name: "c", Limits: Limits{MessagesPerHour: -1}}, ""), "account.error.limit"},
		"a short password":          {b.Add(ctx, Account{Name: "c"}, "1234567"), "account.error.password_length"},
		"a long password":           {b.SetPassword(ctx, "b", strings.Repeat("x", 1025)), "account.error.password_length"},
		"a password with a control": {b.SetPassword(ctx, "b", "12345678\n"), "account.error.password_letters"},
		"a bad limit later":         {b.SetLimit(ctx, "b", Limits{RecipientsPerDay: -1}), "account.error.limit"},
		"a bad domain later":        {b.SetDomains(ctx, "b", []string{""}), "account.error.domain"},
		"a bad fingerprint later":   {b.SetCertificate(ctx, "b", strings.Repeat("x", 64)), "account.error.fingerprint"},
	} {
		var e *i18n.Error
		if !errors.As(c.err, &e) || e.Key != c.key || strings.Contains(e.Text(i18n.JA), c.key) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	must(t, b.SetCertificate(ctx, "a", fp)) // its own
	if n, _ := b.Count(ctx); n != 2 {
		t.Errorf("%d accounts", n)
	}
}

func TestNamesDomainsFingerprints(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "User.Name+x@Example.org": "user.name+x@example.org", "_x": "_x"} {
		if got, err := Name(in); got != want || err != nil {
			t.Errorf("Name(%q) = %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "-a", "a b", "a\x00", "ü", "a/b", "*", strings.Repeat("a", 129)} {
		if got, err := Name(bad); err == nil {
			t.Errorf("Name(%q) = %q", bad, got)
		}
	}
	for in, ok := range map[string]bool{
		"*": true, "test": true, "a.test": true, "*.a.test": true, "a_b.test": true, "bücher.test": true, "xn--bcher-kva.test": true, " a.test ": true,
		"": false, "*.": false, "*.*": false, "a*.test": false, "a b": false, ".a": false, "a.": false, "a..b": false, "-a.b": false, "a-.b": false, "a@b": false,
		"\xff": false, strings.Repeat("a", 64): false, strings.Repeat("a.", 127) + "a": false,
	} {
		if _, err := Domains([]string{in}); (err == nil) != ok {
			t.Errorf("Domains(%q): %v", in, err)
		}
	}
	if got, err := Fingerprint(""); got != "" || err != nil {
		t.Errorf("Fingerprint of nothing: %q, %v", got, err)
	}
}

func TestMaySendFor(t *testing.T) {
	for _, c := range []struct {
		domains string
		domain  string
		want    bool
	}{
		{"", "a.test", false}, {"", "", false}, {"*", "a.test", true}, {"a.test", "A.Test", true}, {"a.test", "b.a.test", false}, {"a.test", "xa.test", false},
		{"*.a.test", "b.a.test", true}, {"*.a.test", "c.b.a.test", true}, {"*.a.test", "a.test", false}, {"*.a.test", ".a.test", false}, {"*.a.test", "xa.test", false},
		{"b.test *.a.test", "b.test", true}, {"a.test", "", false},
	} {
		a := &Account{Domains: strings.Fields(c.domains)}
		if got := a.MaySendFor(c.domain); got != c.want {
			t.Errorf("%q for %q: %v", c.domains, c.domain, got)
		}
	}
}

func TestMayComeFrom(t *testing.T) {
	a := &Account{}
	if !a.MayComeFrom(netip.MustParseAddr("192.0.2.1")) {
		t.Error("without networks it may come from anywhere")
	}
	a.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for addr, want := range map[string]bool{"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.3.1": false, "2001:db8::1": false} {
		if got := a.MayComeFrom(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestCurrentIsHalfASecondOldAtMost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ukai.db")
	c := &clock{time.Unix(1_700_000_000, 0)}
	serve, cli := open(t, path, c), open(t, path, c) // two processes on one database
	ctx := t.Context()
	reason := func(b *Book) string {
		t.Helper()
		a, err := b.Current(ctx, "a")
		if errors.Is(err, ErrUnknown) {
			return "nobody"
		}
		must(t, err)
		return a.Reason
	}
	if got := reason(serve); got != "nobody" {
		t.Fatal(got)
	}
	must(t, cli.Add(ctx, Account{Name: "a"}, ""))
	c.t = c.t.Add(currentFor)
	if got := reason(serve); got != "" {
		t.Fatal(got)
	}
	must(t, cli.Suspend(ctx, "a", "one"))
	if got := reason(serve); got != "" {
		t.Errorf("at once: %q", got)
	}
	c.t = c.t.Add(currentFor)
	if got := reason(serve); got != "one" {
		t.Errorf("after half a second: %q", got)
	}
	must(t, serve.Suspend(ctx, "a", "two"))
	if got := reason(serve); got != "two" {
		t.Errorf("after an order of its own: %q", got)
	}
	c.t = c.t.Add(-time.Hour) // the clock was set back
	must(t, cli.Suspend(ctx, "a", "three"))
	if got := reason(serve); got != "three" {
		t.Errorf("after the clock went back: %q", got)
	}
	must(t, cli.Delete(ctx, "a"))
	c.t = c.t.Add(currentFor)
	if got := reason(serve); got != "nobody" {
		t.Errorf("after it was deleted: %q", got)
	}
}

func TestTroubleWithTheDatabaseIsNotNobody(t *testing.T) {
	b, _ := newBook(t)
	ctx, cancel := context.WithCancel(t.Context())
	must(t, b.Add(ctx, Account{Name: "a"}, "password"))
	cancel()
	if _, _, err := b.Password(ctx, "a", "password"); err == nil {
		t.Error("Password says no instead of trouble")
	}
	if _, err := b.Scram(ctx, "a"); err == nil {
		t.Error("Scram makes keys up instead of trouble")
	}
	if _, err := b.Current(ctx, "a"); err == nil || errors.Is(err, ErrUnknown) {
		t.Error("Current finds nobody instead of trouble")
	}
	if _, err := b.List(ctx); err == nil {
		t.Error("List finds nobody instead of trouble")
	}
	if _, err := b.Count(ctx); err == nil {
		t.Error("Count finds nobody instead of trouble")
	}
	for what, err := range map[string]error{
		"Add": b.Add(ctx, Account{Name: "b"}, ""), "Delete": b.Delete(ctx, "a"), "SetCertificate": b.SetCertificate(ctx, "a", ""), "Resume": b.Resume(ctx, "a"),
	} {
		if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Open(ctx, b.db, Options{}); err == nil {
		t.Error("opened without a database")
	}
}

func TestAnEntryThatCannotBeReadIsTrouble(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	must(t, b.Add(ctx, Account{Name: "a"}, "password"))
	_, err := b.db.Write.Exec(`UPDATE account SET networks = 'x', hash = 'y'`)
	must(t, err)
	if _, err := b.Get(ctx, "a"); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("Get: %v", err)
	}
	if _, err := b.List(ctx); err == nil {
		t.Error("List")
	}
	if _, ok, err := b.Password(ctx, "a", "password"); ok || err == nil {
		t.Errorf("Password: %v, %v", ok, err)
	}
}
