package sasl

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNewClientChoosesTheSafestMechanismThatMayBeUsed(t *testing.T) {
	for _, c := range []struct {
		offered string
		plainOK bool
		want    string
	}{
		{"PLAIN LOGIN SCRAM-SHA-256", true, ScramSHA256},
		{"PLAIN LOGIN scram-sha-256", false, ScramSHA256},
		{"LOGIN PLAIN", true, Plain},
		{"CRAM-MD5 login", true, Login},
		{"PLAIN LOGIN", false, ""},
		{"CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256-PLUS", true, ""},
		{"", true, ""},
	} {
		got, err := NewClient(strings.Fields(c.offered), "u", "p", c.plainOK)
		if c.want == "" {
			if !errors.Is(err, ErrMechanism) {
				t.Errorf("%q, plainOK %v: error %v, want ErrMechanism", c.offered, c.plainOK, err)
			}
			continue
		}
		if err != nil || got.Mechanism() != c.want {
			t.Errorf("%q, plainOK %v: %v, %v; want %s", c.offered, c.plainOK, got, err, c.want)
		}
	}
	if _, err := NewClient([]string{Plain}, "u", "p\x00q", true); !errors.Is(err, ErrCredentials) {
		t.Errorf("a NUL in a password for PLAIN: %v", err)
	}
	for _, bad := range [][2]string{{"u\n", "p"}, {"u", "p\t"}} {
		if _, err := NewClient([]string{ScramSHA256}, bad[0], bad[1], true); !errors.Is(err, ErrPrep) {
			t.Errorf("%q: %v, want ErrPrep", bad, err)
		}
	}
}

// creds knows one account.
func creds(t testing.TB, name, password, account string) Credentials {
	keys, err := DeriveKeys(password, []byte("0123456789abcdef"), minIterations)
	if err != nil {
		t.Fatal(err)
	}
	return Credentials{
		Password: func(n, p string) (string, bool, error) { return account, n == name && p == password, nil },
		Scram: func(n string) (Keys, error) {
			k := keys
			if n == name {
				k.Account = account
			}
			return k, nil
		},
		External: func() string { return account },
	}
}

// converse lets a client and a server talk until the server is done.
func converse(c Client, s Server) (account string, err error) {
	in, err := c.Start()
	if err != nil {
		return "", err
	}
	for range 10 {
		challenge, done, account, err := s.Next(in)
		if err != nil || done {
			if err == nil {
				err = Complete(c)
			}
			return account, err
		}
		if in, err = c.Next(challenge); err != nil {
			return "", err
		}
	}
	return "", errors.New("no end of the conversation")
}

func TestClientAndServerAgreeInEveryMechanism(t *testing.T) {
	for _, mech := range []string{Plain, Login, ScramSHA256} {
		for _, c := range []struct {
			name, user, password string
			want                 error
		}{
			{"right", "u,s=er", "pass, =word", nil},
			{"wrong password", "u,s=er", "password", ErrCredentials},
			{"unknown name", "other", "pass, =word", ErrCredentials},
			{"invisible characters in the name", "u,\u00ads=er", "pass, =word", nil},
		} {
			client, err := NewClient([]string{mech}, c.user, c.password, true)
			if err != nil {
				t.Fatal(err)
			}
			server, err := NewServer(strings.ToLower(mech), creds(t, "u,s=er", "pass, =word", "acc"))
			if err != nil {
				t.Fatal(err)
			}
			account, err := converse(client, server)
			if !errors.Is(err, c.want) || (err == nil) != (account == "acc") {
				t.Errorf("%s, %s: account %q, error %v, want %v", mech, c.name, account, err, c.want)
			}
		}
	}
}

func TestEveryNameAndPasswordGoesThroughScramUnchanged(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`[ -~äß漢=,]{1,20}`)
		name, password := text.Draw(r, "name"), text.Draw(r, "password")
		client, err := newScramClient(name, password)
		if err != nil {
			r.Fatal(err)
		}
		server, err := NewServer(ScramSHA256, creds(t, name, password, "acc"))
		if err != nil {
			r.Fatal(err)
		}
		if account, err := converse(client, server); err != nil || account != "acc" {
			r.Fatalf("%q %q: %q, %v", name, password, account, err)
		}
	})
}

func TestNewServerServesOnlyWhatItHasCredentialsFor(t *testing.T) {
	for _, mech := range []string{Plain, Login, ScramSHA256, External, "CRAM-MD5", ""} {
		if _, err := NewServer(mech, Credentials{}); !errors.Is(err, ErrMechanism) {
			t.Errorf("%s without credentials: %v", mech, err)
		}
	}
}

