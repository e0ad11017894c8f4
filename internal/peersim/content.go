package peersim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"
)

// content sees one message's content go by: it finds the ID and takes the digest, and keeps nothing unless a rule or a watcher
// wants to see it.
type content struct {
	sum    hash.Hash
	head   []byte // the header, until it is over
	over   bool
	size   int64
	id     string
	named  bool // id is an X-Rehearsal-ID
	keep   int  // how much is kept
	kept   []byte
	digest uint64
}

// maxHead is where a header is taken to be over.
const maxHead = 128 << 10

// maxKept is how much a rule can look into.
const maxKept = 256 << 10

func (c *content) reset(keep int) {
	if c.sum == nil {
		c.sum = sha256.New()
	}
	c.sum.Reset()
	c.head, c.over, c.size, c.id, c.named, c.keep, c.kept, c.digest = c.head[:0], false, 0, "", false, keep, c.kept[:0], 0
}

// write takes the next piece, CRLF line ends, dot-stuffing removed.
func (c *content) write(p []byte) {
	c.size += int64(len(p))
	if room := c.keep - len(c.kept); room > 0 {
		c.kept = append(c.kept, p[:min(room, len(p))]...)
	}
	if c.over {
		c.sum.Write(p)
		return
	}
	from := max(len(c.head)-3, 0)
	c.head = append(c.head, p...)
	if i := bytes.Index(c.head[from:], []byte("\r\n\r\n")); i >= 0 || len(c.head) > maxHead || bytes.HasPrefix(c.head, []byte("\r\n")) {
		c.headOver()
	}
}

// end returns when everything is known.
func (c *content) end() {
	if !c.over {
		c.headOver()
	}
	var room [sha256.Size]byte
	c.digest = binary.BigEndian.Uint64(c.sum.Sum(room[:0]))
}

// headOver looks into the header and starts the digest behind the trace fields.
func (c *content) headOver() {
	c.over = true
	rest, tracing := c.head, true
	messageID := ""
	for len(rest) > 0 {
		n := fieldEnd(rest)
		f := rest[:n]
		if tracing && !isTrace(f) {
			c.sum.Write(rest)
			tracing = false
		}
		if f[0] == '\r' {
			break
		}
		if v, ok := value(f, "x-rehearsal-id:"); ok && !c.named {
			c.id, c.named = v, true
		} else if v, ok := value(f, "message-id:"); ok && messageID == "" {
			messageID = strings.Trim(v, "<>")
		}
		rest = rest[n:]
	}
	if c.id == "" {
		c.id = messageID
	}
}

// fieldEnd returns the length of the field at the start of b, with its continuation lines.
func fieldEnd(b []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

// traces are the fields that relays put on top of a message.
var traces = []string{
	"received:", "return-path:", "dkim-signature:", "authentication-results:", "x-received:", "delivered-to:", "received-spf:",
	"arc-seal:", "arc-message-signature:", "arc-authentication-results:",
}

func isTrace(field []byte) bool {
	for _, t := range traces {
		if hasName(field, t) {
			return true
		}
	}
	return false
}

// hasName compares the start of a field with a name in lower case, colon included.
func hasName(field []byte, name string) bool {
	if len(field) < len(name) {
		return false
	}
	for i := range len(name) {
		c := field[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

func value(field []byte, name string) (string, bool) {
	if !hasName(field, name) {
		return "", false
	}
	return string(bytes.TrimSpace(field[len(name):])), true
}

// Digest returns the fingerprint of a content (CRLF line ends) as the ledger takes it: the first 64 bits of the SHA-256 of
// everything behind the trace fields at its top (Received, Return-Path, DKIM-Signature, ...). So it is the same before and
// after any number of relays that change nothing.
func Digest(message []byte) uint64 {
	var c content
	c.reset(0)
	c.write(message)
	c.end()
	return c.digest
}
