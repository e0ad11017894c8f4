package exim

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"ukai/internal/mtaconf"
)

// What our router waits for, and for how long mail is kept for ukai alone, in seconds.
const (
	greetWait = 2    // for the greeting of ukai; a little less than a person would call slow
	askWait   = 1    // for an answer of the live lookup server; Exim counts in whole seconds
	putOff    = 300  // safety-net: what was put off and is older than this
	holdFor   = 3600 // a ukai that greets and takes no mail is waited for; then the former MX hosts stand behind it
)

// notOurs are options of a dnslookup router that mean nothing to ours, or would keep it from doing its work. no_more is among
// them because a message that ukai cannot be found for goes on to the next router; ignore_target_hosts because ukai often
// listens on 127.0.0.1.
var notOurs = []string{
	"driver", "transport", "more", "verify", "verify_sender", "verify_recipient", "verify_only", "unseen", "self", "pass_router",
	"redirect_router", "cannot_route_message", "fallback_hosts", "ignore_target_hosts", "host_find_failed", "host_all_ignored",
	"hosts_randomize", "pass_on_timeout", "debug_print", "dnssec_request_domains", "dnssec_require_domains", "check_secondary_mx",
	"check_srv", "fail_defer_domains", "ipv4_only", "ipv4_prefer", "mx_domains", "mx_fail_domains", "qualify_single",
	"rewrite_headers", "same_domain_copy_routing", "search_parents", "srv_fail_domains", "widen_domains",
}

// ours are options of a transport that we set ourselves. What differs between ukai and an MX host is in toUkai.
var ours = []string{
	"hosts", "hosts_override", "hosts_randomize", "fallback_hosts", "allow_localhost", "connect_timeout", "command_timeout",
	"data_timeout", "debug_print",
}

// bare drops the "no_" of an option that is switched off, and "hide".
func bare(key string) string {
	key = strings.TrimSpace(strings.TrimPrefix(key, "hide "))
	return strings.TrimPrefix(strings.TrimPrefix(key, "no_"), "not_")
}

// isPeer is the condition that the host at hand is ukai. A name may have been replaced by that it is an alias of; the port stays.
func (d *draft) isPeer() string {
	p := d.wish.Peer
	if _, err := netip.ParseAddr(p.Host); err == nil || p.Port == 25 {
		return fmt.Sprintf("eqi{$host}{%s}", p.Host)
	}
	return fmt.Sprintf("or{{eqi{$host}{%s}}{eq{$host_port}{%d}}}", p.Host, p.Port)
}

// loopback tells whether ukai is asked on this machine.
func (d *draft) loopback() bool {
	a, err := netip.ParseAddr(d.wish.Peer.Host)
	return err == nil && a.IsLoopback() || d.wish.Peer.Host == "localhost"
}

// toUkai are the options of the transport by which ukai is told apart from other hosts, in order, with what holds for ukai.
func (d *draft) toUkai() [][2]string {
	tls, avoid, auth := "", "", ""
	if d.wish.Peer.TLS {
		tls = "*"
	} else if d.loopback() {
		avoid = "*"
	}
	if d.wish.Peer.Username != "" {
		auth = "*"
	}
	return [][2]string{
		{"hosts_require_tls", tls}, {"hosts_avoid_tls", avoid}, {"hosts_require_auth", auth}, {"hosts_try_auth", ""},
		{"interface", ""}, {"tls_verify_hosts", ""}, {"hosts_require_dane", ""}, {"hosts_require_ocsp", ""},
		{"hosts_avoid_esmtp", ""}, {"serialize_hosts", ""}, {"socks_proxy", ""},
	}
}

// transport writes our copy of a transport.
func (d *draft) transport(t *driver) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# ukai: %s as it stands, for mail that goes to ukai.\n%s%s:\n", t.name, own, t.name)
	special := d.toUkai()
	for _, line := range t.body(func(key string) bool {
		key = bare(key)
		return !slices.Contains(ours, key) && !slices.ContainsFunc(special, func(s [2]string) bool { return s[0] == key })
	}) {
		b.WriteString(line)
	}
	b.WriteString("  allow_localhost\n")
	if d.wish.Mode != mtaconf.Relay {
		b.WriteString("  connect_timeout = 2s\n  command_timeout = 5s\n  data_timeout = 30s\n")
	}
	for _, s := range special {
		former := t.raw(s[0])
		if d.wish.Mode == mtaconf.Relay { // no other host than ukai
			former = ""
		}
		if v := d.choose(s[1], former); v != "" {
			fmt.Fprintf(&b, "  %s = %s\n", s[0], v)
		}
	}
	return b.String() + "\n"
}

// choose returns a value that is one thing for ukai and another for other hosts.
func (d *draft) choose(ukai, former string) string {
	if ukai == "" && former == "" || former == ukai {
		return former
	}
	if d.wish.Mode == mtaconf.Relay {
		return ukai
	}
	quote := ""
	if len(former) > 1 && former[0] == '"' && former[len(former)-1] == '"' {
		quote, former = `"`, former[1:len(former)-1]
	}
	return fmt.Sprintf("%s${if %s{%s}{%s}}%s", quote, d.isPeer(), ukai, former, quote)
}

