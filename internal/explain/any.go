package explain

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf16"

	"ukai/internal/classify"
	"ukai/internal/provider"
)

// Any decides what a text is and says what it means: a whole mail, also out of an mbox file; the fields of a delivery report;
// one or several lines of a log; a reply. An empty text means nothing: no Finding.
func (e *Explainer) Any(b []byte) []Finding { return e.AnyFrom("", b) }

// AnyFrom does the same for words of a provider that the caller knows; "" for one that is not known. What a mail or a log says
// about the receiver counts for more.
func (e *Explainer) AnyFrom(who provider.ID, b []byte) []Finding {
	b = plain(b)
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil
	case isMail(b):
		return e.Mail(b)
	case isStatus(b):
		return e.Mail(append([]byte("MIME-Version: 1.0\nContent-Type: message/delivery-status\n\n"), b...))
	}
	if found := e.lines(b); len(found) > 0 {
		return found
	}
	if found := e.body(b); len(found) > 0 {
		return found
	}
	return []Finding{e.Reply(who, string(b[:min(len(b), 16*maxLine)]))}
}

// plain brings a text into the form that mail has: UTF-16 with a byte order mark, as Windows saves it, becomes UTF-8; the mark
// goes, blank lines at the beginning too.
func plain(b []byte) []byte {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		b = b[3:]
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		b = fromUTF16(b)
	}
	return bytes.TrimLeft(b, "\r\n")
}

func fromUTF16(b []byte) []byte {
	low, high := 0, 1
	if b[0] == 0xfe {
		low, high = 1, 0
	}
	units := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[low])|uint16(b[high])<<8)
	}
	return []byte(string(utf16.Decode(units)))
}

var (
	fieldName = regexp.MustCompile(`^([\x21-\x39\x3b-\x7e]+)[ \t]*:`) // RFC 5322, section 2.2; blanks before the colon: section 4.5
	fromLine  = regexp.MustCompile(`^>?From \S+.*\d\d:\d\d`)
)

// headerFields are fields that stand in the header of a mail and hardly in anything else that is pasted.
var headerFields = words(`received return-path delivered-to message-id mime-version content-type content-transfer-encoding from to
	subject date cc reply-to sender x-original-to auto-submitted x-failed-recipients dkim-signature authentication-results
	arc-seal x-mailer x-originating-ip precedence list-id references in-reply-to resent-from x-loop`)

// statusFields are those of a delivery report's machine-readable part (RFC 3464, section 2).
var statusFields = words(`reporting-mta original-envelope-id arrival-date final-recipient original-recipient action status
	remote-mta diagnostic-code last-attempt-date final-log-id will-retry-until x-postfix-queue-id x-postfix-sender
	received-from-mta dsn-gateway x-supplementary-info x-actual-recipient x-display-name`)

func words(s string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// isMail tells whether a text begins with the header of a mail: two of its fields, or one behind the line that separates the
// mails of an mbox file.
func isMail(b []byte) bool {
	n := countFields(b, headerFields)
	return n >= 2 || n == 1 && fromLine.Match(b[:min(len(b), 400)])
}

// isStatus tells whether a text is a piece of the machine-readable part of a delivery report.
func isStatus(b []byte) bool { return countFields(b, statusFields) >= 2 }

// maxHeaderLines bounds the lines that countFields looks at.
const maxHeaderLines = 200

// countFields counts how many different names of a set stand at the beginning of the lines up to the first one that is no
// field, nor the continuation of one. A blank line does not end the fields of a delivery report: they come in groups.
func countFields(b []byte, set map[string]bool) int {
	seen := make(map[string]bool)
	for i := 0; i < maxHeaderLines && len(b) > 0; i++ {
		line := b
		if n := bytes.IndexAny(b, "\r\n"); n >= 0 {
			line, b = b[:n], bytes.TrimPrefix(bytes.TrimPrefix(b[n:], []byte("\r")), []byte("\n"))
		} else {
			b = nil
		}
		line = line[:min(len(line), 1000)]
		switch {
		case i == 0 && fromLine.Match(line):
			continue
		case len(line) == 0:
			if set["from"] {
				return len(seen)
			}
			continue
		case line[0] == ' ' || line[0] == '\t':
			continue
		}
		m := fieldName.FindSubmatch(line)
		if m == nil {
			return len(seen)
		}
		if name := strings.ToLower(string(m[1])); set[name] {
			seen[name] = true
		}
	}
	return len(seen)
}

// reportWords betray the text of a delivery report that was pasted without its header.
var reportWords = regexp.MustCompile(`(?i)this is the mail system at host|this is the qmail-send program|this message was created automatically by mail delivery software|the following address(?:es)? (?:had|failed)|delivery to the following recipient|could not be delivered|couldn't be delivered|undeliver|delivery has failed|transcript of session follows|Diagnostic information for administrators|Final-Recipient:`)

// body reads a pasted text as the body of a report. What is found counts only if it says more than the text would as a reply.
func (e *Explainer) body(b []byte) []Finding {
	if !reportWords.Match(b[:min(len(b), 16*maxLine)]) || bytes.Count(b, []byte("\n")) < 2 {
		return nil
	}
	found := e.Mail(append([]byte("From: MAILER-DAEMON@localhost\nSubject: Undelivered Mail Returned to Sender\n\n"), b...))
	if len(found) == 0 || found[0].Kind != Report || found[0].Verdict.Class == classify.Unclassified {
		return nil
	}
	return found
}
