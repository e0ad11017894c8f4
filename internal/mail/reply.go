package mail

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is an enhanced mail system status code (RFC 3463). The zero value means that none was given.
type Status struct{ Class, Subject, Detail int }

// String returns "5.7.1", or "" for the zero value.
func (s Status) String() string {
	if s.Class == 0 {
		return ""
	}
	return strconv.Itoa(s.Class) + "." + strconv.Itoa(s.Subject) + "." + strconv.Itoa(s.Detail)
}

// MarshalText makes a Status its text in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = Status{}
		return nil
	}
	v, rest := ParseStatus(string(b))
	if v.Class == 0 || rest != "" {
		return fmt.Errorf("not an enhanced status code: %q", b)
	}
	*s = v
	return nil
}

// ParseStatus reads an enhanced status code at the start of a reply's text and returns it with the text behind it.
// Where there is none it returns the zero Status and text unchanged (RFC 2034, section 4).
func ParseStatus(text string) (Status, string) {
	var n [3]int
	rest := text
	for i := range n {
		d := 0
		for d < len(rest) && d < 4 && rest[d] >= '0' && rest[d] <= '9' {
			n[i] = n[i]*10 + int(rest[d]-'0')
			d++
		}
		if d == 0 || d == 4 || i == 0 && (d != 1 || n[0] != 2 && n[0] != 4 && n[0] != 5) {
			return Status{}, text
		}
		rest = rest[d:]
		if i < 2 {
			if !strings.HasPrefix(rest, ".") {
				return Status{}, text
			}
			rest = rest[1:]
		}
	}
	if rest != "" && rest[0] != ' ' {
		return Status{}, text
	}
	return Status{n[0], n[1], n[2]}, strings.TrimPrefix(rest, " ")
}

// Reply is what an SMTP server answered (RFC 5321, section 4.2).
type Reply struct {
	Code   int    // 0 when no reply came
	Status Status // of the first line that has one
	// Lines are the text lines as received, without code and separator, enhanced status still in them.
	Lines []string
}

// Positive tells whether the code is 2xx or 3xx.
func (r Reply) Positive() bool { return r.Code >= 200 && r.Code < 400 }

// Temporary tells whether the code is 4xx.
func (r Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent tells whether the code is 5xx.
func (r Reply) Permanent() bool { return r.Code >= 500 && r.Code < 600 }

// Text joins the lines with one space and removes the enhanced status that stands at the start of each line.
func (r Reply) Text() string {
	if len(r.Lines) == 1 {
		_, rest := ParseStatus(r.Lines[0])
		return strings.TrimSpace(rest)
	}
	var b strings.Builder
	for _, l := range r.Lines {
		_, rest := ParseStatus(l)
		if rest = strings.TrimSpace(rest); rest == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(rest)
	}
	return b.String()
}

// String returns the reply on one line: code, status, text.
func (r Reply) String() string {
	s := strconv.Itoa(r.Code)
	if st := r.Status.String(); st != "" {
		s += " " + st
	}
	if t := r.Text(); t != "" {
		s += " " + t
	}
	return s
}

// NewReply makes a reply of one line, as ukai itself would give it.
func NewReply(code int, st Status, text string) Reply {
	line := text
	if s := st.String(); s != "" {
		line = s + " " + text
	}
	return Reply{Code: code, Status: st, Lines: []string{line}}
}