// router writes ours for one that is there.
func (d *draft) router(w way) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s%s:\n  driver = manualroute\n", d.remark(), own, w.router.name)
	if c := d.condition(); c != "" {
		fmt.Fprintf(&b, "  condition = %s\n", c)
	}
	for _, line := range w.router.body(func(key string) bool { return !slices.Contains(notOurs, bare(key)) }) {
		b.WriteString(line)
	}
	fmt.Fprintf(&b, "  transport = %s\n", prefixed(w.router.raw("transport")))
	fmt.Fprintf(&b, "  route_data = %s\n", d.route())
	b.WriteString("  self = send\n  host_find_failed = ignore\n  host_all_ignored = pass\n  pass_on_timeout\n  no_verify\n\n")
	return b.String()
}

// prefixed puts what our names begin with before a transport, or before the expansion that gives one.
func prefixed(transport string) string {
	if rest, quoted := strings.CutPrefix(transport, `"`); quoted {
		return `"` + own + rest
	}
	return own + transport
}

// remark says in the file what the router is for.
func (d *draft) remark() string {
	switch d.wish.Mode {
	case mtaconf.Relay:
		return "# ukai: all mail for elsewhere goes to ukai.\n"
	case mtaconf.SafetyNet:
		return "# ukai: mail for a provider that refuses this server's address, and mail that was put off, goes to ukai. While ukai does\n" +
			"# not greet, and for all other mail, the router behind this one does what it always did.\n"
	}
	return "# ukai: mail for a provider that refuses this server's address goes to ukai. While ukai does not greet, and for all other\n" +
		"# mail, the router behind this one does what it always did.\n"
}

// condition returns what has to hold besides the preconditions of the former router; "" for nothing. It stands before the
// administrator's own conditions, and Exim stops at the first that does not hold: one with a side effect, as panels use for
// counting mail, is not met twice. Nothing here may fail: a condition that is false, and had a lookup in it that could not be
// made, puts the message off.
func (d *draft) condition() string {
	if !d.byFile() || d.wish.Live != "" {
		return ""
	}
	if d.wish.Mode == mtaconf.SafetyNet {
		return fmt.Sprintf("${if or{{%s}{%s}}}", wasPutOff(), d.listed())
	}
	return "${if " + d.listed() + "}"
}

// listed is the condition that the host for the domain stands in the file. The most preferred MX host is the one that will take or
// refuse the mail; a domain without MX receives by itself (RFC 5321, section 5.1). defer_never: a name server that does not answer
// is no reason to wait (section 9.10). A file in a domain list is one that has to be there (section 10.2).
func (d *draft) listed() string {
	host := `${extract{2}{ }{${extract{1}{:}{${sort{${lookup dnsdb{>: defer_never,mx=$domain}{$value}{0 $domain}}}` +
		`{<}{${extract{1}{ }{$item}}}}}}}}`
	return fmt.Sprintf("and{{exists{%[1]s}}\\\n    {match_domain{%[2]s}\\\n    {%[1]s}}}", d.hosts, host)
}

// wasPutOff is the condition that a message comes here again.
func wasPutOff() string { return fmt.Sprintf("and{{!first_delivery}{>={$message_age}{%d}}}", putOff) }

// route is the list of hosts: ukai, and for mail that it has not taken for long, those that the mail would go to without it. Where
// ukai does not answer, the expansion fails, which makes the router decline (section 20.2): the next one is the former one.
func (d *draft) route() string {
	p := d.wish.Peer
	to := "<;" + p.Address()
	if d.wish.Mode == mtaconf.Relay {
		return to
	}
	to = fmt.Sprintf("%s${if >{$message_age}{%d}{;$domain/MX}}", to, holdFor)
	// Whoever greets with 421 is there, and busy: the mail waits for it.
	to = fmt.Sprintf("${if match{${readsocket{inet:%s}{}{%ds}{}{}}}{^[24]}\\\n    {%s}fail}", p.Address(), greetWait, to)
	if d.wish.Live == "" {
		return to
	}
	live := d.wish.Live
	if !strings.HasPrefix(live, "/") {
		live = "inet:" + live
	}
	// ukai answers "as before" for a domain that it has not met, and looks its MX up meanwhile. Exim knows the MX: what stands in
	// the file needs no question.
	asked := fmt.Sprintf(`or{{%s}{!eq{${readsocket{%s}{exim %s $local_part@$domain\n}{%ds}{}{}}}{}}}`, d.listed(), live, d.wish.Server, askWait)
	if d.wish.Mode == mtaconf.SafetyNet {
		asked = fmt.Sprintf("or{{%s}{%s}}", wasPutOff(), asked)
	}
	return fmt.Sprintf("${if %s\\\n    {%s}fail}", asked, to)
}

// retryRule lets Exim try ukai again after a second: it keeps hosts that failed out of its way for a quarter of an hour or longer.
// The rules are looked through from the top (chapter 32). None can be written for an IPv6 address: Exim looks the host up by what
// is before the first colon of "address:address:port" (seen on 4.96).
func (d *draft) retryRule() string {
	if d.colons() {
		return ""
	}
	return fmt.Sprintf("# ukai: is tried again at once when it is back.\n%s  *  F,4d,1s\n", d.wish.Peer.Host)
}

// colons tells whether ukai is named by an IPv6 address.
func (d *draft) colons() bool { return strings.Contains(d.wish.Peer.Host, ":") }

// hostsFile returns where the file of the hosts of refusing providers is.
func (l *layout) hostsFile() string { return path.Join(l.home(), "blocked-mx") }
