package account

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/sasl"
	"ukai/internal/store"
)

func TestPassword(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	must(t, b.Add(ctx, Account{Name: "a"}, "password one"))
	must(t, b.Add(ctx, Account{Name: "cert"}, ""))
	for _, c := range []struct {
		name, password string
		want           string
	}{
		{"a", "password one", "a"}, {"A", "password one", "a"}, {"a", "password two", ""}, {"a", "", ""}, {"b", "password one", ""}, {"cert", "", ""},
		{"", "", ""}, {"no body", "x", ""}, {"a", strings.Repeat("x", 2000), ""},
	} {
		got, ok, err := b.Password(ctx, c.name, c.password)
		if got != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("%q %q: %q, %v, %v", c.name, c.password, got, ok, err)
		}
	}
	must(t, b.Suspend(ctx, "a", "spam"))
	if _, ok, _ := b.Password(ctx, "a", "password one"); !ok {
		t.Error("a suspended account cannot log in, and is never told why it cannot send")
	}
}

func TestARightPasswordIsRememberedUntilItChangesOrTimeIsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ukai.db")
	c := &clock{time.Unix(1_700_000_000, 0)}
	serve, cli := open(t, path, c), open(t, path, c)
	ctx := t.Context()
	must(t, cli.Add(ctx, Account{Name: "a"}, "password one"))
	login := func(password string) bool {
		t.Helper()
		_, ok, err := serve.Password(ctx, "a", password)
		must(t, err)
		return ok
	}
	// With all places taken, only what is remembered gets through.
	blocked := func(password string) bool {
		t.Helper()
		serve.slots <- struct{}{}
		serve.slots <- struct{}{}
		defer func() { <-serve.slots; <-serve.slots }()
		ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, ok, err := serve.Password(ctx, "a", password)
		return !ok && err != nil
	}
	if login("password two") || !blocked("password one") {
		t.Error("something was remembered before a login")
	}
	if !login("password one") || blocked("password one") || !blocked("password two") {
		t.Error("the right password is not remembered, or a wrong one is")
	}
	c.t = c.t.Add(5 * time.Minute)
	if !blocked("password one") {
		t.Error("remembered for too long")
	}
	if !login("password one") {
		t.Error("refused after that")
	}
	must(t, cli.SetPassword(ctx, "a", "password two"))
	if login("password one") || !login("password two") {
		t.Error("the old password lives on")
	}
	must(t, cli.Delete(ctx, "a"))
	if login("password two") {
		t.Error("a deleted account lives on")
	}
}

func TestWhatIsRememberedHasABound(t *testing.T) {
	b, c := newBook(t)
	for i := range maxRemembered + 1 {
		b.setRight([32]byte{byte(i), byte(i >> 8)})
	}
	if n := len(b.right); n != 1 {
		t.Errorf("%d remembered", n)
	}
	must(t, b.Add(t.Context(), Account{Name: "a"}, ""))
	for i := range maxRemembered {
		b.current[strings.Repeat("x", i)] = seen{at: c.t}
	}
	if _, err := b.Current(t.Context(), "a"); err != nil || len(b.current) != 1 {
		t.Errorf("%d current, %v", len(b.current), err)
	}
}

func TestNoMoreChecksAtATimeThanAllowed(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	must(t, b.Add(ctx, Account{Name: "a"}, "password one"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, ok, err := b.Password(ctx, "a", "password two"); ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		})
	}
	wg.Wait()
	if len(b.slots) != 0 || cap(b.slots) != 2 {
		t.Errorf("%d of %d places taken", len(b.slots), cap(b.slots))
	}
}

func TestAPlaceThatDoesNotGetFreeIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Book{slots: make(chan struct{}, 1)}
		must(t, b.enter(t.Context()))
		start := time.Now()
		if err := b.enter(t.Context()); !errors.Is(err, ErrBusy) || time.Since(start) != maxWait {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		go func() {
			time.Sleep(time.Second)
			b.leave()
		}()
		must(t, b.enter(t.Context()))
		if _, err := b.derive(t.Context(), "password"); !errors.Is(err, ErrBusy) {
			t.Errorf("derive: %v", err)
		}
	})
}

func TestScramKeysAreThoseOfThePassword(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	must(t, b.Add(ctx, Account{Name: "a"}, "password one"))
	got, err := b.Scram(ctx, "A")
	must(t, err)
	want, err := sasl.DeriveKeys("password one", got.Salt, got.Iterations)
	must(t, err)
	want.Account = "a"
	if !reflect.DeepEqual(got, want) || len(got.Salt) != 16 || got.Iterations < 4096 {
		t.Errorf("%+v", got)
	}
}

