package mail

import (
	"bytes"
	"unicode/utf8"
)

// field is a field that is looked into or counted.
type field uint8

const (
	none field = iota
	fieldFrom
	fieldMessageID
	fieldReceived
	fieldDate
	fieldList // List-Unsubscribe, List-Id
	fieldPrecedence
	fieldAuto
)

func fieldOf(name []byte) field {
	switch len(name) {
	case 4:
		if equalFold(name, "from") {
			return fieldFrom
		}
		if equalFold(name, "date") {
			return fieldDate
		}
	case 7:
		if equalFold(name, "list-id") {
			return fieldList
		}
	case 8:
		if equalFold(name, "received") {
			return fieldReceived
		}
	case 10:
		if equalFold(name, "message-id") {
			return fieldMessageID
		}
		if equalFold(name, "precedence") {
			return fieldPrecedence
		}
	case 14:
		if equalFold(name, "auto-submitted") {
			return fieldAuto
		}
	case 16:
		if equalFold(name, "list-unsubscribe") {
			return fieldList
		}
	}
	return none
}

// equalFold compares with a lower-case ASCII word.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// messageID takes what stands between the first angle brackets, or all of a value without them, and drops what can not be
// part of a msg-id (RFC 5322, section 3.6.4): blanks of folding, controls, broken UTF-8.
func messageID(v []byte) string {
	if i := bytes.IndexByte(v, '<'); i >= 0 {
		v = v[i+1:]
		if j := bytes.IndexByte(v, '>'); j >= 0 {
			v = v[:j]
		}
	}
	if v = bytes.TrimSpace(v); len(v) > maxLine {
		v = v[:maxLine]
	}
	id := make([]byte, 0, len(v))
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		if r > ' ' && r != 0x7f && (r != utf8.RuneError || n > 1) && (r < 0x80 || r > 0x9f) {
			id = append(id, v[:n]...)
		}
		v = v[n:]
	}
	return string(id)
}

// maxLine is the longest line of RFC 5322, section 2.1.1, without its CRLF.
const maxLine = 998
