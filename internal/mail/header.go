package mail

import "bytes"

// MaxHeader is how much of a message HeaderScan looks at. A header that is longer is not a header but an attack or an
// accident; what was found until then counts.
const MaxHeader = 256 << 10

const (
	maxFieldName  = 64      // longer names are nobody's
	maxFieldValue = 8 << 10 // of a field that is looked into; the first mailbox and a Message-ID stand in the first lines
)

// HeaderInfo is what ukai wants to know of a message's header (RFC 5322, section 2.2).
type HeaderInfo struct {
	MessageID string // the first Message-ID without angle brackets, printable characters only
	// FromDomain is the domain of the first mailbox of the first From field, lower case, as written (A-label or UTF-8).
	// It is empty where there is none, and for an address literal.
	FromDomain string
	FromFields int // From fields; RFC 5322, section 3.6, allows exactly one
	Received   int // Received fields: one for each hop (RFC 5321, section 6.3, counts them to find loops)
	// Bulk is set by List-Unsubscribe (RFC 2369), List-Id (RFC 2919) and Precedence: bulk, list or junk (RFC 3834, section 2).
	Bulk bool
	// Auto is set by an Auto-Submitted other than "no" (RFC 3834, section 5): nobody typed this, nobody should be answered.
	Auto bool
	Date bool // a Date field is there
	Size int  // octets of the header with the blank line that ends it
	// Complete is false while the blank line has not been seen: the message has no body, or a header above MaxHeader.
	Complete bool
}

// Class returns the class that the header asks for.
func (i *HeaderInfo) Class() Class {
	if i.Bulk {
		return Bulk
	}
	return Transactional
}

// HeaderScan reads the header of a message while the message passes by. It is tolerant: what it does not understand, it
// skips. Write it the content from its first octet, in pieces of any size; it stops looking at the blank line. The zero
// value is ready, Reset makes it ready again. It keeps nothing that was written to it and allocates only its results.
type HeaderScan struct {
	info  HeaderInfo
	state scanState
	field field
	cr    bool // the last octet was a CR that may belong to a line end
	name  []byte
	value []byte

	nameRoom  [maxFieldName]byte
	valueRoom [512]byte
}

type scanState uint8

const (
	atLineStart scanState = iota
	inName
	inValue // of a field that is looked into
	skipping
	done
)

// Reset makes h ready for the next message.
func (h *HeaderScan) Reset() { *h = HeaderScan{} }

// Done tells that nothing more will be looked at.
func (h *HeaderScan) Done() bool { return h.state == done }

// Write looks at the next piece of the content. It takes everything and never fails.
func (h *HeaderScan) Write(p []byte) (int, error) {
	n := len(p)
	if room := MaxHeader - h.info.Size; len(p) > room {
		p = p[:room]
	}
	for len(p) > 0 && h.state != done {
		k := h.step(p)
		h.info.Size += k
		p = p[k:]
	}
	if h.info.Size >= MaxHeader && h.state != done {
		h.endField()
		h.state = done
	}
	return n, nil
}

// Info returns what was found; call it at the end of the content or when Done.
func (h *HeaderScan) Info() HeaderInfo {
	h.endField()
	return h.info
}

// step looks at the start of p, which is not empty, and returns how much of it is dealt with.
func (h *HeaderScan) step(p []byte) int {
	switch h.state {
	case atLineStart:
		return h.lineStart(p)
	case inName:
		return h.readName(p)
	case inValue:
		return h.readValue(p)
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		h.state = atLineStart
		return i + 1
	}
	return len(p)
}

// lineStart tells a continuation (RFC 5322, section 2.2.3), the blank line and a new field apart.
func (h *HeaderScan) lineStart(p []byte) int {
	c := p[0]
	switch {
	case c == '\n':
		h.endField()
		h.info.Complete, h.state = true, done
		return 1
	case c == '\r' && !h.cr: // the first half of a blank line, or an octet that has no business here
		h.cr = true
		return 1
	case !h.cr && (c == ' ' || c == '\t') && h.field != none:
		h.state = inValue
		return 0
	case !h.cr && (c == ' ' || c == '\t'):
		h.state = skipping
		return 1
	}
	h.cr = false
	h.endField()
	h.name, h.state = h.nameRoom[:0], inName
	return 0
}

func (h *HeaderScan) readName(p []byte) int {
	for i, c := range p {
		switch {
		case c == ':':
			h.field = fieldOf(bytes.TrimRight(h.name, " \t")) // obsolete syntax allows blanks here (RFC 5322, section 4.5)
			h.value, h.state = h.valueRoom[:0], inValue
			h.count()
			if h.field == none {
				h.state = skipping
			}
			return i + 1
		case c == '\n': // a line that is no field
			h.state = atLineStart
			return i + 1
		case len(h.name) == maxFieldName:
			h.state = skipping
			return i
		}
		h.name = append(h.name, c)
	}
	return len(p)
}

func (h *HeaderScan) readValue(p []byte) int {
	n := bytes.IndexByte(p, '\n')
	line := p
	if n >= 0 {
		line, h.state = p[:n], atLineStart
	}
	if room := maxFieldValue - len(h.value); len(line) > room {
		line = line[:room]
	}
	h.value = append(h.value, line...)
	if n >= 0 {
		return n + 1
	}
	return len(p)
}

// count notes the fields whose presence is all that matters, and forgets those that were seen already.
func (h *HeaderScan) count() {
	switch h.field {
	case fieldReceived:
		h.info.Received++
	case fieldDate:
		h.info.Date = true
	case fieldList:
		h.info.Bulk = true
	case fieldFrom:
		h.info.FromFields++
		if h.info.FromFields == 1 {
			return
		}
	case fieldMessageID:
		if h.info.MessageID == "" {
			return
		}
	default:
		return
	}
	h.field = none
}

// endField understands the value that was collected.
func (h *HeaderScan) endField() {
	switch h.field {
	case fieldFrom:
		h.info.FromDomain = firstMailboxDomain(h.value)
	case fieldMessageID:
		h.info.MessageID = messageID(h.value)
	case fieldPrecedence:
		v := bytes.TrimSpace(h.value)
		h.info.Bulk = h.info.Bulk || equalFold(v, "bulk") || equalFold(v, "list") || equalFold(v, "junk")
	case fieldAuto:
		v, _, _ := bytes.Cut(h.value, []byte(";"))
		v, _, _ = bytes.Cut(v, []byte("("))
		v = bytes.TrimSpace(v)
		h.info.Auto = h.info.Auto || len(v) > 0 && !equalFold(v, "no")
	}
	h.field = none
}
