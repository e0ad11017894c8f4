package account

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// How a password is hashed: argon2id with 19 MiB, two passes, one lane, which OWASP's Password Storage Cheat Sheet gives as the
// least that is good (2024). More memory would help against a stolen database, but a mail server pays for every login of every
// client, wrong ones included, and here has two processors and little memory: with two checks at a time this is 38 MiB and some
// 50 logins per second. The numbers stand in each hash, so that they can grow without a change for old ones.
const (
	argonMemory = 19 << 10 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonLength = 32
)

// nobody is the hash for names that are not in the book: a check against it takes as long as any other and never succeeds, since
// the hash is not one of any password anybody could find.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// hashPassword returns a PHC string: $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
func hashPassword(password string, salt []byte) string {
	sum := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonLength)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

var errHash = errors.New("the stored hash of a password cannot be read")

// checkPassword compares a password with a PHC string.
func checkPassword(password, phc string) (bool, error) {
	f := strings.Split(phc, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" {
		return false, errHash
	}
	var version int
	if _, err := fmt.Sscanf(f[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errHash
	}
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil || passes == 0 || lanes == 0 || memory > 1<<20 || passes > 100 {
		return false, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(f[4])
	if err != nil {
		return false, errHash
	}
	want, err := base64.RawStdEncoding.DecodeString(f[5])
	if err != nil || len(want) < 16 {
		return false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
