package dsn

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
)

// original is what goes back of the message.
type original struct {
	body    []byte // nil: nothing
	full    bool   // body is the whole message, not only its header
	subject string // decoded, for people; empty when it cannot be
}

// readOriginal reads a message up to limit. It goes back as a whole only if that is wanted, it is not longer, and it can stand in
// a message as it is: message/rfc822 allows no encoding that would mend it (RFC 2046, section 5.2.1).
func readOriginal(r io.Reader, limit int64, full bool) (*original, error) {
	if r == nil {
		return &original{}, nil
	}
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the message to report on: %w", err)
	}
	header := headerOf(content, int(limit))
	o := &original{body: header, subject: subject(header)}
	if full && int64(len(content)) <= limit && clean(content) {
		o.body, o.full = content, true
	}
	return o, nil
}

// headerOf returns the header at the start of content without the blank line, at most limit octets of whole lines.
func headerOf(content []byte, limit int) []byte {
	if bytes.HasPrefix(content, []byte("\r\n")) {
		return []byte{}
	}
	if i := bytes.Index(content, []byte("\r\n\r\n")); i >= 0 {
		content = content[:i+2]
	}
	if len(content) > limit {
		content = content[:bytes.LastIndexByte(content[:limit], '\n')+1]
	}
	return content
}

// clean tells whether content can be sent as it is: CRLF line ends, no line too long, no NUL (RFC 2045, section 2.8).
func clean(content []byte) bool {
	n := 0
	for i, c := range content {
		switch {
		case c == 0, c == '\r' && (i+1 == len(content) || content[i+1] != '\n'), c == '\n' && (i == 0 || content[i-1] != '\r'):
			return false
		case c == '\n':
			n = -1
		case n >= maxLine && c != '\r':
			return false
		}
		n++
	}
	return true
}

// part returns the third part. With utf8 the message was sent with SMTPUTF8: its header may hold UTF-8 (RFC 6533, section 5).
func (o *original) part(utf8 bool) (headers string, body []byte) {
	seven := ascii(string(o.body))
	if o.full {
		kind := "message/rfc822"
		if utf8 && !ascii(string(headerOf(o.body, len(o.body)))) {
			kind = "message/global"
		}
		if seven {
			return "Content-Type: " + kind + "\r\n", o.body
		}
		return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: 8bit\r\n", o.body
	}
	switch {
	case seven && clean(o.body):
		return "Content-Type: text/rfc822-headers\r\n", o.body
	case utf8 && !seven && clean(o.body):
		return "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n", o.body
	}
	b := bytes.Buffer{}
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write(o.body) // into memory
	_ = w.Close()
	return "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n", b.Bytes()
}

// subject returns the Subject of a header for people, if it is in a charset that is spoken here.
func subject(header []byte) string {
	var value strings.Builder
	found := false
	for line := range strings.Lines(string(header)) {
		fold := line[0] == ' ' || line[0] == '\t'
		if found && !fold {
			break
		}
		name, rest, ok := strings.Cut(line, ":")
		switch {
		case found:
			value.WriteString(line)
		case !fold && ok && strings.EqualFold(strings.TrimSpace(name), "subject"):
			found = true
			value.WriteString(rest)
		}
	}
	text, err := new(mime.WordDecoder).DecodeHeader(strings.NewReplacer("\r\n", "").Replace(value.String()))
	if err != nil {
		return ""
	}
	return clip(printable(text, true), 300)
}
