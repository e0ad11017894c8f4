package api_test

import (
	"strings"
	"testing"

	"ukai/internal/api"
)

var token = api.Join{
	Name: "web1", Secret: strings.Repeat("A", 26), Hub: "hub.example.org", Relay: "hub.example.org:587", TLS: true, Agents: "[2001:db8::1]:8027",
	Fingerprint: strings.Repeat("0a", 32),
}

func TestATokenIsOneWordAndSurvivesCopying(t *testing.T) {
	word := token.String()
	if strings.ContainsAny(word, " \n'\"$&|;<>()") {
		t.Errorf("a shell takes it apart: %s", word)
	}
	got, err := api.ParseJoin("  " + word + "\n")
	if err != nil || *got != token {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestATokenThatLostAPartIsNoticed(t *testing.T) {
	word := token.String()
	for n := range len(word) {
		if _, err := api.ParseJoin(word[:n]); err == nil {
			t.Errorf("the first %d of %d letters are taken", n, len(word))
		}
	}
	for what, spoil := range map[string]func(*api.Join){
		"no name": func(j *api.Join) { j.Name = "" }, "a path as name": func(j *api.Join) { j.Name = "../etc" }, "no relay": func(j *api.Join) { j.Relay = "" },
		"no port": func(j *api.Join) { j.Agents = "hub.example.org" }, "short secret": func(j *api.Join) { j.Secret = "x" }, "no fingerprint": func(j *api.Join) { j.Fingerprint = "" },
	} {
		j := token
		spoil(&j)
		if _, err := api.ParseJoin(j.String()); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

func FuzzParseJoin(f *testing.F) {
	f.Add(token.String())
	f.Add("ukai1.e30")
	f.Add("ukai1.")
	f.Fuzz(func(t *testing.T, word string) {
		j, err := api.ParseJoin(word)
		if err != nil {
			return
		}
		if strings.ContainsAny(j.Name, "/\\ \x00") || len(j.Secret) < 20 {
			t.Errorf("%q became %+v", word, j)
		}
		if again, err := api.ParseJoin(j.String()); err != nil || *again != *j {
			t.Errorf("%+v, again %+v, %v", j, again, err)
		}
	})
}
