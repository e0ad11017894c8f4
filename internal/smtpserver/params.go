package smtpserver

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"ukai/internal/mail"
)

// paramFault says what is wrong with a parameter.
type paramFault uint8

const (
	paramOK      paramFault = iota
	paramSyntax             // 501 5.5.4
	paramUnknown            // 555 5.5.4
)

// param is one esmtp-param (RFC 5321, section 4.1.2).
type param struct {
	key   []byte
	value []byte
	given bool // there was a "="
}

// nextParam takes one parameter from the start of b. ok is false where there is something that is none.
func nextParam(b []byte) (p param, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != ' ' {
		return p, b, false
	}
	b = bytes.TrimLeft(b, " ")
	i := 0
	for i < len(b) && (isAlnum(b[i]) || i > 0 && b[i] == '-') {
		i++
	}
	if i == 0 {
		return p, b, false
	}
	p.key = b[:i]
	if b = b[i:]; len(b) == 0 || b[0] == ' ' {
		return p, b, true
	}
	if b[0] != '=' {
		return p, b, false
	}
	b, i = b[1:], 0
	for i < len(b) && b[i] > ' ' && b[i] != '=' && b[i] != 0x7f {
		i++
	}
	p.value, p.given = b[:i], true
	return p, b[i:], i > 0 && (i == len(b) || b[i] == ' ') && utf8.Valid(p.value)
}

// is compares the key without case; name is in upper case.
func (p *param) is(name string) bool {
	if len(p.key) != len(name) {
		return false
	}
	for i := range p.key {
		if upper(p.key[i]) != name[i] {
			return false
		}
	}
	return true
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

// mailParams are the parameters of MAIL that were seen; the rest of what they say is in the envelope.
type mailParams struct {
	size, body, utf8, requireTLS, ret, envID, auth bool
}

// parseMailParams reads the parameters of MAIL into env. tls tells whether REQUIRETLS was offered.
func parseMailParams(b []byte, env *mail.Envelope, tls bool) paramFault {
	var seen mailParams
	for b = bytes.TrimRight(b, " "); len(b) > 0; {
		p, rest, ok := nextParam(b)
		if !ok {
			return paramSyntax
		}
		b = rest
		if f := seen.take(&p, env, tls); f != paramOK {
			return f
		}
	}
	return paramOK
}

func (seen *mailParams) take(p *param, env *mail.Envelope, tls bool) paramFault {
	switch {
	case p.is("SIZE"): // RFC 1870
		size, ok := parseSize(p.value)
		env.Size = size
		return once(&seen.size, ok)
	case p.is("BODY"): // RFC 6152
		switch {
		case bytes.EqualFold(p.value, []byte("8BITMIME")):
			env.EightBit = true
		case bytes.EqualFold(p.value, []byte("BINARYMIME")): // RFC 3030: known, not offered
			return paramUnknown
		case !bytes.EqualFold(p.value, []byte("7BIT")):
			return paramSyntax
		}
		return once(&seen.body, true)
	case p.is("SMTPUTF8"): // RFC 6531
		env.UTF8 = true
		return once(&seen.utf8, !p.given)
	case p.is("REQUIRETLS"): // RFC 8689: offered, and so known, over TLS only
		if !tls {
			return paramUnknown
		}
		env.RequireTLS = true
		return once(&seen.requireTLS, !p.given)
	case p.is("RET"): // RFC 3461, section 4.3
		env.Ret = strings.ToUpper(string(p.value))
		return once(&seen.ret, env.Ret == "FULL" || env.Ret == "HDRS")
	case p.is("ENVID"): // RFC 3461, section 4.4
		id, ok := decodeXtext(p.value)
		env.EnvID = id
		return once(&seen.envID, ok && id != "" && len(p.value) <= 100 && isPrintable(id))
	case p.is("AUTH"): // RFC 4954, section 5: who wrote it first. Nobody is believed in that, it is only checked.
		_, ok := decodeXtext(p.value)
		return once(&seen.auth, ok && len(p.value) > 0)
	}
	return paramUnknown
}

// once notes a parameter as seen: it is wrong when it was there before, or when its value is not ok.
func once(seen *bool, ok bool) paramFault {
	if *seen || !ok {
		return paramSyntax
	}
	*seen = true
	return paramOK
}

// parseRcptParams reads the parameters of RCPT into rcpt (RFC 3461, sections 4.1 and 4.2).
func parseRcptParams(b []byte, rcpt *mail.Recipient) paramFault {
	var notify, orcpt bool
	for b = bytes.TrimRight(b, " "); len(b) > 0; {
		p, rest, ok := nextParam(b)
		if !ok {
			return paramSyntax
		}
		b = rest
		f := paramUnknown
		switch {
		case p.is("NOTIFY"):
			rcpt.Notify, ok = parseNotify(p.value)
			f = once(&notify, ok)
		case p.is("ORCPT"):
			rcpt.ORcpt, ok = parseORcpt(p.value)
			f = once(&orcpt, ok)
		}
		if f != paramOK {
			return f
		}
	}
	return paramOK
}

// parseSize reads size-value: 1 to 20 digits. What does not fit becomes the largest number, which is refused as too big.
func parseSize(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	const most = 1<<63 - 1
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := int64(c - '0')
		if n > (most-d)/10 {
			n = most
			continue
		}
		n = n*10 + d
	}
	return n, true
}

func parseNotify(b []byte) (n mail.Notify, ok bool) {
	for word := range bytes.SplitSeq(b, []byte(",")) {
		var bit mail.Notify
		switch strings.ToUpper(string(word)) {
		case "NEVER":
			bit = mail.NotifyNever
		case "SUCCESS":
			bit = mail.NotifySuccess
		case "FAILURE":
			bit = mail.NotifyFailure
		case "DELAY":
			bit = mail.NotifyDelay
		default:
			return 0, false
		}
		n |= bit
	}
	return n, n == mail.NotifyNever || n&mail.NotifyNever == 0 // NEVER stands alone
}

// parseORcpt reads "addr-type;xtext". An address of type utf-8 has a code of its own (RFC 6533, section 3); both come out decoded.
func parseORcpt(b []byte) (string, bool) {
	kind, addr, ok := bytes.Cut(b, []byte(";"))
	if !ok || len(b) > 500 || len(kind) == 0 || len(addr) == 0 {
		return "", false
	}
	for _, c := range kind {
		if !isAtext(c) {
			return "", false
		}
	}
	decode := decodeXtext
	if bytes.EqualFold(kind, []byte("utf-8")) {
		decode = decodeUTF8Address
	}
	text, ok := decode(addr)
	return string(kind) + ";" + text, ok && text != "" && isPrintable(text)
}
