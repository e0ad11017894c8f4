package unclassified

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds what is kept of a reply, in octets.
const maxText = 1000

// What stands in the place of what was taken out.
const (
	maskAddress = "<address>"
	maskIP      = "<ip>"
	maskHost    = "<host>"
	maskID      = "<id>"
	maskName    = "<name>"
)

var (
	// link finds a URL: its host stays, because it says whose page explains the refusal; path and query may hold tokens.
	link = regexp.MustCompile(`(?i)\b(https?)://([^\s/?#<>"']*)([^\s<>"']*)`)
	// code is what a reply begins with: "550-5.7.1 ", "#5.1.1".
	code = regexp.MustCompile(`^[(#\[]*(?:[45]\d\d(?:[- ]|$))?[(#\[]*(?:[45]\.\d{1,3}\.\d{1,3}\b)?`)
	// single finds one word in quotes or angle brackets: a name, most of the time.
	single = regexp.MustCompile(`<[^<>\s]{1,256}>|"[^"\s]{1,256}"|'[^'\s]{1,256}'|` + "`[^`'\\s]{1,256}'")
)

// Mask returns a reply without anything that names a person, a machine or a message, in one line of at most 1,000 octets.
// What is masked stays masked: Mask(Mask(s)) is Mask(s).
func Mask(reply string) string {
	s := strings.ToValidUTF8(strings.Join(strings.Fields(reply[:min(len(reply), 4*maxText)]), " "), "?")
	s = quotedLocal.ReplaceAllString(s, maskAddress)
	var out []string
	named := false
	for _, w := range strings.Split(unlink(s), " ") {
		m := maskWord(w)
		if named && m == w && isName(w) {
			m = maskName
		}
		named = introduces[strings.ToLower(strings.Trim(w, ":=\"'"))]
		out = append(out, m)
	}
	return cut(strings.Join(out, " "), maxText)
}

// quotedLocal is an address whose local part is a quoted string (RFC 5321, section 4.1.2) and so may hold blanks.
var quotedLocal = regexp.MustCompile(`"[^"]{0,128}"@\S+`)

// unlink replaces URLs by scheme and host.
func unlink(s string) string {
	return link.ReplaceAllStringFunc(s, func(u string) string {
		m := link.FindStringSubmatch(u)
		host := strings.ToLower(strings.Trim(m[2], "."))
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		if host == "" || looksLikeIP(host) {
			return "<link>"
		}
		return "<link:" + digits(shortHost(host)) + ">"
	})
}

// shortHost keeps the last labels of a host name: the first ones may be made for one recipient or one message.
func shortHost(host string) string {
	host, _, _ = strings.Cut(host, ":")
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(0, len(labels)-3):], ".")
}

// introduces are words behind which a name stands, unless another common word does.
var introduces = map[string]bool{
	"user": true, "mailbox": true, "account": true, "recipient": true, "login": true, "member": true, "alias": true, "username": true,
	"name": true, "subscriber": true, "customer": true, "for": true, "to": true, "from": true, "sender": true,
}

// common are words that stand behind those and are no names.
var common = func() map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(`unknown is not has was were are be been does do did did't doesn't isn't hasn't name over full disabled
		quota address addresses inactive suspended invalid cannot can't could no nobody and or but in on of at by with within without the
		a an this that these those your our their its it you we us local remote such list lists server service system host policy
		limit rejected refused denied blocked unavailable temporarily temporary too many more less than message messages mail mails email
		emails details help information info assistance delivery deliver delivered receive receiving accept accepted exists exist found
		missing required domain domains verification verify check checked by, access account accounts mailbox mailboxes user users
		recipient recipients sender senders reason reasons being will would should must may might please try later again now only all any
		some each every other another new old unable error errors failed failure size storage space data part phase command commands
		rule rules group groups contact abuse support postmaster administrator see visit ip ips network client clients connection
		connections days hours minutes seconds day hour minute second security spam virus content example future long short time`) {
		m[w] = true
	}
	return m
}()

