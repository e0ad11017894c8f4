package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ErrPEM is returned for a text that holds no private key.
var ErrPEM = errors.New(`no private key found: a PEM block "PRIVATE KEY" (PKCS#8) or "RSA PRIVATE KEY" (PKCS#1) is expected`)

// ParsePEM reads a private key: RSA as PKCS#1 or PKCS#8, Ed25519 as PKCS#8. Other blocks before it (certificates,
// parameters) are passed over. Encrypted keys are not read.
func ParsePEM(text []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, ErrPEM
		}
		switch block.Type {
		case "RSA PRIVATE KEY":
			k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read RSA key: %w", err)
			}
			return k, nil
		case "PRIVATE KEY":
			k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read private key: %w", err)
			}
			switch k := k.(type) {
			case *rsa.PrivateKey:
				return k, nil
			case ed25519.PrivateKey:
				return k, nil
			}
			return nil, fmt.Errorf("read private key: %T can not sign by DKIM: RSA or Ed25519 is expected", k)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("read private key: it is encrypted")
		}
	}
}

// Generate makes a key: an RSA key of that many bits, or an Ed25519 key for 0.
func Generate(bits int) (crypto.Signer, error) {
	if bits == 0 {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	}
	if bits < MinBits {
		return nil, fmt.Errorf("generate RSA key: %d bits are too few, %d are the least", bits, MinBits)
	}
	return rsa.GenerateKey(rand.Reader, bits)
}

// MarshalPEM writes a private key as PKCS#8.
func MarshalPEM(k crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Record returns the name and the value of the TXT record that publishes the key (RFC 6376, section 3.6.1).
func Record(k *Key) (name, value string, err error) {
	name = strings.ToLower(k.Selector) + "._domainkey." + canonical(k.Domain)
	switch pub := k.Private.Public().(type) {
	case ed25519.PublicKey: // RFC 8463, section 4: the bare 32 octets
		return name, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub), nil
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return "", "", fmt.Errorf("write public key: %w", err)
		}
		return name, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	}
	return "", "", fmt.Errorf("write public key: %T can not sign by DKIM", k.Private)
}

// ZoneLine returns a TXT record as a line of a zone file. A string of a TXT record holds at most 255 octets (RFC 1035, section
// 3.3.14), so a long value is cut; readers join the pieces without a space (RFC 6376, section 3.6.2.2).
func ZoneLine(name, value string) string {
	var b strings.Builder
	b.WriteString(name + ". IN TXT (")
	for value != "" {
		n := min(len(value), 255)
		b.WriteString(` "` + value[:n] + `"`)
		value = value[n:]
	}
	b.WriteString(" )")
	return b.String()
}
