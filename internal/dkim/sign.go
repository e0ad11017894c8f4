package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// lineWidth is where the lines of a signature are folded.
const lineWidth = 76

// sign returns the DKIM-Signature field of one key (RFC 6376, section 3.5), with its line end.
func (k *Key) sign(c *chosen, bodyDigest []byte, now time.Time) ([]byte, error) {
	algorithm, hashed := "rsa-sha256", crypto.SHA256
	if _, ok := k.Private.Public().(ed25519.PublicKey); ok {
		// RFC 8463, section 3: Ed25519 signs the SHA-256 of the fields as if it were the message.
		algorithm, hashed = "ed25519-sha256", crypto.Hash(0)
	}
	f := folder{line: make([]byte, 0, 1024)}
	f.add("DKIM-Signature: v=1;")
	f.add(" a=" + algorithm + ";")
	f.add(" c=relaxed/relaxed;")
	f.add(" d=" + k.Domain + ";")
	f.add(" s=" + k.Selector + ";")
	f.add(" t=" + strconv.FormatInt(now.Unix(), 10) + ";")
	for i, name := range c.names {
		switch {
		case i == 0 && len(c.names) == 1:
			f.add(" h=" + name + ";")
		case i == 0:
			f.add(" h=" + name + ":")
		case i == len(c.names)-1:
			f.add(name + ";")
		default:
			f.add(name + ":") // blanks may stand around the colons (RFC 6376, section 3.5)
		}
	}
	f.add(" bh=" + base64.StdEncoding.EncodeToString(bodyDigest) + ";")
	f.add(" b=")
	// RFC 6376, section 3.7: the fields, then the signature's own field with an empty b= and without its line end.
	h := sha256.New()
	h.Write(c.text)
	h.Write(relaxedField(nil, f.line))
	sig, err := k.Private.Sign(rand.Reader, h.Sum(nil), hashed)
	if err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(sig)
	for text != "" {
		n := min(len(text), max(lineWidth-f.width, 1))
		f.add(text[:n])
		text = text[n:]
	}
	return append(f.line, '\r', '\n'), nil
}

// folder writes a long field.
type folder struct {
	line  []byte
	width int
}

// add writes one piece, on a line of its own if it does not fit on the present one.
func (f *folder) add(s string) {
	if f.width+len(s) > lineWidth && f.width > 1 {
		f.line = append(f.line, "\r\n "...)
		f.width = 1
		if s[0] == ' ' {
			s = s[1:]
		}
	}
	f.line = append(f.line, s...)
	f.width += len(s)
}