// isName tells whether a word behind one that introduces a name is one.
func isName(w string) bool {
	w = strings.ToLower(strings.Trim(w, `.,;:!?()[]{}<>"'`))
	return w != "" && !common[w] && utf8.RuneCountInString(w) > 1
}

// maskWord masks one word. Punctuation around it stays.
func maskWord(w string) string {
	if isMask(w) {
		return w
	}
	if strings.ContainsRune(w, '@') || strings.Contains(strings.ToLower(w), "%40") || strings.Contains(strings.ToLower(w), "=40") {
		return maskAddress
	}
	if c := code.FindString(w); c == w && c != "" {
		return w
	}
	if m := single.ReplaceAllString(w, maskName); m != w {
		return digits(m)
	}
	core := strings.Trim(w, `.,;:!?()[]{}<>"'*`)
	if core == "" {
		return w
	}
	return strings.Replace(w, core, maskCore(core), 1)
}

// isMask tells whether a word is what Mask has left.
func isMask(w string) bool {
	w = strings.Trim(w, `.,;:!?()[]{}"'*`)
	switch w {
	case maskAddress, maskIP, maskHost, maskID, maskName, "<link>":
		return true
	}
	return strings.HasPrefix(w, "<link:") && strings.HasSuffix(w, ">")
}

// maskCore masks a word without punctuation around it.
func maskCore(w string) string {
	head := ""
	if c := code.FindString(w); len(c) >= 4 { // "550-5.7.1" or "550-Text": the code stays
		head, w = c, w[len(c):]
	}
	switch {
	case w == "":
		return head
	case looksLikeIP(w):
		return head + maskIP
	case strings.ContainsAny(strings.Trim(w, "."), "._") && !strings.Contains(w, "/"):
		return head + maskHost
	case isToken(w):
		return head + maskID
	}
	return head + digits(w)
}

// looksLikeIP tells whether a word is or holds an IP address.
func looksLikeIP(w string) bool {
	w = strings.TrimPrefix(strings.ToLower(w), "ipv6:")
	if i := strings.LastIndexAny(w, "=["); i >= 0 {
		w = w[i+1:]
	}
	w = strings.Trim(w, "[]()")
	if _, err := netip.ParseAddr(w); err == nil {
		return true
	}
	if _, err := netip.ParsePrefix(w); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(w)
	return err == nil || strings.Count(w, ":") >= 3
}

// isToken tells whether a word was made by a machine: a queue ID, a hash, a part of base64. Providers' own short codes (TSS04) are
// not taken for one: without their digits they say nothing of a message.
func isToken(w string) bool {
	var letters, numbers, turns, runes int
	upper := false
	for i, c := range w {
		runes++
		switch {
		case unicode.IsDigit(c):
			numbers++
		case unicode.IsLetter(c):
			letters++
			if i > 0 && unicode.IsUpper(c) != upper {
				turns++
			}
			upper = unicode.IsUpper(c)
		}
	}
	ascii := runes == len(w) // what is not English has long words
	return numbers > 0 && letters > 0 && runes >= 7 || turns >= 4 || ascii && runes > 24 || strings.ContainsAny(w, "=/+") && runes >= 12
}

// digits replaces each digit.
func digits(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsDigit(c) {
			return '#'
		}
		return c
	}, s)
}

// cut shortens s to at most n octets, at the end of a word where there is one.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = strings.ToValidUTF8(s[:n], "")
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return s
}

// samples fill the places of what was masked.
var samples = strings.NewReplacer(maskAddress, "<user@example.com>", maskIP, "192.0.2.1", maskHost, "mx.example.com", maskID, "", maskName, "user", "<link:", "<https://", "#", "1")

// Sample returns a masked reply with examples in the places of what was masked, so that rules can be compared with it.
func Sample(masked string) string { return samples.Replace(masked) }