func TestMadeUpScramKeysLookLikeOthersAndStayTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ukai.db")
	c := &clock{time.Now()}
	b, again := open(t, path, c), open(t, path, c)
	ctx := t.Context()
	must(t, b.Add(ctx, Account{Name: "a"}, "password one"))
	must(t, b.Add(ctx, Account{Name: "cert"}, ""))
	real, err := b.Scram(ctx, "a")
	must(t, err)
	salts := map[string]bool{}
	for _, name := range []string{"nobody", "somebody", "cert", "no body", ""} {
		one, err := b.Scram(ctx, name)
		must(t, err)
		two, err := again.Scram(ctx, name)
		must(t, err)
		if !reflect.DeepEqual(one, two) || one.Account != "" || len(one.Salt) != len(real.Salt) || one.Iterations != real.Iterations ||
			len(one.StoredKey) != len(real.StoredKey) || len(one.ServerKey) != len(real.ServerKey) {
			t.Errorf("%q: %+v and %+v", name, one, two)
		}
		salts[string(one.Salt)] = true
	}
	if len(salts) != 5 {
		t.Errorf("%d salts for 5 names", len(salts))
	}
	upper, err := b.Scram(ctx, "NoBody")
	must(t, err)
	lower, err := b.Scram(ctx, "nobody")
	must(t, err)
	if !reflect.DeepEqual(upper, lower) {
		t.Error("the case of an unknown name shows that it is unknown")
	}
}

func certificate(t *testing.T, cn string, emails ...string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, EmailAddresses: emails, DNSNames: []string{"host.test"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

func TestCertificate(t *testing.T) {
	b, _ := newBook(t)
	ctx := t.Context()
	pinned, named, stranger := certificate(t, "x"), certificate(t, "Not An Account", "Shop@test"), certificate(t, "nobody")
	sum := sha256.Sum256(pinned.Raw)
	must(t, b.Add(ctx, Account{Name: "pinned", Certificate: hex.EncodeToString(sum[:])}, ""))
	must(t, b.Add(ctx, Account{Name: "shop@test"}, ""))
	signed := [][]*x509.Certificate{{}}
	for name, c := range map[string]struct {
		state tls.ConnectionState
		want  string
	}{
		"no certificate":                {tls.ConnectionState{}, ""},
		"its fingerprint is known":      {tls.ConnectionState{PeerCertificates: []*x509.Certificate{pinned}}, "pinned"},
		"names an account but unsigned": {tls.ConnectionState{PeerCertificates: []*x509.Certificate{named}}, ""},
		"names an account, signed":      {tls.ConnectionState{PeerCertificates: []*x509.Certificate{named}, VerifiedChains: signed}, "shop@test"},
		"names nobody, signed":          {tls.ConnectionState{PeerCertificates: []*x509.Certificate{stranger}, VerifiedChains: signed}, ""},
	} {
		if got := b.Certificate(ctx, &c.state); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if got := b.Certificate(gone, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{pinned}}); got != "" {
		t.Errorf("without a database: %q", got)
	}
}

func TestHashes(t *testing.T) {
	h := hashPassword("password", []byte("0123456789abcdef"))
	if !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(h)
	}
	if ok, err := checkPassword("password", h); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	// The test vector of the reference implementation's test.c: argon2id, v=19, m=2^16, t=2, p=1, "password", "somesalt".
	if ok, err := checkPassword("password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"); !ok || err != nil {
		t.Errorf("reference: %v, %v", ok, err)
	}
	if ok, err := checkPassword("", nobody); ok || err != nil {
		t.Errorf("nobody: %v, %v", ok, err)
	}
	for _, bad := range []string{
		"", "x", "$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=18$m=8,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=0,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=8,t=1,p=0$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=8,t=1,p=1$A$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=1$AAAA$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$*", "$argon2id$v=19$m=a,t=1,p=1$AAAA$AAAA",
	} {
		if ok, err := checkPassword("password", bad); ok || err == nil {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
	}
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("password", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, password, phc string) {
		if strings.Contains(phc, "t=") && len(phc) > 30 && !strings.Contains(phc, "m=8,t=1,p=1$") {
			return // only as dear as the numbers in it
		}
		if ok, err := checkPassword(password, phc); ok && err != nil {
			t.Errorf("%q: both right and broken", phc)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("a@b")
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := Name(s); err == nil {
			if again, err := Name(name); again != name || err != nil || strings.ContainsAny(name, " \t\r\n\x00/") {
				t.Errorf("%q: %q, then %q, %v", s, name, again, err)
			}
		}
	})
}

func BenchmarkCurrent(b *testing.B) {
	db, err := store.Open(filepath.Join(b.TempDir(), "ukai.db"), false)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	book, err := Open(b.Context(), db, Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := book.Add(b.Context(), Account{Name: "a"}, ""); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := book.Current(b.Context(), "a"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPassword(b *testing.B) {
	h := hashPassword("password", random(16))
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := checkPassword("password", h); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
