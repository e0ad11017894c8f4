package dsn

import (
	"strconv"
	"strings"
)

// typed splits a value into its type and the rest: "smtp; 550 no" (RFC 3464, section 2.1.2).
func typed(value []byte) (kind, text string) {
	s := oneLine(toUTF8(value[:min(len(value), 4*MaxReason)], ""))
	if strings.Contains(s, "=?") {
		s = headerText([]byte(s))
	}
	k, rest, ok := strings.Cut(s, ";")
	if ok && len(k) < 40 && strings.IndexFunc(k, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '@' || r == '<' || r == ':' }) < 0 {
		return strings.ToLower(k), clone(strings.TrimSpace(rest), MaxReason)
	}
	return "", clone(s, MaxReason)
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(s, " ")
	return w
}

// recipientOf reads an address of the forms "rfc822; a@b", "rfc822; <a@b>", "utf-8; a@b", and one without type.
func recipientOf(value []byte) string {
	kind, s := typed(value)
	if strings.HasPrefix(kind, "utf-8") {
		s = unescapeAddr(s)
	}
	return bareAddr(s)
}

// bareAddr takes brackets and quotes off an address.
func bareAddr(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		s = s[i+1:]
	}
	s, _, _ = strings.Cut(s, ">")
	s = strings.Trim(s, "'` ,;")
	if strings.Count(s, `"`) == 2 && strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`) {
		s = strings.Trim(s, `"`)
	}
	return clone(s, maxLocal+maxDomain+1)
}

// unescapeAddr undoes \x{HEX} of a utf-8-addr-xtext (RFC 6533, section 3).
func unescapeAddr(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		digits, rest, closed := strings.Cut(after, "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !closed || err != nil || n > 0x10ffff {
			b.WriteString(`\x{`)
			s = after
			continue
		}
		b.WriteRune(rune(n))
		s = rest
	}
}

// actionOf reads an action (RFC 3464, section 2.3.3) and the words that some use instead.
func actionOf(value []byte) Action {
	w := strings.ToLower(unfolded(value[:min(len(value), 100)]))
	switch {
	case strings.HasPrefix(w, "fail"), strings.HasPrefix(w, "expired"), strings.HasPrefix(w, "error"), strings.HasPrefix(w, "rejected"):
		return Failed
	case strings.HasPrefix(w, "delay"), strings.HasPrefix(w, "defer"):
		return Delayed
	case strings.HasPrefix(w, "delivered"):
		return Delivered
	case strings.HasPrefix(w, "relayed"):
		return Relayed
	case strings.HasPrefix(w, "expanded"):
		return Expanded
	}
	return ""
}
