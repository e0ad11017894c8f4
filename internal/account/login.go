package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"ukai/internal/i18n"
	"ukai/internal/sasl"
)

// maxRemembered bounds what a Book keeps in memory of each kind.
const maxRemembered = 10000

// maxWait is how long a login waits for others' passwords to be checked.
const maxWait = 15 * time.Second

// derive makes what is kept of a password.
func (b *Book) derive(ctx context.Context, password string) (s secrets, err error) {
	password, err = sasl.Prep(password)
	if err != nil {
		return s, i18n.Errorf("account.error.password_letters")
	}
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword {
		return s, i18n.Errorf("account.error.password_length", "shortest", minPassword, "longest", maxPassword)
	}
	if err := b.enter(ctx); err != nil {
		return s, err
	}
	defer b.leave()
	s.hash = hashPassword(password, random(16))
	s.scram, err = sasl.DeriveKeys(password, random(16), sasl.DefaultIterations)
	return s, err
}

// enter takes one of the places for work on passwords: so many at a time, and no more, may take memory and processors.
func (b *Book) enter(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(maxWait)
	defer t.Stop()
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-t.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Book) leave() { <-b.slots }

// Password checks a name and password, prepared as sasl.Prep does; it returns the account's name, or ok false. A name that is not
// in the book takes as long as a wrong password. A suspended account may log in: it is told why it cannot send when it tries.
func (b *Book) Password(ctx context.Context, name, password string) (account string, ok bool, err error) {
	if len(password) > maxPassword {
		return "", false, nil
	}
	lower, _ := Name(name) // "" for what can be no name: it is looked up all the same and found to be nobody's
	s, known, err := b.stored(ctx, lower)
	if err != nil {
		return "", false, err
	}
	if !known {
		s.hash = nobody
	}
	// The hash is part of what is remembered: a password that was changed, by whichever process, is forgotten with it.
	key := b.remembered(lower, password, s.hash)
	if known && b.isRight(key) {
		return lower, true, nil
	}
	if err := b.enter(ctx); err != nil {
		return "", false, err
	}
	defer b.leave()
	ok, err = checkPassword(password, s.hash)
	if err != nil || !ok || !known {
		return "", false, err
	}
	b.setRight(key)
	return lower, true, nil
}

// remembered returns the key under which a right password is remembered. It is worth nothing outside of this process.
func (b *Book) remembered(name, password, hash string) (key [32]byte) {
	h := hmac.New(sha256.New, b.key)
	for _, s := range []string{name, password, hash} {
		h.Write([]byte(s))
		h.Write([]byte{0}) // stands in none of them
	}
	h.Sum(key[:0])
	return key
}

func (b *Book) isRight(key [32]byte) bool {
	now := b.opts.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.right[key]
	return ok && now.Before(until)
}

func (b *Book) setRight(key [32]byte) {
	now := b.opts.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.right) >= maxRemembered {
		clear(b.right) // costs each of them one check
	}
	b.right[key] = now.Add(b.opts.Remember)
}

// Scram returns the keys of an account for SCRAM-SHA-256. For a name that is not in the book, or has no password, it makes up keys
// that are the same each time, on every start, and lead nowhere: names cannot be probed by asking for their salt.
func (b *Book) Scram(ctx context.Context, name string) (sasl.Keys, error) {
	lower, _ := Name(name)
	if lower == "" {
		return b.madeUp(name), nil // what can be no name
	}
	fake := b.madeUp(lower)
	s, known, err := b.stored(ctx, lower)
	if err != nil || !known {
		return fake, err
	}
	s.scram.Account = lower
	return s.scram, nil
}

func (b *Book) madeUp(name string) sasl.Keys {
	part := func(what string) []byte {
		h := hmac.New(sha256.New, b.secret)
		h.Write([]byte(what + "\x00" + name))
		return h.Sum(nil)
	}
	return sasl.Keys{Salt: part("salt")[:16], Iterations: sasl.DefaultIterations, StoredKey: part("stored"), ServerKey: part("server")}
}

// Certificate returns the account of a client certificate, or "". It is the one that has the certificate's fingerprint; else, where
// the listener trusts authorities and one of them has signed it, the one that the certificate names in its subject or
// alternative names. Trouble with the database is nobody: the client can still log in by password.
func (b *Book) Certificate(ctx context.Context, state *tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	cert := state.PeerCertificates[0]
	sum := sha256.Sum256(cert.Raw)
	if name, err := b.owner(ctx, hex.EncodeToString(sum[:])); err != nil || name != "" {
		return name
	}
	if len(state.VerifiedChains) == 0 {
		return ""
	}
	for _, name := range namesOf(cert) {
		if a, err := b.Current(ctx, name); err == nil {
			return a.Name
		}
	}
	return ""
}

// namesOf returns the names of a certificate that could be those of an account, in lower case.
func namesOf(cert *x509.Certificate) (names []string) {
	for _, list := range [][]string{cert.EmailAddresses, cert.DNSNames, {cert.Subject.CommonName}} {
		for _, s := range list {
			if name, err := Name(s); err == nil {
				names = append(names, name)
			}
		}
	}
	return names
}
