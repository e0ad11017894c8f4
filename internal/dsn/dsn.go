// Package dsn reads and writes delivery status notifications: the mail that tells a sender what became of a message.
//
// A notification is a multipart/report (RFC 6522) of three parts: words for a person, fields for a program (RFC 3464: one
// group about the message, one for each recipient), and the message itself or its header, so that the sender knows which one
// it was. Where addresses are not ASCII, the second part takes the forms of RFC 6533.
//
// # Reading
//
// That is the theory. Half of what comes to a bounce address has only the words for a person, in any language and charset, in
// a form that some program made up in 1990; much is broken, cut off, or was sent on by somebody; and some of it is no report at
// all, but a vacation notice, a complaint, or mail. [Read] takes all of it and says which kind it is, what became of which
// recipient, in whose words, and which message it is about. It never fails.
//
// It goes from the structure to the words, because the structure lies less:
//
//   - The mail is taken apart as MIME (entity.go), with the patience that broken mail needs: boundaries are guessed, charsets
//     that cannot be true are doubted (charset.go), fields that were folded badly are put together again.
//   - A complaint (ARF, RFC 5965), a receipt (RFC 8098) or fields for programs (fields.go) settle the kind.
//   - Otherwise the words do (kind.go): how the text introduces itself counts most, then who sent it, the subject, the empty
//     return path. The phrases are data: forms.toml. One automaton finds all of them in one pass (phrases.go).
//   - The recipients and reasons are read from the words by one engine for all forms (free.go): every such text is a list of
//     addresses with a reason behind or around each, and perhaps a transcript of the dialogue (transcript.go). Where the
//     original begins, reading ends, and its header tells which message it was (doc.go, about.go).
//
// What a reason means is not decided here: package classify judges it, package explain decides which words to ask first.
//
// Whoever can send mail to a bounce address can send anything. Reading looks at no more than the limits of this package
// (MaxBytes, MaxDepth, MaxParts, ...), takes time in proportion to what it looks at, and says in Reading.Skipped what it did
// not look at.
//
// # Writing
//
// People who get a notification are seldom mail experts, and a bounce that nobody understands is thrown away: [Build] puts the
// words there in Japanese and in English, with the reason in a sentence, and the remote server's own reply below it.
//
// Whatever a notification repeats (addresses, the remote reply, the message) was written by strangers. Nothing of it can add
// a header field, end a part or break a line: controls are replaced, long lines folded, the words are encoded as a whole, and
// the boundary is random.
//
// Two rules are the caller's: a notification is sent with a null reverse-path (RFC 3464, section 2), and none is sent about a
// message that had one (RFC 5321, section 6.1).
package dsn

import (
	"bytes"
	"crypto/rand"
	"io"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mail"
)

// Action says what became of a recipient (RFC 3464, section 2.3.3).
type Action string

// The actions.
const (
	Failed    Action = "failed"    // given up
	Delayed   Action = "delayed"   // not delivered yet, tried further
	Delivered Action = "delivered" // in the mailbox
	Relayed   Action = "relayed"   // handed to a server that gives no notifications itself
	Expanded  Action = "expanded"  // delivered to an alias, more than one recipient behind it
)

// MaxOriginal is how much of the original is returned by default, in octets.
const MaxOriginal = 64 << 10

// Report is a notification to be written.
type Report struct {
	// Envelope is the original's: the notification goes to its From.
	Envelope *mail.Envelope
	Host     string // name of the reporting MTA
	// MessageID of the notification, without angle brackets.
	MessageID  string
	Lang       i18n.Lang // the language that comes first
	Recipients []Recipient
	// Original is the content of the message, or nil to return nothing of it. At most MaxOriginal octets are read.
	Original    io.Reader
	MaxOriginal int64  // 0 means the default of 64 KB; a longer message is returned as its header
	Boundary    string // empty: random. Set it only to get the same text twice
}

// Recipient is what became of one recipient.
type Recipient struct {
	mail.Recipient
	Action Action
	Status mail.Status // zero: that of Reply, or else the general one of the action
	Reply  mail.Reply  // what the remote server answered; Code 0: nothing
	Host   string      // who answered; empty: nobody did
	// Trouble says in English what went wrong where no reply came: "connection refused".
	Trouble     string
	LastAttempt time.Time
	RetryUntil  time.Time // of a delayed one
	Reason      Words
}

