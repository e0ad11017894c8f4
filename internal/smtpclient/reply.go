package smtpclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"ukai/internal/mail"
)

// Limits of a reply. RFC 5321, section 4.5.3.1.5 allows 512 octets a line and no number of lines at all.
const (
	maxReplyLines = 100
	maxReplySize  = 64 << 10
	readSize      = 4 << 10
)

var (
	errReplySize = errors.New("the server's reply is too long")
	errNotSMTP   = errors.New("the server's reply is not SMTP")
)

// reader takes replies out of what a server sends. It keeps them as they came: most are looked at for their code alone, and
// those cost no allocation.
type reader struct {
	buf  []byte
	r, w int // buf[r:w] is not used up

	// Of the reply under way:
	at    int // where its next line begins
	lines int
	code  int
}

// rawReply is a reply in a reader's buffer. Its text is good until the next call of scan.
type rawReply struct {
	code  int
	lines int
	text  []byte
}

func (r rawReply) positive() bool { return r.code >= 200 && r.code < 300 }

// refusal tells whether the code is one that can end a command: 4xx or 5xx.
func (r rawReply) refusal() bool { return r.code >= 400 }

// fill reads once from src.
func (rd *reader) fill(src io.Reader) error {
	if rd.r > 0 {
		copy(rd.buf, rd.buf[rd.r:rd.w])
		rd.w -= rd.r
		rd.at -= rd.r
		rd.r = 0
	}
	if rd.w == len(rd.buf) {
		if rd.w >= maxReplySize {
			return errReplySize
		}
		rd.buf = append(rd.buf, make([]byte, max(readSize, rd.w))...)
	}
	n, err := src.Read(rd.buf[rd.w:])
	rd.w += n
	if n > 0 {
		return nil // an error will come again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// scan returns the next reply if all of it has come. Lines may end with LF alone, and each has its own code: RFC 5321,
// section 4.2.1 lets a client rely on them being the same; where they are not, the last one counts, as for most clients.
func (rd *reader) scan() (raw rawReply, ok bool, err error) {
	for {
		i := bytes.IndexByte(rd.buf[rd.at:rd.w], '\n')
		if i < 0 {
			return rawReply{}, false, nil
		}
		line := rd.buf[rd.at : rd.at+i]
		rd.at += i + 1
		code, more, _, ok := splitLine(line)
		if !ok {
			return rawReply{}, false, fmt.Errorf("%w: %q", errNotSMTP, line[:min(len(line), 80)])
		}
		rd.code = code
		if rd.lines++; rd.lines > maxReplyLines || rd.at-rd.r > maxReplySize {
			return rawReply{}, false, errReplySize
		}
		if !more {
			raw = rawReply{code: rd.code, lines: rd.lines, text: rd.buf[rd.r:rd.at]}
			rd.r, rd.lines = rd.at, 0
			return raw, true, nil
		}
	}
}

// buffered tells how many octets came behind the last reply.
func (rd *reader) buffered() int { return rd.w - rd.r }

// splitLine takes a reply line apart. Codes outside 2xx to 5xx do not exist in SMTP (RFC 5321, section 4.2.1); text may be
// missing, and with it the space (section 4.2: clients accept it).
func splitLine(line []byte) (code int, more bool, text []byte, ok bool) {
	line = bytes.TrimRight(line, "\r")
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, false, nil, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, false, nil, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, nil, false
	}
	return code, line[3] == '-', line[4:], true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// reply makes a value of a raw reply that can be kept.
func (r rawReply) reply() mail.Reply {
	out := mail.Reply{Code: r.code, Lines: make([]string, 0, r.lines)}
	all := string(r.text)
	for len(all) > 0 {
		line, rest, _ := strings.Cut(all, "\n")
		line = strings.TrimRight(line, "\r")
		all = rest
		text := clean(line[min(4, len(line)):])
		if out.Status.Class == 0 {
			out.Status, _ = mail.ParseStatus(text)
		}
		out.Lines = append(out.Lines, text)
	}
	return out
}

// clean replaces what must not reach a terminal or a database: control characters and what is not UTF-8.
func clean(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(visible, s) // which also puts U+FFFD for each octet that is not UTF-8
		}
	}
	return s
}

func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return '?'
	}
	return r
}
