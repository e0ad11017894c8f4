package sasl

import (
	"bytes"
	"fmt"
	"strings"
)

type plainClient struct {
	initial []byte
}

func newPlainClient(username, password string) (*plainClient, error) {
	if strings.ContainsRune(username, 0) || strings.ContainsRune(password, 0) {
		return nil, fmt.Errorf("user name or password with a NUL: %w", ErrCredentials)
	}
	// RFC 4616, section 2: authzid NUL authcid NUL passwd. Without authzid we act as who we are.
	return &plainClient{initial: []byte("\x00" + username + "\x00" + password)}, nil
}

// Mechanism returns PLAIN.
func (c *plainClient) Mechanism() string { return Plain }

// Start returns the whole of it.
func (c *plainClient) Start() ([]byte, error) { return c.initial, nil }

// Next has nothing to answer.
func (c *plainClient) Next([]byte) ([]byte, error) {
	return nil, fmt.Errorf("a challenge after PLAIN's only message: %w", ErrSyntax)
}

// loginClient answers by order, not by the text of the prompts: servers word them differently ("Username:", "User Name\x00").
type loginClient struct {
	username, password string
	step               int
}

// Mechanism returns LOGIN.
func (c *loginClient) Mechanism() string { return Login }

// Start returns nil: the server asks first.
func (c *loginClient) Start() ([]byte, error) { return nil, nil }

// Next returns the name, then the password.
func (c *loginClient) Next([]byte) ([]byte, error) {
	c.step++
	switch c.step {
	case 1:
		return []byte(c.username), nil
	case 2:
		return []byte(c.password), nil
	}
	return nil, fmt.Errorf("a third challenge in LOGIN: %w", ErrSyntax)
}

type plainServer struct {
	password func(name, password string) (string, bool, error)
}

// Next takes the one message of the mechanism.
func (s *plainServer) Next(response []byte) (challenge []byte, done bool, account string, err error) {
	if response == nil {
		return []byte{}, false, "", nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return nil, true, "", fmt.Errorf("PLAIN wants authzid NUL authcid NUL passwd: %w", ErrSyntax)
	}
	authzid, name := string(parts[0]), string(parts[1])
	if authzid != "" && authzid != name { // nobody acts for another here
		return nil, true, "", ErrCredentials
	}
	account, err = checkPassword(s.password, name, string(parts[2]))
	return nil, true, account, err
}

type loginServer struct {
	password func(name, password string) (string, bool, error)
	name     string
	haveName bool
}

// Next takes the name, then the password.
func (s *loginServer) Next(response []byte) (challenge []byte, done bool, account string, err error) {
	switch {
	case response == nil:
		return []byte("Username:"), false, "", nil
	case !s.haveName:
		s.name, s.haveName = string(response), true
		return []byte("Password:"), false, "", nil
	}
	if s.name == "" || len(response) == 0 {
		return nil, true, "", ErrCredentials
	}
	account, err = checkPassword(s.password, s.name, string(response))
	return nil, true, account, err
}

func checkPassword(check func(name, password string) (string, bool, error), name, password string) (string, error) {
	name, err := Prep(name)
	if err != nil {
		return "", ErrCredentials
	}
	if password, err = Prep(password); err != nil {
		return "", ErrCredentials
	}
	account, ok, err := check(name, password)
	if err != nil {
		return "", err
	}
	if !ok || account == "" {
		return "", ErrCredentials
	}
	return account, nil
}
