package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// gs2None says that the client does not do channel binding and acts as itself (RFC 5802, section 7: gs2-header).
const gs2None = "n,,"

type scramClient struct {
	username, password string
	nonce              string
	firstBare          string
	serverSignature    []byte
	step               int
}

func newScramClient(username, password string) (*scramClient, error) {
	username, err := Prep(username)
	if err != nil {
		return nil, fmt.Errorf("user name: %w", err)
	}
	if password, err = Prep(password); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	return &scramClient{username: username, password: password, nonce: newNonce()}, nil
}

func newNonce() string {
	var b [18]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(b[:])
}

// Mechanism returns SCRAM-SHA-256.
func (c *scramClient) Mechanism() string { return ScramSHA256 }

// Start returns client-first-message (RFC 5802, section 7).
func (c *scramClient) Start() ([]byte, error) {
	name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.username)
	c.firstBare = "n=" + name + ",r=" + c.nonce
	return []byte(gs2None + c.firstBare), nil
}

// Next answers server-first-message and checks server-final-message.
func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	c.step++
	switch c.step {
	case 1:
		return c.final(string(challenge))
	case 2:
		if err := c.verify(string(challenge)); err != nil {
			return nil, err
		}
		return []byte{}, nil
	}
	return nil, fmt.Errorf("a third challenge in SCRAM: %w", ErrSyntax)
}

// final answers server-first-message with client-final-message and keeps the signature that the server must show.
func (c *scramClient) final(serverFirst string) ([]byte, error) {
	nonce, salt, iterations, err := parseServerFirst(serverFirst)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(nonce, c.nonce) || len(nonce) == len(c.nonce) {
		return nil, fmt.Errorf("the server's nonce does not continue ours: %w", ErrServer)
	}
	if iterations < minIterations || iterations > maxIterations {
		return nil, fmt.Errorf("the server wants %d iterations, between %d and %d are allowed: %w", iterations, minIterations, maxIterations, ErrServer)
	}
	withoutProof := "c=" + base64.StdEncoding.EncodeToString([]byte(gs2None)) + ",r=" + nonce
	authMessage := c.firstBare + "," + serverFirst + "," + withoutProof

	salted, err := pbkdf2.Key(sha256.New, c.password, salt, iterations, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	proof := xor(clientKey, mac(stored[:], authMessage))
	c.serverSignature = mac(mac(salted, "Server Key"), authMessage)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify checks server-final-message.
func (c *scramClient) verify(serverFinal string) error {
	if reason, failed := strings.CutPrefix(serverFinal, "e="); failed {
		return fmt.Errorf("server says %q: %w", reason, ErrCredentials)
	}
	v, ok := strings.CutPrefix(serverFinal, "v=")
	if !ok {
		return fmt.Errorf("server-final-message without v=: %w", ErrSyntax)
	}
	v, _, _ = strings.Cut(v, ",")
	sig, err := base64.StdEncoding.DecodeString(v)
	if err != nil || !hmac.Equal(sig, c.serverSignature) {
		return ErrServer
	}
	c.serverSignature = nil
	return nil
}

func (c *scramClient) complete() error {
	if c.step < 2 || c.serverSignature != nil {
		return ErrServer
	}
	return nil
}

// parseServerFirst reads "r=nonce,s=salt,i=count" (RFC 5802, section 7); a mandatory extension (m=) is not understood.
func parseServerFirst(s string) (nonce string, salt []byte, iterations int, err error) {
	fields := strings.Split(s, ",")
	if len(fields) < 3 {
		return "", nil, 0, fmt.Errorf("server-first-message: %w", ErrSyntax)
	}
	nonce, okR := strings.CutPrefix(fields[0], "r=")
	salt64, okS := strings.CutPrefix(fields[1], "s=")
	count, okI := strings.CutPrefix(fields[2], "i=")
	if !okR || !okS || !okI {
		return "", nil, 0, fmt.Errorf("server-first-message: %w", ErrSyntax)
	}
	salt, err = base64.StdEncoding.DecodeString(salt64)
	if err != nil || len(salt) == 0 {
		return "", nil, 0, fmt.Errorf("salt in server-first-message: %w", ErrSyntax)
	}
	iterations, err = strconv.Atoi(count)
	if err != nil {
		return "", nil, 0, fmt.Errorf("iteration count in server-first-message: %w", ErrSyntax)
	}
	return nonce, salt, iterations, nil
}
