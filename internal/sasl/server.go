package sasl

import (
	"fmt"
	"strings"
)

// Server is the server's side of one conversation. It is used once, by one goroutine.
type Server interface {
	// Next takes a response (nil: the client sent none with AUTH) and returns the next challenge, or done. With done and a nil
	// error the account is not empty and the client is who it says. An error other than ErrCredentials and ErrSyntax comes from
	// Credentials and is temporary.
	Next(response []byte) (challenge []byte, done bool, account string, err error)
}

// Credentials answers what a Server must know. A nil function means that its mechanisms are not served.
type Credentials struct {
	// Password checks a name and a password, both prepared.
	Password func(name, password string) (account string, ok bool, err error)
	// Scram returns the keys of a name; for an unknown one made-up keys with an empty Account, the same each time.
	Scram func(name string) (Keys, error)
	// External returns the account that the connection itself proves (a client certificate), or "".
	External func() string
}

// NewServer starts a conversation in the mechanism mech (any case), or returns ErrMechanism.
func NewServer(mech string, creds Credentials) (Server, error) {
	switch mech = strings.ToUpper(mech); {
	case mech == Plain && creds.Password != nil:
		return &plainServer{password: creds.Password}, nil
	case mech == Login && creds.Password != nil:
		return &loginServer{password: creds.Password}, nil
	case mech == ScramSHA256 && creds.Scram != nil:
		return &scramServer{keys: creds.Scram, nonce: newNonce()}, nil
	case mech == External && creds.External != nil:
		return &externalServer{account: creds.External}, nil
	}
	return nil, ErrMechanism
}

type externalServer struct{ account func() string }

// Next takes the authzid, which may be empty.
func (s *externalServer) Next(response []byte) (challenge []byte, done bool, account string, err error) {
	if response == nil {
		return []byte{}, false, "", nil
	}
	account = s.account()
	if account == "" {
		return nil, true, "", fmt.Errorf("no certificate of a known account: %w", ErrCredentials)
	}
	if authzid := string(response); authzid != "" && authzid != account { // nobody acts for another here
		return nil, true, "", ErrCredentials
	}
	return nil, true, account, nil
}