func TestServersRefuse(t *testing.T) {
	for _, c := range []struct {
		name, mech string
		responses  []string
		want       error
	}{
		{"PLAIN without password", Plain, []string{"\x00u\x00"}, ErrSyntax},
		{"PLAIN without name", Plain, []string{"\x00\x00p"}, ErrSyntax},
		{"PLAIN with two fields", Plain, []string{"u\x00p"}, ErrSyntax},
		{"PLAIN with four fields", Plain, []string{"\x00u\x00p\x00q"}, ErrSyntax},
		{"PLAIN acting for another", Plain, []string{"root\x00u\x00p"}, ErrCredentials},
		{"PLAIN with a control character in the name", Plain, []string{"\x00u\n\x00p"}, ErrCredentials},
		{"PLAIN with a control character in the password", Plain, []string{"\x00u\x00p\n"}, ErrCredentials},
		{"LOGIN without name", Login, []string{"", "p"}, ErrCredentials},
		{"LOGIN without password", Login, []string{"u", ""}, ErrCredentials},
		{"EXTERNAL acting for another", External, []string{"root"}, ErrCredentials},
		{"SCRAM insisting on channel binding", ScramSHA256, []string{"p=tls-unique,,n=u,r=abc"}, ErrSyntax},
		{"SCRAM acting for another", ScramSHA256, []string{"n,a=root,n=u,r=abc"}, ErrCredentials},
		{"SCRAM with an authzid that is none", ScramSHA256, []string{"n,root,n=u,r=abc"}, ErrSyntax},
		{"SCRAM with a mandatory extension", ScramSHA256, []string{"n,,m=x,n=u,r=abc"}, ErrSyntax},
		{"SCRAM with a bad escape", ScramSHA256, []string{"n,,n=u=3d,r=abc"}, ErrSyntax},
		{"SCRAM without name", ScramSHA256, []string{"n,,n=,r=abc"}, ErrSyntax},
		{"SCRAM with a control character in the name", ScramSHA256, []string{"n,,n=u\n,r=abc"}, ErrCredentials},
		{"SCRAM without nonce", ScramSHA256, []string{"n,,n=u,r="}, ErrSyntax},
		{"SCRAM too short", ScramSHA256, []string{"n,"}, ErrSyntax},
		{"SCRAM bare too short", ScramSHA256, []string{"n,,n=u"}, ErrSyntax},
		{"SCRAM without proof", ScramSHA256, []string{"n,,n=u,r=abc", "c=biws,r=abc"}, ErrSyntax},
		{"SCRAM with a short proof", ScramSHA256, []string{"n,,n=u,r=abc", "c=biws,r=abc,p=YWJj"}, ErrSyntax},
		{"SCRAM with another nonce", ScramSHA256, []string{"n,,n=u,r=abc", "c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="}, ErrCredentials},
		{"SCRAM with another header", ScramSHA256, []string{"n,,n=u,r=abc", "c=eSws,r=abcSRV,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="}, ErrCredentials},
		{"SCRAM with a wrong proof", ScramSHA256, []string{"n,,n=u,r=abc", "c=biws,r=abcSRV,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="}, ErrCredentials},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := NewServer(c.mech, creds(t, "u", "p", "acc"))
			if err != nil {
				t.Fatal(err)
			}
			if ss, ok := s.(*scramServer); ok {
				ss.nonce = "SRV"
			}
			var done bool
			for _, r := range c.responses {
				var account string
				if _, done, account, err = s.Next([]byte(r)); account != "" {
					t.Fatalf("account %q", account)
				}
			}
			if !errors.Is(err, c.want) || !done {
				t.Errorf("done %v, error %v, want %v", done, err, c.want)
			}
		})
	}
}

func TestServersAskWhenTheClientSentNoInitialResponse(t *testing.T) {
	for mech, want := range map[string]string{Plain: "", Login: "Username:", ScramSHA256: "", External: ""} {
		s, err := NewServer(mech, creds(t, "u", "p", "acc"))
		if err != nil {
			t.Fatal(err)
		}
		challenge, done, _, err := s.Next(nil)
		if challenge == nil || string(challenge) != want || done || err != nil {
			t.Errorf("%s: challenge %q, done %v, error %v", mech, challenge, done, err)
		}
	}
}

func TestExternalTakesTheAccountOfTheConnection(t *testing.T) {
	for _, authzid := range []string{"", "acc"} {
		s, _ := NewServer(External, creds(t, "", "", "acc"))
		if _, done, account, err := s.Next([]byte(authzid)); !done || account != "acc" || err != nil {
			t.Errorf("authzid %q: %v %q %v", authzid, done, account, err)
		}
	}
	s, _ := NewServer(External, creds(t, "", "", ""))
	if _, _, _, err := s.Next([]byte{}); !errors.Is(err, ErrCredentials) {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestTroubleWithTheBookOfAccountsIsNotARefusal(t *testing.T) {
	trouble := errors.New("database gone")
	c := Credentials{
		Password: func(string, string) (string, bool, error) { return "", false, trouble },
		Scram:    func(string) (Keys, error) { return Keys{}, trouble },
	}
	for mech, r := range map[string]string{Plain: "\x00u\x00p", ScramSHA256: "n,,n=u,r=abc"} {
		s, _ := NewServer(mech, c)
		if _, _, _, err := s.Next([]byte(r)); !errors.Is(err, trouble) {
			t.Errorf("%s: %v", mech, err)
		}
	}
}

func TestClientsDoNotAnswerMoreThanTheMechanismAsks(t *testing.T) {
	for mech, rounds := range map[string]int{Plain: 0, Login: 2} {
		c, err := NewClient([]string{mech}, "u", "p", true)
		if err != nil {
			t.Fatal(err)
		}
		if err := Complete(c); err != nil {
			t.Errorf("%s cannot prove the server, and does not ask for it: %v", mech, err)
		}
		for range rounds {
			if _, err := c.Next(nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Next(nil); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s, one challenge too many: %v", mech, err)
		}
	}
}

func TestPrep(t *testing.T) {
	for in, want := range map[string]string{"": "", "user": "user", "a\u00a0b\u3000c": "a b c", "I\u00adX": "IX", "漢字ß": "漢字ß"} {
		if got, err := Prep(in); got != want || err != nil {
			t.Errorf("Prep(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{"a\x00", "\x7f", "é\n", "é\u0080", "\xff", "\ue000", "\ufdd0", "é\ufffd", "\u202e", "\u2028"} {
		if got, err := Prep(bad); !errors.Is(err, ErrPrep) {
			t.Errorf("Prep(%q) = %q, %v, want ErrPrep", bad, got, err)
		}
	}
}
