package dsn

import (
	"bytes"
	"strings"
)

// readFeedback reads a complaint: the fields of a feedback report (RFC 5965, section 3), and the message that it is about.
func (rd *reader) readFeedback() {
	o := rd.out
	r := Result{Text: "abuse"}
	for b := rd.feedback; len(b) > 0; {
		var line []byte
		line, b = cutLine(b)
		name, value, ok := cutField(line)
		if !ok {
			continue
		}
		value, b = folded(value, b)
		switch strings.ToLower(string(name)) {
		case "feedback-type":
			r.Text = clone(strings.ToLower(unfolded(value)), 100)
		case "original-rcpt-to", "removal-recipient":
			r.Recipient = recipientOf(value)
		case "original-mail-from":
			o.Original.ReturnPath = recipientOf(value)
			rd.sentTo(o.Original.ReturnPath)
		case "original-envelope-id":
			o.Original.EnvID = clone(unfolded(value), 500)
		case "source-ip", "source":
			o.Original.SourceIP = strings.Trim(firstWord(unfolded(value)), "[]")
		case "arrival-date", "received-date":
			o.Original.Arrival = parseDate(value)
		case "reporting-mta":
			_, host := typed(value)
			o.Reporter = strings.ToLower(firstWord(host))
		}
	}
	if v := rd.top.get(fieldComplaint); r.Recipient == "" && bytes.IndexByte(v, '@') > 0 {
		r.Recipient = bareAddr(unfolded(v))
	}
	if r.Recipient == "" {
		r.Recipient = o.Original.To
	}
	o.Results = append(o.Results[:0], r)
}

// plainText returns the text of an HTML document: what stands between the tags, with the ends of paragraphs and lines.
func plainText(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			out = appendText(out, b)
			break
		}
		out = appendText(out, b[:i])
		b = b[i:]
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			break
		}
		tag := b[1:end]
		b = b[end+1:]
		switch {
		case isTag(tag, "script"), isTag(tag, "style"), isTag(tag, "head"), isTag(tag, "title"):
			b = afterTag(b)
		case bytes.HasPrefix(tag, []byte("!--")):
			if !bytes.HasSuffix(tag, []byte("--")) {
				if j := bytes.Index(b, []byte("-->")); j >= 0 {
					b = b[j+3:]
				}
			}
		case isTag(tag, "a"), isTag(tag, "b"), isTag(tag, "i"), isTag(tag, "font"), isTag(tag, "span"), isTag(tag, "em"), isTag(tag, "strong"), isTag(tag, "u"), isTag(tag, "tt"), isTag(tag, "code"):
			if bytes.IndexByte(tag, '@') > 0 && !bytes.Contains(tag, []byte("mailto")) {
				out = append(append(append(out, '<'), tag...), '>') // an address in angle brackets that nobody escaped
			}
		case bytes.IndexByte(tag, '@') > 0 && bytes.IndexByte(tag, '=') < 0:
			out = append(append(append(out, '<'), tag...), '>')
		default:
			out = append(out, '\n')
		}
	}
	return out
}

// isTag tells whether a tag opens or closes an element.
func isTag(tag []byte, name string) bool {
	tag = bytes.TrimPrefix(tag, []byte("/"))
	return foldedAt(tag, 0, name) && (len(tag) == len(name) || !isWord(tag[len(name)]))
}

// afterTag returns what stands behind the next closing tag.
func afterTag(b []byte) []byte {
	i := bytes.Index(b, []byte("</"))
	if i < 0 {
		return nil
	}
	b = b[i:]
	j := bytes.IndexByte(b, '>')
	return b[j+1:]
}

// entities are the names of HTML that stand in reports.
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&nbsp;", " ", "&quot;", `"`, "&#39;", "'", "&apos;", "'", "&#64;", "@", "&#43;", "+", "&amp;", "&")

// appendText appends the text between two tags: its line ends are blanks.
func appendText(out, text []byte) []byte {
	if bytes.IndexByte(text, '&') >= 0 {
		text = []byte(entities.Replace(string(text)))
	}
	for _, c := range text {
		if c == '\n' {
			c = ' '
		}
		out = append(out, c)
	}
	return out
}
