package dkim

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"

	"github.com/emersion/go-msgauth/dkim"

	"ukai/internal/mail"
)

// Stream sees one message pass by and signs it at the end. It is used by one goroutine; either Sign or Abort ends it.
type Stream struct {
	signer *Signer
	scan   mail.HeaderScan
	header []byte         // what came before it was known which keys sign
	over   bool           // the header is over: hashing (or not signing at all)
	keys   []Key          // the keys of hashes
	hashes []*dkim.Signer // one for each signature
	out    *bufio.Writer  // to all of hashes
}

// pieceSize is how much of the content is handed to the hashes at once: each hand-over wakes a goroutine per signature.
const pieceSize = 32 << 10

// Begin starts a message.
func (s *Signer) Begin() *Stream { return &Stream{signer: s} }

// Write takes the next piece of the content: CRLF line ends, without dot-stuffing. It never fails.
func (st *Stream) Write(p []byte) (int, error) {
	if st.over {
		st.hash(p)
		return len(p), nil
	}
	_, _ = st.scan.Write(p) // it takes everything
	st.header = append(st.header, p...)
	if st.scan.Done() {
		st.headerOver()
	}
	return len(p), nil
}

// Sign ends the message and returns the header lines to put before its content, with CRLF, and the domains that signed.
// Without a key for the message (or with a header that no one should vouch for) both are empty and err is nil.
func (st *Stream) Sign() (lines []byte, domains []string, err error) {
	defer st.Abort()
	if !st.over {
		st.endHeader()
	}
	st.flush()
	for i, h := range st.hashes {
		if err := h.Close(); err != nil {
			return nil, nil, fmt.Errorf("sign for %s with selector %s: %w", st.keys[i].Domain, st.keys[i].Selector, err)
		}
		lines = append(lines, h.Signature()...)
		if d := st.keys[i].Domain; !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return lines, domains, nil
}

// Abort gives up on the message. After Sign it does nothing.
func (st *Stream) Abort() {
	for _, h := range st.hashes {
		_ = h.Close() // ends its goroutine; what it signed is not wanted
	}
	st.over, st.header, st.keys, st.hashes, st.out = true, nil, nil, nil, nil
}

// endHeader deals with a message that has no blank line, and so no body (RFC 5322, section 3.5).
func (st *Stream) endHeader() {
	if len(st.header) > 0 && !bytes.HasSuffix(st.header, []byte("\r\n")) {
		_, _ = st.Write([]byte("\r\n"))
	}
	if !st.over {
		_, _ = st.Write([]byte("\r\n"))
	}
}

// headerOver chooses the keys and hashes what has come so far.
func (st *Stream) headerOver() {
	st.over = true
	info := st.scan.Info()
	held := st.header
	st.header = nil
	if !info.Complete || info.FromFields != 1 || info.FromDomain == "" {
		return
	}
	st.keys = st.signer.For(info.FromDomain)
	if len(st.keys) == 0 {
		return
	}
	names := signedFields(held[:info.Size])
	for _, k := range st.keys {
		h, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: k.Domain, Selector: k.Selector, Signer: k.Private, HeaderKeys: names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			panic("bug: a key that NewSigner checked is refused: " + err.Error())
		}
		st.hashes = append(st.hashes, h)
	}
	st.hash(held)
}

// hash takes the next piece for every signature.
func (st *Stream) hash(p []byte) {
	if len(st.hashes) == 0 {
		return
	}
	if st.out == nil {
		st.out = bufio.NewWriterSize(all(st.hashes), pieceSize)
	}
	_, _ = st.out.Write(p) // all never fails
}

func (st *Stream) flush() {
	if st.out != nil {
		_ = st.out.Flush() // all never fails
	}
}

// all hands on to every signature. A write fails only when a hash has ended already, and then its Close says why.
type all []*dkim.Signer

func (a all) Write(p []byte) (int, error) {
	for _, h := range a {
		_, _ = h.Write(p)
	}
	return len(p), nil
}
