// Package sasl proves to a mail server who we are, and checks who a client is: the mechanisms PLAIN (RFC 4616), LOGIN
// (draft-murchison-sasl-login, never a standard, still what many clients speak), SCRAM-SHA-256 (RFC 5802, RFC 7677) and
// EXTERNAL (RFC 4422, appendix A).
//
// SASL (RFC 4422) is a conversation of challenges and responses in which only the mechanism knows what the octets mean. The
// protocol around it (for SMTP: AUTH, RFC 4954) carries them in base64 and ends the conversation; neither is done here.
//
// PLAIN and LOGIN hand the password to the peer. SCRAM does not: each side shows that it knows a key made of the password,
// and the server too must show it, so that a false server learns nothing and is found out. With SCRAM the server keeps only
// Keys, from which the password does not follow and with which one cannot log in.
//
// Channel binding (the -PLUS mechanisms) is not spoken: a TLS terminator in front would break it.
package sasl

import (
	"errors"
	"slices"
	"strings"
)

// Names of the mechanisms, as they stand in the EHLO reply.
const (
	Plain       = "PLAIN"
	Login       = "LOGIN"
	ScramSHA256 = "SCRAM-SHA-256"
	External    = "EXTERNAL"
)

// Errors that a caller branches on.
var (
	// ErrMechanism means that no mechanism is offered which we may use: none in common, or only PLAIN and LOGIN where the
	// password must not travel in the clear.
	ErrMechanism = errors.New("no usable authentication mechanism")
	// ErrCredentials means that the name, the password or the proof is wrong (SMTP: 535 5.7.8).
	ErrCredentials = errors.New("authentication credentials invalid")
	// ErrSyntax means that the peer broke the rules of the mechanism (SMTP: 501 5.5.2).
	ErrSyntax = errors.New("malformed authentication exchange")
	// ErrServer means that the server could not show that it knows our key: it is not the one that holds the account.
	ErrServer = errors.New("the server did not prove its identity")
)

// Client is our side of one conversation. It is used once, by one goroutine.
type Client interface {
	// Mechanism returns the name to send with AUTH.
	Mechanism() string
	// Start returns the initial response. It is nil when the mechanism has none and waits for a challenge.
	Start() (initial []byte, err error)
	// Next answers a challenge, both without base64. After an error the exchange must be cancelled ("*", RFC 4954, section 4).
	Next(challenge []byte) (response []byte, err error)
}

// NewClient chooses the safest of the offered mechanisms: SCRAM-SHA-256, else PLAIN, else LOGIN. The last two are used only
// with plainOK, which the caller gives when the connection is encrypted. It returns ErrMechanism where none is left.
func NewClient(offered []string, username, password string, plainOK bool) (Client, error) {
	has := func(name string) bool {
		return slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, name) })
	}
	switch {
	case has(ScramSHA256):
		return newScramClient(username, password)
	case plainOK && has(Plain):
		return newPlainClient(username, password)
	case plainOK && has(Login):
		return &loginClient{username: username, password: password}, nil
	}
	return nil, ErrMechanism
}

// Complete is asked after the server has said yes (235): it returns ErrServer when the mechanism lets the server prove who
// it is and it has not done so, and nil otherwise. A server that skips its proof must not be given mail.
func Complete(c Client) error {
	if v, ok := c.(interface{ complete() error }); ok {
		return v.complete()
	}
	return nil
}
