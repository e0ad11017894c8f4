package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/store"
)

var began = time.Date(2026, 4, 15, 9, 0, 0, 0, time.UTC)

// shelf is a database in which a book can be opened again and again.
func shelf(t testing.TB) (*store.DB, func(Options) *Book) {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, func(o Options) *Book {
		t.Helper()
		if o.Now == nil {
			o.Now = func() time.Time { return began }
		}
		b, err := Open(t.Context(), db, o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

var web1 = Server{
	Name: "Web1", MTA: mtaconf.Postfix, Mode: mtaconf.Steer, Place: Place{Dir: "/etc/postfix", Version: "3.7.11"}, Egress: "direct", Account: "web1",
	Logs: []string{"/var/log/mail.log"}, Routes: []mtaconf.RouteFile{{Path: "/etc/postfix/ukai", Format: mtaconf.PostfixTransport, Value: "ukai:[127.0.0.1]:2525, {domain}"}},
}

func TestAServerIsKeptAcrossARestart(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	if err := b.Add(t.Context(), web1, "word"); err != nil {
		t.Fatal(err)
	}
	b = open(Options{})
	got, err := b.Get("WEB1")
	if err != nil {
		t.Fatal(err)
	}
	want := web1
	want.Name, want.Created = "web1", began
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !got.Joined() || got.Distant() || got.PathName() != "direct" {
		t.Errorf("joined %v, distant %v, paths of %s", got.Joined(), got.Distant(), got.PathName())
	}
	if !b.Check("web1", "word") {
		t.Error("the secret is not known after a restart")
	}
}

func TestOnlyAServersOwnSecretIsRight(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	for _, s := range []Server{{Name: "a"}, {Name: "b"}} {
		if err := b.Add(t.Context(), s, "word of "+s.Name); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, secret string
		want         bool
	}{
		{"a", "word of a", true}, {"A", "word of a", true}, {"a", "word of b", false}, {"a", "", false},
		{"c", "word of a", false}, {"c", "", false}, {"", "", false},
	} {
		if got := b.Check(c.name, c.secret); got != c.want {
			t.Errorf("Check(%q, %q) = %v", c.name, c.secret, got)
		}
	}
	if err := b.SetSecret(t.Context(), "a", "another"); err != nil {
		t.Fatal(err)
	}
	if b.Check("a", "word of a") || !b.Check("a", "another") || !b.Check("b", "word of b") {
		t.Error("after a change the old secret is right, or the new one is wrong, or another's was changed")
	}
	if err := b.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if b.Check("a", "another") || !b.Check("b", "word of b") {
		t.Error("a server that is gone is let in, or one that is there is not")
	}
}

func TestASecretIsNotInTheDatabase(t *testing.T) {
	db, open := shelf(t)
	b := open(Options{})
	secret := NewSecret()
	if len(secret) != 26 || secret == NewSecret() {
		t.Fatalf("%q is no secret", secret)
	}
	if err := b.Add(t.Context(), web1, secret); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	var data string
	if err := db.Read.QueryRow(`SELECT secret, data FROM server`).Scan(&kept, &data); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(kept)+data, secret) {
		t.Error("the secret stands in the database as it is")
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	if err := b.Add(t.Context(), web1, "x"); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(t.Context(), Server{Name: "WEB1"}, "x"); !errors.Is(err, ErrExists) {
		t.Errorf("the same name in other letters: %v", err)
	}
	for what, err := range map[string]error{
		"update": b.Update(t.Context(), "none", func(*Server) {}),
		"secret": b.SetSecret(t.Context(), "none", "x"),
		"remove": b.Remove(t.Context(), "none"),
	} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s of a server that is not there: %v", what, err)
		}
	}
	if _, err := b.Get("none"); !errors.Is(err, ErrUnknown) {
		t.Errorf("get: %v", err)
	}
	b.Touch("none", began)
	b.SetDrift("none", Drift{At: began})
	for _, name := range []string{"", "-x", ".x", "_x", "a b", "a/b", "a:b", "a@b", "ウェブ", strings.Repeat("a", 65), "a\x00", "a\n"} {
		if err := b.Add(t.Context(), Server{Name: name}, "x"); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
	for _, name := range []string{"a", "1", "web-1.example.org", "Web_1", strings.Repeat("a", 64)} {
		if got, err := Name(name); err != nil || got != strings.ToLower(name) {
			t.Errorf("Name(%q) = %q, %v", name, got, err)
		}
	}
}

func TestContactIsWrittenDownAndNeverGoesBack(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	if err := b.Add(t.Context(), web1, "x"); err != nil {
		t.Fatal(err)
	}
	later := began.Add(time.Hour)
	b.Touch("web1", later)
	b.Touch("web1", began)
	b.SetDrift("web1", Drift{At: later, Files: []string{"/etc/postfix/main.cf"}})
	if s, _ := b.Get("web1"); !s.Contact.Equal(later) {
		t.Errorf("contact %v", s.Contact)
	}
	if s, _ := open(Options{}).Get("web1"); !s.Contact.IsZero() {
		t.Errorf("it is written down at each contact")
	}
	if err := b.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, _ := open(Options{}).Get("web1"); !s.Contact.Equal(later) || len(s.Drift.Files) != 1 || !s.Drift.At.Equal(later) {
		t.Errorf("after a restart: contact %v, drift %+v", s.Contact, s.Drift)
	}
}

func TestTheLastContactIsWrittenDownAtTheEnd(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	if err := b.Add(t.Context(), web1, "x"); err != nil {
		t.Fatal(err)
	}
	b.Touch("web1", began.Add(time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	if s, _ := open(Options{}).Get("web1"); s.Contact.IsZero() {
		t.Error("it is lost")
	}
}

func TestAChangeKeepsNameAgeAndContact(t *testing.T) {
	_, open := shelf(t)
	changes := 0
	b := open(Options{OnChange: func() { changes++ }})
	if err := b.Add(t.Context(), Server{Name: "web1"}, "x"); err != nil {
		t.Fatal(err)
	}
	if s, _ := b.Get("web1"); s.Joined() || s.PathName() != "web1" {
		t.Errorf("%+v", s)
	}
	at := began.Add(time.Minute)
	err := b.Update(t.Context(), "web1", func(s *Server) {
		b.Touch("web1", at) // a lookup comes in at the same moment
		s.Name, s.Created, s.MTA = "other", at, mtaconf.Qmail
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Get("web1")
	if err != nil || s.Name != "web1" || !s.Created.Equal(began) || s.MTA != mtaconf.Qmail || !s.Contact.Equal(at) {
		t.Errorf("%+v %v", s, err)
	}
	if !b.Check("web1", "x") {
		t.Error("the secret is lost")
	}
	if err := b.Remove(t.Context(), "web1"); err != nil || changes != 3 {
		t.Errorf("%v, %d changes told", err, changes)
	}
	if list := open(Options{}).List(); len(list) != 0 {
		t.Errorf("after a restart it is there again: %+v", list)
	}
}

func TestThousandsOfServersAreListedByName(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	const n = 3000
	for i := range n {
		s := web1
		s.Name = fmt.Sprintf("web%04d", (i*7919)%n)
		if err := b.Add(t.Context(), s, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		b.Touch(fmt.Sprintf("web%04d", i), began)
	}
	if err := b.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := open(Options{}).List()
	if len(list) != n || list[0].Name != "web0000" || list[n-1].Name != "web2999" || list[17].Contact.IsZero() {
		t.Errorf("%d servers, %s to %s", len(list), list[0].Name, list[len(list)-1].Name)
	}
}

func TestTheBookIsSafeForManyGoroutines(t *testing.T) {
	_, open := shelf(t)
	b := open(Options{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := fmt.Sprintf("web%d", i%4)
			for n := range 50 {
				_ = b.Add(t.Context(), Server{Name: name}, "x") // one of two that want the name gets it
				b.Touch(name, began.Add(time.Duration(n)))
				b.Check(name, "x")
				_ = b.Update(t.Context(), name, func(s *Server) { s.Egress = fmt.Sprint(n) })
				_ = b.Save(t.Context())
				if n%7 == 0 {
					_ = b.Remove(t.Context(), name)
				}
				b.List()
			}
		})
	}
	all.Wait()
	if got, want := fmt.Sprint(b.List()), fmt.Sprint(open(Options{}).List()); got != want && b.Save(t.Context()) == nil {
		if want = fmt.Sprint(open(Options{}).List()); got != want {
			t.Errorf("memory and table differ:\n%s\n%s", got, want)
		}
	}
}
