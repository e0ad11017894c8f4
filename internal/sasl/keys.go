package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
)

// DefaultIterations is the iteration count for new Keys: RFC 7677, section 4 asks for at least 4096. The client pays for it at each
// login, the server only when a password is set.
const DefaultIterations = 15000

// Bounds of what a client accepts from a server: fewer iterations would let a false server guess the password from the proof,
// more would let it keep our processor busy.
const (
	minIterations = 4096
	maxIterations = 1_000_000
)

// Keys is what a server keeps instead of a password for SCRAM-SHA-256 (RFC 5802, section 3).
type Keys struct {
	Account    string // empty for an unknown name: authentication fails at the end
	Salt       []byte
	Iterations int
	StoredKey  []byte // H(ClientKey), 32 octets
	ServerKey  []byte // 32 octets
}

// DeriveKeys makes the keys of a password. The account is left for the caller to fill in.
func DeriveKeys(password string, salt []byte, iterations int) (Keys, error) {
	password, err := Prep(password)
	if err != nil {
		return Keys{}, err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return Keys{}, fmt.Errorf("derive key: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return Keys{Salt: salt, Iterations: iterations, StoredKey: stored[:], ServerKey: mac(salted, "Server Key")}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}
