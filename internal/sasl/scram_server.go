package sasl

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

type scramServer struct {
	keys  func(name string) (Keys, error)
	nonce string // ours; the client's is put before it

	step        int
	gs2         string
	firstBare   string
	serverFirst string
	fullNonce   string
	account     Keys
}

// Next takes client-first-message, client-final-message and the empty response to our proof.
func (s *scramServer) Next(response []byte) (challenge []byte, done bool, account string, err error) {
	if response == nil && s.step == 0 {
		return []byte{}, false, "", nil
	}
	s.step++
	switch s.step {
	case 1:
		challenge, err = s.first(string(response))
		return challenge, err != nil, "", err
	case 2:
		challenge, err = s.final(string(response))
		return challenge, err != nil, "", err
	case 3:
		// SMTP has no room for data beside its final 235: the server's proof went out as a challenge, and the client answers it
		// with nothing (RFC 4954, section 4).
		if len(response) != 0 {
			return nil, true, "", fmt.Errorf("an answer to the server's proof: %w", ErrSyntax)
		}
		return nil, true, s.account.Account, nil
	}
	return nil, true, "", ErrSyntax
}

// first answers client-first-message with server-first-message.
func (s *scramServer) first(msg string) ([]byte, error) {
	first, err := parseClientFirst(msg)
	if err != nil {
		return nil, err
	}
	name, err := Prep(first.name)
	if err != nil {
		return nil, ErrCredentials
	}
	if first.authzid != "" && first.authzid != first.name { // nobody acts for another here
		return nil, ErrCredentials
	}
	if s.account, err = s.keys(name); err != nil {
		return nil, err
	}
	s.gs2, s.firstBare = first.gs2, first.bare
	s.fullNonce = first.nonce + s.nonce
	s.serverFirst = "r=" + s.fullNonce + ",s=" + base64.StdEncoding.EncodeToString(s.account.Salt) + ",i=" + strconv.Itoa(s.account.Iterations)
	return []byte(s.serverFirst), nil
}

// final checks client-final-message and answers with the server's proof.
func (s *scramServer) final(msg string) ([]byte, error) {
	withoutProof, proof64, ok := cutLast(msg, ",p=")
	fields := strings.Split(withoutProof, ",")
	if !ok || len(fields) < 2 || !strings.HasPrefix(fields[0], "c=") || !strings.HasPrefix(fields[1], "r=") {
		return nil, fmt.Errorf("client-final-message: %w", ErrSyntax)
	}
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if err != nil || len(proof) != sha256.Size {
		return nil, fmt.Errorf("proof in client-final-message: %w", ErrSyntax)
	}
	if fields[0][2:] != base64.StdEncoding.EncodeToString([]byte(s.gs2)) || fields[1][2:] != s.fullNonce {
		return nil, ErrCredentials // of another conversation
	}
	authMessage := s.firstBare + "," + s.serverFirst + "," + withoutProof
	if len(s.account.StoredKey) != sha256.Size {
		return nil, fmt.Errorf("stored SCRAM key of %d octets", len(s.account.StoredKey))
	}
	clientKey := xor(proof, mac(s.account.StoredKey, authMessage))
	stored := sha256.Sum256(clientKey)
	if !hmac.Equal(stored[:], s.account.StoredKey) || s.account.Account == "" {
		return nil, ErrCredentials
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(s.account.ServerKey, authMessage))), nil
}

type clientFirst struct {
	gs2, authzid, bare, name, nonce string
}

// parseClientFirst reads gs2-header client-first-message-bare (RFC 5802, section 7).
func parseClientFirst(msg string) (f clientFirst, err error) {
	parts := strings.SplitN(msg, ",", 3)
	if len(parts) != 3 {
		return f, fmt.Errorf("client-first-message: %w", ErrSyntax)
	}
	// "y" means that the client would bind the channel but believes that we cannot, which is true. "p=" insists on it.
	if parts[0] != "n" && parts[0] != "y" {
		return f, fmt.Errorf("channel binding is not offered: %w", ErrSyntax)
	}
	if parts[1] != "" {
		authzid, ok := strings.CutPrefix(parts[1], "a=")
		if f.authzid, err = saslName(authzid); !ok || err != nil {
			return f, fmt.Errorf("authzid in client-first-message: %w", ErrSyntax)
		}
	}
	f.gs2, f.bare = parts[0]+","+parts[1]+",", parts[2]
	fields := strings.Split(f.bare, ",") // a mandatory extension (m=) would stand first and is refused with what is not n=
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "n=") || !strings.HasPrefix(fields[1], "r=") {
		return f, fmt.Errorf("client-first-message-bare: %w", ErrSyntax)
	}
	if f.name, err = saslName(fields[0][2:]); err != nil || f.name == "" {
		return f, fmt.Errorf("name in client-first-message: %w", ErrSyntax)
	}
	f.nonce = fields[1][2:]
	if !printable(f.nonce) {
		return f, fmt.Errorf("nonce in client-first-message: %w", ErrSyntax)
	}
	return f, nil
}

// saslName undoes "=2C" and "=3D"; any other "=" is an error (RFC 5802, section 5.1).
func saslName(s string) (string, error) {
	if !strings.Contains(s, "=") {
		return s, nil
	}
	if strings.Count(s, "=") != strings.Count(s, "=2C")+strings.Count(s, "=3D") {
		return "", ErrSyntax
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), nil
}

// printable is RFC 5802's 1*printable: %x21-2B / %x2D-7E.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x21 || s[i] > 0x7E || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
