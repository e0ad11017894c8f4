package sasl

import (
	"encoding/base64"
	"errors"
	"testing"
)

// The example of RFC 7677, section 3.
const (
	exClientNonce = "rOprNGfwEbeRWgbNEkqO"
	exServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	exSalt        = "W22ZaJ0SNY7soEsUEjb6gQ=="
	exServerFirst = "r=" + exClientNonce + exServerNonce + ",s=" + exSalt + ",i=4096"
	exClientFinal = "c=biws,r=" + exClientNonce + exServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	exServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func exampleClient(t *testing.T) *scramClient {
	c, err := newScramClient("user", "pencil")
	if err != nil {
		t.Fatal(err)
	}
	c.nonce = exClientNonce
	if got, err := c.Start(); string(got) != "n,,n=user,r="+exClientNonce || err != nil {
		t.Fatalf("client-first-message %q, %v", got, err)
	}
	return c
}

func TestTheClientSpeaksTheExampleOfRFC7677(t *testing.T) {
	c := exampleClient(t)
	if got, err := c.Next([]byte(exServerFirst)); string(got) != exClientFinal || err != nil {
		t.Fatalf("client-final-message %q, %v", got, err)
	}
	if err := Complete(c); !errors.Is(err, ErrServer) {
		t.Errorf("complete before the server's proof: %v", err)
	}
	if got, err := c.Next([]byte(exServerFinal)); len(got) != 0 || got == nil || err != nil {
		t.Fatalf("answer to the proof %q, %v", got, err)
	}
	if err := Complete(c); err != nil {
		t.Errorf("complete: %v", err)
	}
	if _, err := c.Next(nil); !errors.Is(err, ErrSyntax) {
		t.Errorf("a third challenge: %v", err)
	}
}

func TestTheServerSpeaksTheExampleOfRFC7677(t *testing.T) {
	salt, _ := base64.StdEncoding.DecodeString(exSalt)
	keys, err := DeriveKeys("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	keys.Account = "acc"
	s := &scramServer{nonce: exServerNonce, keys: func(name string) (Keys, error) {
		if name != "user" {
			t.Errorf("asked for %q", name)
		}
		return keys, nil
	}}
	if got, done, _, err := s.Next([]byte("n,,n=user,r=" + exClientNonce)); string(got) != exServerFirst || done || err != nil {
		t.Fatalf("server-first-message %q, %v, %v", got, done, err)
	}
	if got, done, _, err := s.Next([]byte(exClientFinal)); string(got) != exServerFinal || done || err != nil {
		t.Fatalf("server-final-message %q, %v, %v", got, done, err)
	}
	if _, done, account, err := s.Next([]byte{}); !done || account != "acc" || err != nil {
		t.Fatalf("end: %v %q %v", done, account, err)
	}
	if _, _, _, err := s.Next([]byte{}); !errors.Is(err, ErrSyntax) {
		t.Errorf("after the end: %v", err)
	}
}

func TestTheServerWantsNoAnswerToItsProof(t *testing.T) {
	s := &scramServer{step: 2}
	if _, _, account, err := s.Next([]byte("x")); !errors.Is(err, ErrSyntax) || account != "" {
		t.Errorf("%q, %v", account, err)
	}
}

func TestAStoredKeyOfTheWrongLengthIsTroubleAndNotARefusal(t *testing.T) {
	s := &scramServer{nonce: "S", keys: func(string) (Keys, error) { return Keys{Account: "a", Salt: []byte("s"), Iterations: 4096}, nil }}
	if _, _, _, err := s.Next([]byte("n,,n=u,r=abc")); err != nil {
		t.Fatal(err)
	}
	_, done, _, err := s.Next([]byte("c=biws,r=abcS,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if err == nil || errors.Is(err, ErrCredentials) || errors.Is(err, ErrSyntax) || !done {
		t.Errorf("done %v, error %v", done, err)
	}
}

func TestTheClientRefusesAFalseServer(t *testing.T) {
	for name, c := range map[string]struct {
		first string
		want  error
	}{
		"nonce not ours":           {"r=xyz,s=" + exSalt + ",i=4096", ErrServer},
		"nonce without its part":   {"r=" + exClientNonce + ",s=" + exSalt + ",i=4096", ErrServer},
		"too few iterations":       {"r=" + exClientNonce + "x,s=" + exSalt + ",i=1", ErrServer},
		"too many iterations":      {"r=" + exClientNonce + "x,s=" + exSalt + ",i=1000000000", ErrServer},
		"iterations not a number":  {"r=" + exClientNonce + "x,s=" + exSalt + ",i=a", ErrSyntax},
		"salt not base64":          {"r=" + exClientNonce + "x,s=*,i=4096", ErrSyntax},
		"no salt":                  {"r=" + exClientNonce + "x,s=,i=4096", ErrSyntax},
		"a mandatory extension":    {"m=x,r=" + exClientNonce + "x,s=" + exSalt + ",i=4096", ErrSyntax},
		"too short":                {"r=" + exClientNonce, ErrSyntax},
		"an error for the message": {"e=other-error", ErrSyntax},
	} {
		if got, err := exampleClient(t).Next([]byte(c.first)); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: answered %q, %v, want %v", name, got, err, c.want)
		}
	}
	for final, want := range map[string]error{
		"v=" + exSalt: ErrServer, "v=*": ErrServer, "v=": ErrServer, "": ErrSyntax, "x": ErrSyntax, "e=invalid-proof": ErrCredentials,
	} {
		c := exampleClient(t)
		if _, err := c.Next([]byte(exServerFirst)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte(final)); !errors.Is(err, want) {
			t.Errorf("server-final-message %q: %v, want %v", final, err, want)
		}
		if err := Complete(c); !errors.Is(err, ErrServer) {
			t.Errorf("server-final-message %q: complete: %v", final, err)
		}
	}
}

func TestDeriveKeysRefusesWhatPrepRefuses(t *testing.T) {
	if _, err := DeriveKeys("a\x00", []byte("salt"), 4096); !errors.Is(err, ErrPrep) {
		t.Error(err)
	}
}

// FuzzScram feeds both sides with anything: neither may panic, and nobody gets in without the password.
func FuzzScram(f *testing.F) {
	f.Add("n,,n=user,r="+exClientNonce, exClientFinal, exServerFirst, exServerFinal)
	f.Add("y,a=user,n=us=2Cer,r=x,t=1", "c=,r=,p=", "r=,s=,i=", "e=")
	keys := creds(f, "user", "pencil", "acc").Scram
	f.Fuzz(func(t *testing.T, clientFirst, clientFinal, serverFirst, serverFinal string) {
		s := &scramServer{nonce: "S", keys: keys}
		for _, r := range []string{clientFirst, clientFinal, ""} {
			_, done, account, _ := s.Next([]byte(r))
			if account != "" {
				t.Fatalf("let in by %q, %q", clientFirst, clientFinal)
			}
			if done {
				break
			}
		}
		c := exampleClient(t)
		if _, err := c.Next([]byte(serverFirst)); err != nil {
			return
		}
		if _, err := c.Next([]byte(serverFinal)); err == nil && serverFirst+serverFinal != exServerFirst+exServerFinal {
			t.Fatalf("believed %q, %q", serverFirst, serverFinal)
		}
	})
}
