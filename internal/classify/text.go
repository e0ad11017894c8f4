package classify

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"ukai/internal/mail"
)

// The form of a text that rules are compared with: words in the form of foldRune, one blank between them and one at each
// end. Whatever differs from one reply to the next is taken out, because it would only be in the way, or mislead (a user may
// be called spam, a domain virus.example):
//
//   - the reply code and the enhanced status, also where they stand in the middle because somebody joined the lines of a
//     reply into one: the lines of the 2019 text of Gmail break elsewhere for IPv6 than for IPv4, so "sending 550-5.7.1 IP" and
//     "sending IP 550-5.7.1" are the same words;
//   - an IP address, with its brackets, which becomes signIP;
//   - a mail address, with its angle brackets and the dots that Sendmail puts behind, which becomes signAddr.
const (
	signIP   = 0x01 // written {ip} in a rule
	signAddr = 0x02 // written {addr} in a rule
)

// maxText bounds the form, in octets: a reply's reason stands at its beginning, and nobody may make ukai read for hours.
const maxText = 8 << 10

// text is one reply in that form, and what was taken out of it.
type text struct {
	norm   []byte
	code   int         // 0 until one is found
	status mail.Status // the first one
	ip     netip.Addr  // the first one, or local where the text names it
	url    string      // the first one
	local  netip.Addr  // our own address, if known
	said   int         // where in norm the reply begins that somebody reports; 0 if all of it is the reply
	multi  bool        // lines that were joined have left their codes in the text
}

func (t *text) reset(code int, status mail.Status, local netip.Addr) {
	*t = text{norm: append(t.norm[:0], ' '), code: code, status: status, local: local}
}

// Kinds of octets, as far as they decide how a word is to be looked at.
const (
	isDigit = 1 << iota
	isDot
	isColon
	isAt
	isHigh
	isBackslash
	isAlpha
)

var kinds = func() (k [256]uint8) {
	for c := range k {
		switch {
		case c >= '0' && c <= '9':
			k[c] = isDigit
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			k[c] = isAlpha
		case c >= 0x80:
			k[c] = isHigh
		}
	}
	k['.'], k[':'], k['@'], k['\\'] = isDot, isColon, isAt, isBackslash
	return k
}()

// lower is the lower case of each ASCII octet; control characters become blanks.
var lower = func() (l [256]byte) {
	for c := range l {
		switch {
		case c >= 'A' && c <= 'Z':
			l[c] = byte(c) + 'a' - 'A'
		case c < ' ' || c == 0x7f:
			l[c] = ' '
		default:
			l[c] = byte(c)
		}
	}
	return l
}()

// add appends a line, or any text of several joined lines.
func (t *text) add(s string) {
	w := words{s: s[:min(len(s), 4*maxText)]} // four times: codes, addresses and blanks are taken out
	for w.next() && len(t.norm) < maxText {
		if w.kind&isBackslash != 0 && t.split(w.word()) {
			continue
		}
		t.word(&w)
	}
}

// split adds a word in which somebody wrote the ends of lines as \n.
func (t *text) split(word string) bool {
	if !strings.Contains(word, `\n`) && !strings.Contains(word, `\r`) {
		return false
	}
	t.add(strings.NewReplacer(`\n`, " ", `\r`, " ").Replace(word))
	return true
}

// word adds the word that w stands at.
func (t *text) word(w *words) {
	if w.kind&isDigit != 0 && t.number(w) {
		return
	}
	word := w.word()
	word = word[:min(len(word), maxText-len(t.norm))]
	switch {
	case word == "" || len(word) == 3 && word == "...":
		return
	case w.kind&isColon != 0 && strings.Contains(word, "://"):
		t.link(word)
		t.put(word)
	case w.kind&isAt != 0:
		t.address(word)
	case w.kind&isDigit != 0 && w.kind&(isDot|isColon) != 0:
		t.addr(word)
	default:
		t.put(word)
	}
	t.norm = append(t.norm, ' ')
}

// put appends a word as it is, in the form of foldRune.
func (t *text) put(s string) {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			t.norm = append(t.norm, lower[c])
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			r = rune(c) // not UTF-8: Latin-1 is what such servers speak
		}
		if r == 'ß' {
			t.norm = append(t.norm, 's')
		}
		t.norm = utf8.AppendRune(t.norm, foldRune(r))
		i += n
	}
}

// address appends a word with signAddr in the place of each mail address.
func (t *text) address(s string) {
	for {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			break
		}
		from, to := at, at+1
		for from > 0 && inLocal(s[from-1]) {
			from--
		}
		if to < len(s) && s[to] == '[' { // user@[192.0.2.1]
			if n := strings.IndexByte(s[to:], ']'); n > 0 {
				to += n + 1
			}
		}
		for to < len(s) && inDomain(s[to]) {
			to++
		}
		if from == at || to == at+1 {
			t.put(s[:to])
			s = s[to:]
			continue
		}
		t.put(strings.TrimSuffix(s[:from], "<"))
		t.norm = append(t.norm, signAddr)
		s = strings.TrimPrefix(s[to:], ">")
		s = strings.TrimPrefix(s, "...")
	}
	t.put(s)
}

func inLocal(c byte) bool {
	return kinds[c]&(isAlpha|isDigit|isDot|isHigh) != 0 || strings.IndexByte("!#$%&*+-/=?^_`{|}~", c) >= 0
}

func inDomain(c byte) bool {
	return kinds[c]&(isAlpha|isDigit|isHigh) != 0 || c == '-' || c == '_' || c == '.'
}

// addr appends a word with signIP in the place of each IP address.
func (t *text) addr(s string) {
	for s != "" {
		from, to, ip := findIP(s)
		if to == 0 {
			break
		}
		t.foundIP(ip)
		head := s[:from]
		if n := len(head) - len("ipv6:"); n >= 0 && strings.EqualFold(head[n:], "ipv6:") {
			head = head[:n]
		}
		if n := len(head); n > 0 && (head[n-1] == '[' || head[n-1] == '(') {
			head = head[:n-1]
		}
		t.put(head)
		t.norm = append(t.norm, signIP)
		s = s[to:]
		if s != "" && (s[0] == ']' || s[0] == ')') {
			s = s[1:]
		}
	}
	t.put(s)
}

func (t *text) foundIP(ip netip.Addr) {
	if !t.ip.IsValid() || ip == t.local {
		t.ip = ip
	}
}

// link keeps the first URL of the text, without the punctuation around it.
func (t *text) link(word string) {
	if t.url != "" {
		return
	}
	i := strings.Index(word, "://")
	from := i
	for from > 0 && kinds[word[from-1]]&isAlpha != 0 {
		from--
	}
	if scheme := word[from:i]; !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return
	}
	u := word[from:]
	if n := strings.IndexAny(u, "<>\"'"); n >= 0 {
		u = u[:n]
	}
	u = strings.TrimRight(u, ".,;:!)]}*")
	if len(u) > i-from+len("://") {
		t.url = u
	}
}

// finish closes the form. An address that stands only in the URL counts as named.
func (t *text) finish() {
	if n := len(t.norm); t.norm[n-1] != ' ' {
		t.norm = append(t.norm, ' ')
	}
	if t.ip.IsValid() || t.url == "" {
		return
	}
	for s := t.url; s != ""; {
		_, to, ip := findIP(s)
		if to == 0 {
			return
		}
		t.foundIP(ip)
		s = s[to:]
	}
}
