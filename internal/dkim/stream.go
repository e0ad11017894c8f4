package dkim

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"ukai/internal/mail"
)

// Stream sees one message pass by and signs it at the end. It is used by one goroutine; either Sign or Abort ends it.
type Stream struct {
	signer *Signer
	scan   mail.HeaderScan
	header []byte
	over   bool  // the header is over
	keys   []Key // that sign; none: nothing is kept or hashed any more
	body   *bodyHash
}

// Begin starts a message.
func (s *Signer) Begin() *Stream { return &Stream{signer: s} }

// Write takes the next piece of the content: CRLF line ends, without dot-stuffing. It never fails.
func (st *Stream) Write(p []byte) (int, error) {
	if st.over {
		if st.body != nil {
			st.body.write(p)
		}
		return len(p), nil
	}
	_, _ = st.scan.Write(p) // it takes everything
	if !st.scan.Done() {
		st.header = append(st.header, p...)
		return len(p), nil
	}
	info := st.scan.Info()
	n := info.Size - len(st.header)
	st.header = append(st.header, p[:n]...)
	st.headerOver(&info)
	if st.body != nil {
		st.body.write(p[n:])
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
	if len(st.keys) == 0 {
		return nil, nil, nil
	}
	bodyDigest := st.body.digest()
	fields := chooseFields(st.header)
	now := time.Now()
	for i := range st.keys {
		k := &st.keys[i]
		line, err := k.sign(fields, bodyDigest, now)
		if err != nil {
			return nil, nil, fmt.Errorf("sign for %s with selector %s: %w", k.Domain, k.Selector, err)
		}
		lines = append(lines, line...)
		if !slices.Contains(domains, k.Domain) {
			domains = append(domains, k.Domain)
		}
	}
	return lines, domains, nil
}

// Abort gives up on the message. After Sign it does nothing.
func (st *Stream) Abort() { st.over, st.header, st.keys, st.body = true, nil, nil, nil }

// endHeader deals with a message that has no blank line, and so no body (RFC 5322, section 3.5).
func (st *Stream) endHeader() {
	if len(st.header) > 0 && !bytes.HasSuffix(st.header, []byte("\r\n")) {
		_, _ = st.Write([]byte("\r\n"))
	}
	if !st.over {
		_, _ = st.Write([]byte("\r\n"))
	}
}

// headerOver chooses the keys.
func (st *Stream) headerOver(info *mail.HeaderInfo) {
	st.over = true
	if info.Complete && info.FromFields == 1 && info.FromDomain != "" {
		st.keys = st.signer.For(info.FromDomain)
	}
	if len(st.keys) == 0 {
		st.header = nil
		return
	}
	st.body = newBodyHash()
}
