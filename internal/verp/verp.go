// Package verp puts a token into the return path of a message, so that a report which comes back days later says by the
// address it was sent to which message it is about.
//
// A server that took a message and cannot deliver it after all sends its report to the reverse-path (RFC 5321, section 6.1). The
// report has many forms, and often neither the recipient nor the Message-ID in it. What it always has is the address it
// was sent to. VERP (variable envelope return paths, an idea of qmail's) gives each message an address of its own:
//
//	bounce+04SV7K0G9XG0000A5AM0T1C6Y9F8Q2ZK4E3W@mail.example.com
//	       |---- what ------------||--- proof ---|
//
// The token holds the message ID, the number of the delivery (the group of recipients in one domain) and the day of sending,
// followed by the first 80 bits of their HMAC-SHA256 (RFC 2104) under a key that never leaves the data directory. So nobody
// invents reports about messages that were never sent, and the bounce address takes no other mail. Whoever got a message knows
// its token; what a report under it may claim is therefore held to that message's own recipients by those who read it.
//
// Servers on the way back may change the case of a local part (RFC 5321, section 2.4, forbids it, and it happens), so a
// token is written in Crockford's base 32, which reads the same in either. With the delimiter it has 37 octets, which leaves 27 for the
// name before it: a local part has 64 at most (RFC 5321, section 4.5.3.1.1).
package verp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"ukai/internal/mail"
)

// Errors that Read returns. Who asks over SMTP is told the same for all of them.
var (
	ErrNone    = errors.New("no token in the address")
	ErrForged  = errors.New("the token was not made here, or its key is gone")
	ErrExpired = errors.New("the token is too old")
)

// MaxName is how many octets the name before the delimiter may have.
const MaxName = maxLocal - 1 - tokenChars

const (
	maxLocal = 64 // RFC 5321, section 4.5.3.1.1

	whatOctets  = 8 + 2 + 2 // message ID, group, day
	proofOctets = 10
	tokenChars  = ((whatOctets+proofOctets)*8 + 4) / 5 // 36: four spare bits at the end
	spareBits   = tokenChars*5 - (whatOctets+proofOctets)*8
)

// alphabet is Crockford's base 32: without I, L, O (taken for digits) and U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// purpose keeps the proof apart from whatever else a key may be used for.
const purpose = "ukai return path 1\x00"

const day = 24 * time.Hour

// Token is what a return path says.
type Token struct {
	Msg   mail.ID
	Group int       // number of the delivery: queue.Key.N; at most 65535
	Day   time.Time // midnight (UTC) of the day on which it was sent
}

// what writes a token without its proof.
func (t *Token) what() (b [whatOctets]byte) {
	binary.BigEndian.PutUint64(b[0:], uint64(t.Msg))
	binary.BigEndian.PutUint16(b[8:], uint16(t.Group))
	binary.BigEndian.PutUint16(b[10:], uint16(t.Day.Unix()/int64(day/time.Second)))
	return b
}

func parseWhat(b []byte) Token {
	days := int64(binary.BigEndian.Uint16(b[10:]))
	return Token{
		Msg: mail.ID(binary.BigEndian.Uint64(b)), Group: int(binary.BigEndian.Uint16(b[8:])),
		Day: time.Unix(days*int64(day/time.Second), 0).UTC(),
	}
}

// proof is the truncated HMAC. 80 bits: a guess can only be tried by a RCPT command.
func proof(key, what []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(purpose)) // a hash takes everything
	_, _ = h.Write(what)
	return h.Sum(nil)[:proofOctets]
}

// encode writes octets in base 32, the last character filled up with zero bits.
func encode(b []byte) string {
	out := make([]byte, 0, tokenChars)
	acc, bits := uint(0), 0
	for _, c := range b {
		acc, bits = acc<<8|uint(c), bits+8
		for bits >= 5 {
			bits -= 5
			out = append(out, alphabet[acc>>bits&31])
		}
	}
	if bits > 0 {
		out = append(out, alphabet[acc<<(5-bits)&31])
	}
	return string(out)
}

// decode reads what encode wrote, in either case, with I and L for 1 and O for 0. ok is false for anything that encode does not write.
func decode(s string) (b []byte, ok bool) {
	if len(s) != tokenChars {
		return nil, false
	}
	b = make([]byte, 0, whatOctets+proofOctets)
	acc, bits := uint(0), 0
	for i := range len(s) {
		v := digit(s[i])
		if v < 0 {
			return nil, false
		}
		acc, bits = acc<<5|uint(v), bits+5
		if bits >= 8 {
			bits -= 8
			b = append(b, byte(acc>>bits))
		}
	}
	return b, bits == spareBits && acc&(1<<spareBits-1) == 0
}

func digit(c byte) int {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch c {
	case 'O':
		return 0
	case 'I', 'L':
		return 1
	}
	return strings.IndexByte(alphabet, c)
}
