package peersim

import (
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Canned is the reply of a real provider.
type Canned struct {
	// Phase is where the provider gives it.
	Phase Phase `toml:"phase"`
	// Text is the reply as it comes over the wire, lines divided by LF; {ip} and the like are put in.
	Text string `toml:"text"`
	// Text6 is the reply to an IPv6 source, where its lines break elsewhere.
	Text6 string `toml:"text6"`
	// Source says where the text was seen.
	Source string `toml:"source"`
}

//go:embed replies.toml
var repliesFile []byte

var replies = sync.OnceValue(func() map[string]Canned {
	var all map[string]Canned
	if err := toml.Unmarshal(repliesFile, &all); err != nil {
		panic("bug: replies.toml: " + err.Error())
	}
	return all
})

// Replies returns the names of the canned replies, sorted.
func Replies() []string {
	var names []string
	for n := range replies() {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Reply returns a canned reply.
func Reply(name string) (Canned, bool) {
	c, ok := replies()[name]
	return c, ok
}

// reply is a reply with places for values, for both kinds of addresses.
type reply struct {
	code   int
	v4, v6 []piece
}

// piece is text, or the name of a value in braces.
type piece struct {
	text  string
	value bool
}

// values is what can be put into a reply.
type values struct {
	ip         netip.Addr
	from, rcpt string
	domain     string
	host, id   string
}

var valueNames = []string{"{ip}", "{from}", "{rcpt}", "{domain}", "{host}", "{id}"}

// parseReply reads a whole reply, or looks up a canned one.
func parseReply(text string) (*reply, error) {
	c, ok := Reply(text)
	if !ok {
		c = Canned{Text: text}
	}
	r := &reply{}
	wire, code, err := wireForm(c.Text)
	if err != nil {
		return nil, err
	}
	r.code, r.v4 = code, pieces(wire)
	r.v6 = r.v4
	if c.Text6 != "" {
		if wire, _, err = wireForm(c.Text6); err != nil {
			return nil, err
		}
		r.v6 = pieces(wire)
	}
	return r, nil
}

// wireForm checks a reply and writes the code before each of its lines (RFC 5321, section 4.2.1).
func wireForm(text string) (string, int, error) {
	text = strings.TrimRight(text, "\r\n")
	if len(text) < 3 {
		return "", 0, fmt.Errorf("%q is neither a reply nor the name of a canned one", text)
	}
	code, err := strconv.Atoi(text[:3])
	if err != nil || code < 400 || code > 599 || len(text) > 3 && text[3] != ' ' && text[3] != '-' {
		return "", 0, fmt.Errorf("%q is neither a reply that refuses (4xx, 5xx) nor the name of a canned one", text)
	}
	lines := strings.Split(text, "\n")
	var b strings.Builder
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		if strings.ContainsAny(l, "\r\x00") {
			return "", 0, errors.New("a line of the reply holds a control character")
		}
		if rest, ok := strings.CutPrefix(l, text[:3]); ok && rest == "" {
			l = ""
		} else if ok && (rest[0] == ' ' || rest[0] == '-') {
			l = rest[1:]
		}
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		b.WriteString(text[:3] + sep + l + "\r\n")
	}
	return b.String(), code, nil
}

func pieces(wire string) []piece {
	var all []piece
	for wire != "" {
		at, name := len(wire), ""
		for _, v := range valueNames {
			if i := strings.Index(wire, v); i >= 0 && i < at {
				at, name = i, v
			}
		}
		if at > 0 {
			all = append(all, piece{text: wire[:at]})
		}
		if name != "" {
			all = append(all, piece{text: name, value: true})
		}
		wire = wire[at+len(name):]
	}
	return all
}

// append writes the reply with its values behind b.
func (r *reply) append(b []byte, v *values) []byte {
	list := r.v4
	if v.ip.Is6() && !v.ip.Is4In6() {
		list = r.v6
	}
	for _, p := range list {
		if !p.value {
			b = append(b, p.text...)
			continue
		}
		switch p.text {
		case "{ip}":
			b = v.ip.AppendTo(b)
		case "{from}":
			b = append(b, v.from...)
		case "{rcpt}":
			b = append(b, v.rcpt...)
		case "{domain}":
			b = append(b, v.domain...)
		case "{host}":
			b = append(b, v.host...)
		case "{id}":
			b = append(b, v.id...)
		}
	}
	return b
}