// Words is a sentence in both languages.
type Words struct{ EN, JA string }

// Say returns the text of a key of the message catalogue in both languages.
func Say(key string, args ...any) Words {
	return Words{EN: i18n.Text(i18n.EN, key, args...), JA: i18n.Text(i18n.JA, key, args...)}
}

func (w Words) in(l i18n.Lang) string {
	if l == i18n.JA {
		return w.JA
	}
	return w.EN
}

// Message is a notification ready to be sent.
type Message struct {
	Content  []byte // CRLF line ends, no line above 998 octets
	EightBit bool   // it must be sent as 8BITMIME
	UTF8     bool   // it must be sent with SMTPUTF8
}

// Build writes a notification. It fails only when the original cannot be read.
func Build(now time.Time, r *Report) (*Message, error) {
	limit := r.MaxOriginal
	if limit <= 0 {
		limit = MaxOriginal
	}
	orig, err := readOriginal(r.Original, limit, r.wantsFull())
	if err != nil {
		return nil, err
	}
	boundary := r.Boundary
	if boundary == "" {
		boundary = "ukai-" + rand.Text() // 128 bits: nobody can have put it into the original
	}
	m := &Message{UTF8: !ascii(r.Envelope.From)}
	global := r.Envelope.UTF8 && r.beyondASCII()
	b := &bytes.Buffer{}
	r.writeHeader(b, now, boundary)
	part := func(headers string, body []byte) {
		b.WriteString("\r\n--" + boundary + "\r\n" + headers + "\r\n")
		b.Write(body)
	}
	part(r.words(orig))
	part(r.status(global))
	if orig.body != nil {
		part(orig.part(r.Envelope.UTF8))
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	m.Content = b.Bytes()
	m.EightBit = !ascii(string(m.Content))
	return m, nil
}

// wantsFull tells whether the whole original goes back: RET counts for failures only (RFC 3461, section 4.3).
func (r *Report) wantsFull() bool {
	if r.Envelope.Ret != "FULL" {
		return false
	}
	for i := range r.Recipients {
		if r.Recipients[i].Action == Failed {
			return true
		}
	}
	return false
}

// beyondASCII tells whether the fields for programs need UTF-8.
func (r *Report) beyondASCII() bool {
	for i := range r.Recipients {
		if !ascii(r.Recipients[i].Addr) || !ascii(r.Recipients[i].ORcpt) {
			return true
		}
	}
	return false
}

// kind is the action that names the whole report: the worst one.
func (r *Report) kind() Action {
	worst := Delivered
	for i := range r.Recipients {
		switch r.Recipients[i].Action {
		case Failed:
			return Failed
		case Delayed:
			worst = Delayed
		}
	}
	return worst
}

func (r *Report) writeHeader(b *bytes.Buffer, now time.Time, boundary string) {
	field(b, "From", encodeWords(i18n.Text(r.Lang, "dsn.header.from"))+" <MAILER-DAEMON@"+hostName(r.Host)+">")
	field(b, "To", "<"+addrSpec(r.Envelope.From)+">")
	first, second := r.langs()
	key := "dsn.subject." + string(r.kind())
	field(b, "Subject", encodeWords(i18n.Text(first, key)+" / "+i18n.Text(second, key)))
	field(b, "Date", now.Format(time.RFC1123Z))
	if id := msgID(r.MessageID); id != "" {
		field(b, "Message-ID", id)
	}
	if id := msgID(r.Envelope.MessageID); id != "" { // RFC 3834, section 3.1.5
		field(b, "In-Reply-To", id)
		field(b, "References", id)
	}
	field(b, "Auto-Submitted", "auto-replied") // RFC 3834, section 5
	field(b, "MIME-Version", "1.0")
	// RFC 6522, section 3. The boundary is ours: no quoting of it is needed but does no harm.
	field(b, "Content-Type", `multipart/report; report-type=delivery-status; boundary="`+boundary+`"`)
}

func (r *Report) langs() (first, second i18n.Lang) {
	if r.Lang == i18n.JA {
		return i18n.JA, i18n.EN
	}
	return i18n.EN, i18n.JA
}
