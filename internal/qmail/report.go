package qmail

import (
	"bytes"
	"strings"
)

// line is one text of a report with its letter.
type line struct {
	letter byte
	text   string
}

// report is what qmail-remote says of a delivery.
type report struct {
	// rcpts stand in the order of the recipients; there may be fewer than recipients.
	rcpts   []line
	message line
}

// chatter is what a much used patch for AUTH prints in front of a report, without a NUL behind it.
const chatter = "User and password not set, continuing without authentication.\n"

// parseReport reads a report on so many recipients. ok is false for one that is not whole or not understood: then it is to be
// handed on as it is, for qmail-rspawn to make of it what it always did.
func parseReport(b []byte, recipients int) (r report, ok bool) {
	for {
		piece, rest, whole := bytes.Cut(b, []byte{0})
		if !whole {
			return report{}, false
		}
		piece = bytes.TrimPrefix(piece, []byte(chatter))
		if len(piece) == 0 {
			return report{}, false
		}
		l := line{piece[0], string(piece[1:])}
		switch l.letter {
		case 'r', 'h', 's':
			if r.rcpts = append(r.rcpts, l); len(r.rcpts) > recipients {
				return report{}, false
			}
		case 'K', 'Z', 'D':
			r.message = l
			return r, true // qmail-rspawn reads no further either
		default:
			return report{}, false
		}
		b = rest
	}
}

// kind is how a delivery ended for one recipient.
type kind uint8

const (
	soft kind = iota // to be tried again
	hard             // to be returned to its sender
	done             // taken
)

// fate is what became of one recipient.
type fate struct {
	kind kind
	text string
	// common tells that text was said of the message, not of this recipient.
	common bool
}

// fates are what a report says of each of so many recipients.
func (r *report) fates(recipients int) []fate {
	all := make([]fate, recipients)
	for i := range all {
		own := line{letter: 'r'}
		if i < len(r.rcpts) {
			own = r.rcpts[i]
		}
		switch {
		case own.letter == 'h':
			all[i] = fate{kind: hard, text: own.text}
		case own.letter == 's':
			all[i] = fate{kind: soft, text: own.text}
		case r.message.letter == 'K':
			all[i] = fate{done, r.message.text, true}
		case r.message.letter == 'D':
			all[i] = fate{hard, r.message.text, true}
		default:
			all[i] = fate{soft, r.message.text, true}
		}
	}
	return all
}

// compose makes a report that says of each recipient what became of it. What was not taken stands with its recipient, so that
// what is said of the message is true for those that have an r: taken.
//
// qmail-rspawn looks at the first recipient and at the message (qmail-rspawn.c, report): s and h go before the letter of the
// message, whose text it puts behind the recipient's unless the message fared better. So there is nothing more to say of the
// message where nobody's was taken.
func compose(fates []fate) []byte {
	var b bytes.Buffer
	var accepted string
	var there [done + 1]bool
	for _, f := range fates {
		switch f.kind {
		case done:
			b.WriteByte('r')
			if !there[done] {
				accepted = f.text
			}
		case hard:
			b.WriteString("h" + clean(f.text))
		default:
			b.WriteString("s" + clean(f.text))
		}
		b.WriteByte(0)
		there[f.kind] = true
	}
	switch {
	case there[done]:
		b.WriteString("K" + clean(accepted))
	case there[soft]:
		b.WriteString("Z")
	default:
		b.WriteString("D")
	}
	b.WriteByte(0)
	return b.Bytes()
}

// maxText is how much is said of one recipient: qmail-remote quotes 5,000 octets, qmail-send keeps 10,000.
const maxText = 6000

// clean makes a text fit for a report: no NUL, an end, and not too long.
func clean(s string) string {
	s = strings.ReplaceAll(s, "\x00", "?")
	if len(s) > maxText {
		s = s[:maxText]
	}
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}
