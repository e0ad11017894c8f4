package sendmail

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// lines are what is put in, without line ends. Nothing in them may be a word or a quote of m4: they stand in both files.
type lines struct {
	define []string // for m4 only
	maps   []string // K lines
	rules  []string
	mailer []string
	auth   []string // instead of the rules of the ruleset authinfo, in sendmail.cf; m4 makes them by itself
}

// greetWithin is how long ukai may take to greet before mail goes its former way; lookWithin is the limit of a live lookup. A
// ukai that is only busy must not be taken for dead, since the former way is the one that is refused; and all together must
// stay below 5 s.
const (
	greetWithin = "2s"
	lookWithin  = "1s"
)

const listHead = "# ukai: domains whose mail takes the detour, written by ukai while it runs.\n"

func (s *site) lines() (lines, error) {
	var l lines
	mailer, err := s.mailer()
	if err != nil {
		return l, err
	}
	l.mailer = mailer
	host := literal(s.wish.Peer.Host)
	if s.steers() {
		l.maps, l.rules = s.steering(host)
	} else {
		l.rules = []string{
			"# ukai: all mail for elsewhere goes to ukai",
			"R$* < @ $+ > $*\t\t$#ukai $@ " + host + " $: $1 < @ $2 > $3",
		}
	}
	if s.wish.Peer.Username != "" {
		l.define = []string{"define(`_AUTHINFO_TABLE_', `')dnl"} // what FEATURE(authinfo) sets; FEATURE has to come before MAILER
		l.maps = append(l.maps, `Kauthinfo text -o -k0 -v1 -z\t `+authFile)
		l.auth = []string{
			"R$*\t\t$: <$(authinfo AuthInfo:$&{server_name} $: ? $)>",
			"R<?>\t\t$: <$(authinfo AuthInfo:$&{server_addr} $: ? $)>",
			"R<?>\t\t$: <$(authinfo AuthInfo: $: ? $)>",
			"R<?>\t\t$@ no\t\t\t\tno authinfo available",
			"R<$*>\t\t$# $1",
		}
	}
	return l, nil
}

// steering returns the maps and rules by which single domains take the detour.
//
// The map flags: -o, a file that is not there is an empty one; -k and -v, the column of the key and of the value; -t, a
// temporary failure is no answer (op.me, "K -- Key File Declaration").
func (s *site) steering(host string) (maps, rules []string) {
	w := s.wish
	list := "Kukai text -o -k0 -v0 " + domainsFile
	if w.Live != "" {
		list = fmt.Sprintf("Kukai program -t %s lookup --to %s --map %s --deadline %s", w.Program, w.Live, w.Server, lookWithin)
	}
	maps = []string{
		"# ukai: which domains take the detour; whether ukai greets; what it was found to do for this message",
		list,
		fmt.Sprintf("Kukai_up program -t %s lookup --relay %s --deadline %s", w.Program, w.Peer.Address(), greetWithin),
		"Kukai_note macro",
	}
	hosts := host
	if w.Peer.Port == 25 { // the port of the mailer is that of the former route, too: it can stand behind
		hosts += ":$3"
	}
	rules = []string{
		"# ukai: a domain that takes the detour goes to ukai while that greets; all others, and all if it does not, go on below",
		"R$* < @ $+ > $*\t\t$: < $2 > $1 < @ $2 > $3",
		"R< $+ . > $*\t\t$: < $1 > $2",
		"R< $+ > $*\t\t$: < $(ukai $1 $: $) > $2",
		"R< > $*\t\t\t$: $1",
		"R< $+ > $*\t\t$: < $&{ukai} > $2",
		"R< > $*\t\t\t$: < $(ukai_up greets $: down $) > $1",
		"R< $+ > $*\t\t$: < $1 > $(ukai_note {ukai} $@ $1 $) $2",
		"R< up > $* < @ $+ > $*\t$#ukai $@ " + strings.ReplaceAll(hosts, "$3", "$2") + " $: $1 < @ $2 > $3",
		"R< $+ > $* < @ $+ > $*\t$: $2 < @ $3 > $4",
	}
	return maps, rules
}

// arguments is the end of the definition of an SMTP mailer: the host, and the port where it is not 25.
var arguments = regexp.MustCompile(`\bA=(TCP|IPC) \$h\b.*`)

// mailer returns the definition of the mailer ukai: that of esmtp, with all that the operator has set for it (flags, limits,
// masquerading), but for the port.
func (s *site) mailer() ([]string, error) {
	out := make([]string, 0, len(s.cf.smtp)+1)
	out = append(out, "# ukai: as esmtp, to the port of ukai")
	found := false
	for _, line := range s.cf.smtp {
		line = strings.TrimRight(line, "\r\n")
		if arguments.MatchString(line) {
			found = true
			line = arguments.ReplaceAllString(line, fmt.Sprintf("A=TCP $$h %d", s.wish.Peer.Port))
		}
		out = append(out, strings.Replace(line, "Mesmtp,", "Mukai,", 1))
	}
	if !found {
		return nil, i18n.Errorf("sendmail.error.mailer", "file", s.cf.name, "line", strings.TrimSpace(strings.Join(s.cf.smtp, "")))
	}
	return out, nil
}

// literal returns a host as Sendmail writes one that no MX is looked up for.
func literal(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

// authInfo returns the file with the password, as cf/README describes it ("AuthInfo"): the key is the address of the server,
// or its name; "P=" stands before what is in base64, so nothing in a password can end it.
func authInfo(p mtaconf.Peer) []byte {
	key := p.Host
	if a, err := netip.ParseAddr(p.Host); err == nil && a.Is6() {
		key = "IPv6:" + key
	}
	return fmt.Appendf(nil, "AuthInfo:%s\t\"U:%s\" \"P=%s\" \"M:PLAIN\"\n", key, p.Username, base64.StdEncoding.EncodeToString([]byte(p.Password)))
}
