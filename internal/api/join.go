package api

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/servers"
)

// Join is all that a mail server on another machine needs to know of its hub. As a text it is one word that can be copied; it
// holds a secret.
type Join struct {
	Name        string `json:"n"` // of the server
	Secret      string `json:"s"`
	Hub         string `json:"h"` // name of the hub, for people
	Relay       string `json:"r"` // where mail is handed in, host:port
	TLS         bool   `json:"t"` // the server has to insist on TLS there
	Agents      string `json:"a"` // where the agent asks, host:port
	Fingerprint string `json:"f"` // SHA-256 of the certificate there, in 64 hexadecimal digits
}

// joinPrefix tells what the word is, and how it is made.
const joinPrefix = "ukai1."

// String returns the word.
func (j *Join) String() string {
	text, err := json.Marshal(j)
	if err != nil {
		panic("bug: a token cannot be written: " + err.Error())
	}
	return joinPrefix + base64.RawURLEncoding.EncodeToString(text)
}

// maxJoin is more than any word has.
const maxJoin = 2000

// ParseJoin reads the word. A part of it that was lost in copying is noticed.
func ParseJoin(word string) (*Join, error) {
	wrong := func(cause error) error { return i18n.Errorf("api.join.unreadable", "cause", cause) }
	rest, ok := strings.CutPrefix(strings.TrimSpace(word), joinPrefix)
	if !ok || len(rest) > maxJoin {
		return nil, i18n.Errorf("api.join.no_token", "begin", joinPrefix)
	}
	text, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil {
		return nil, wrong(err)
	}
	var j Join
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, wrong(err)
	}
	if j.Name, err = servers.Name(j.Name); err != nil {
		return nil, wrong(err)
	}
	for _, a := range []string{j.Relay, j.Agents} {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return nil, wrong(err)
		}
	}
	if len(j.Fingerprint) != 64 || len(j.Secret) < 20 {
		return nil, i18n.Errorf("api.join.no_token", "begin", joinPrefix)
	}
	return &j, nil
}
