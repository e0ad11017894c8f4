package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

const records = `
	example.org. 300 MX 20 Backup.Example.ORG.
	example.org. 300 MX 10 mx.example.org.
	mx.example.org. 300 A 192.0.2.1
	mx.example.org. 300 A 192.0.2.2
	mx.example.org. 300 AAAA 2001:db8::1
	only4.example.org. 300 A 192.0.2.4
	null.example. 300 MX 0 .
	nullish.example. 300 MX 0 .
	nullish.example. 300 MX 10 mx.example.org.
	nulls.example. 300 MX 0 .
	nulls.example. 300 MX 10 .
	alias.example. 300 CNAME alias2.example.
	alias2.example. 300 CNAME example.org.
	dangling.example. 300 CNAME nothing.example.
	aliasnodata.example. 300 CNAME only4.example.org.
	spf.example. 300 TXT "v=spf1 " "-all"
	spf.example. 300 TXT "quote \" back \\ octet \195\164"
	1.2.0.192.in-addr.arpa. 300 PTR Mail.Example.org.
	1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 PTR mail6.example.org.
	xn--r8jz45g.jp. 300 MX 10 mx.example.org.
`

// ask puts a question given as "mx NAME", "addr NAME", "txt NAME" or "ptr IP" and returns the answer as text.
func ask(ctx context.Context, r Resolver, q string) (string, error) {
	op, name, _ := strings.Cut(q, " ")
	var v any
	var err error
	switch op {
	case "mx":
		v, err = r.MX(ctx, name)
	case "addr":
		v, err = r.Addrs(ctx, name)
	case "txt":
		v, err = r.TXT(ctx, name)
	case "ptr":
		v, err = r.PTR(ctx, netip.MustParseAddr(name))
	}
	if err != nil {
		if n := reflect.ValueOf(v).Len(); n > 0 {
			return "", fmt.Errorf("%d records come with %w", n, err)
		}
		return "", err
	}
	return fmt.Sprint(v), nil
}

func TestAnswers(t *testing.T) {
	s := &nameServer{records: zone(records), rules: map[string]func(mdns.ResponseWriter, *mdns.Msg){
		"half.example A":      reply(true, "half.example. 60 A 192.0.2.9"),
		"half.example AAAA":   rcode(mdns.RcodeServerFailure),
		"steps.example":       reply(true, "steps.example. 60 CNAME steps2.example."),
		"steps2.example":      reply(false, "steps2.example. 60 CNAME example.org."),
		"mixed.example":       reply(true, "other.example. 60 MX 1 evil.example.\nmixed.example. 60 CH MX 2 ch.example.\nMIXED.example. 60 MX 3 good.example."),
		"authority.example":   reply(false, "authority.example. 60 MX 1 mx.example.org."),
		"mapped.example AAAA": reply(true, "mapped.example. 60 AAAA ::ffff:192.0.2.7"),
		"mapped.example A":    reply(true, "mapped.example. 60 A 192.0.2.7"),
	}}
	c := newClient(t, Options{Servers: []string{s.start(t)}})
	for _, test := range []struct{ name, q, want string }{
		{"mail exchangers come by preference and in lower case", "mx example.org", "[{mx.example.org 10} {backup.example.org 20}]"},
		{"a name is asked for in any case and with a trailing dot", "mx EXAMPLE.org.", "[{mx.example.org 10} {backup.example.org 20}]"},
		{"IPv6 addresses come before IPv4 ones", "addr mx.example.org", "[2001:db8::1 192.0.2.1 192.0.2.2]"},
		{"one family is enough", "addr only4.example.org", "[192.0.2.4]"},
		{"one family is enough when nothing can be found out about the other", "addr half.example", "[192.0.2.9]"},
		{"an IPv4 address inside IPv6 is an IPv4 address", "addr mapped.example", "[192.0.2.7 192.0.2.7]"},
		{"localhost is known without asking", "addr localhost", "[::1 127.0.0.1]"},
		{"a null MX is one host without a name", "mx null.example", "[{ 0}]"},
		{"a null MX next to a host is left out", "mx nullish.example", "[{mx.example.org 10}]"},
		{"several null MX are one", "mx nulls.example", "[{ 0}]"},
		{"CNAMEs in the response are followed", "mx alias.example", "[{mx.example.org 10} {backup.example.org 20}]"},
		{"CNAMEs that the response leaves open are asked for", "mx steps.example", "[{mx.example.org 10} {backup.example.org 20}]"},
		{"records of other names and classes are not taken", "mx mixed.example", "[{good.example 3}]"},
		{"a server with authority needs no recursion", "mx authority.example", "[{mx.example.org 1}]"},
		{"the strings of a text record are joined, and escapes undone", "txt spf.example", `[v=spf1 -all quote " back \ octet ä]`},
		{"names of an IPv4 address", "ptr 192.0.2.1", "[mail.example.org]"},
		{"names of an IPv4 address inside IPv6", "ptr ::ffff:192.0.2.1", "[mail.example.org]"},
		{"names of an IPv6 address", "ptr 2001:db8::1", "[mail6.example.org]"},
		{"a Japanese domain is asked for by its A-label", "mx 例え。jp", "[{mx.example.org 10}]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ask(t.Context(), c, test.q)
			if err != nil || got != test.want {
				t.Errorf("%s = %v, %v, want %v", test.q, got, err, test.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	foreign := func(change func(*mdns.Msg)) func(mdns.ResponseWriter, *mdns.Msg) {
		return func(w mdns.ResponseWriter, r *mdns.Msg) {
			m := new(mdns.Msg).SetReply(r)
			m.RecursionAvailable = true
			m.Answer = zone(r.Question[0].Name + " 60 MX 1 evil.example.")
			change(m)
			_ = w.WriteMsg(m)
		}
	}
	s := &nameServer{records: zone(records), rules: map[string]func(mdns.ResponseWriter, *mdns.Msg){
		"servfail.example":    rcode(mdns.RcodeServerFailure),
		"refused.example":     rcode(mdns.RcodeRefused),
		"notimp.example":      rcode(mdns.RcodeNotImplemented),
		"notauth.example":     rcode(mdns.RcodeNotAuth),
		"silent.example":      silence,
		"lame.example":        reply(false, ""),
		"selfloop.example":    reply(true, "selfloop.example. 60 CNAME selfloop.example."),
		"loop1.example":       reply(true, "loop1.example. 60 CNAME loop2.example."),
		"loop2.example":       reply(true, "loop2.example. 60 CNAME loop1.example."),
		"badalias.example":    reply(true, `badalias.example. 60 CNAME a\.b.example.`),
		"nothing4.example A":  rcode(mdns.RcodeServerFailure),
		"wrongid.example":     foreign(func(m *mdns.Msg) { m.Id++ }),
		"wrongname.example":   foreign(func(m *mdns.Msg) { m.Question[0].Name = "other.example." }),
		"wrongtype.example":   foreign(func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeA }),
		"noquestion.example":  foreign(func(m *mdns.Msg) { m.Question = nil }),
		"noresponse.example":  foreign(func(m *mdns.Msg) { m.Response = false }),
		"wrongopcode.example": foreign(func(m *mdns.Msg) { m.Opcode = mdns.OpcodeNotify }),
		"garbage.example":     func(w mdns.ResponseWriter, _ *mdns.Msg) { _, _ = w.Write([]byte("not a message of the DNS")) },
		"truncated.example":   foreign(func(m *mdns.Msg) { m.Truncated = true }),
		"emptyservfail.exampl": func(w mdns.ResponseWriter, r *mdns.Msg) {
			m := new(mdns.Msg).SetRcode(r, 2)
			m.Question = nil
			_ = w.WriteMsg(m)
		},
	}}
	c := newClient(t, Options{Servers: []string{s.start(t)}, Timeout: 50 * time.Millisecond})
	for _, test := range []struct {
		name, q string
		want    Error
	}{
		{"a domain that does not exist is final", "mx nothing.example", Error{Reason: "no such domain", NotFound: true, NXDomain: true, Status: "5.1.2"}},
		{"a domain without the record is final", "mx mx.example.org", Error{Reason: "no records", NotFound: true, Status: "5.4.4"}},
		{"a host without addresses is final", "addr spf.example", Error{Reason: "no records", NotFound: true, Status: "5.4.4"}},
		{"a host that does not exist is final", "addr nothing.example", Error{Reason: "no such domain", NotFound: true, NXDomain: true, Status: "5.1.2"}},
		{"half an answer about addresses is temporary", "addr nothing4.example", Error{Reason: "server failure", Temporary: true, Status: "4.4.3"}},
		{"a CNAME to nowhere is final", "mx dangling.example", Error{Reason: "no such domain", NotFound: true, NXDomain: true, Status: "5.1.2"}},
		{"a CNAME to a name without the record is final", "mx aliasnodata.example", Error{Reason: "no records", NotFound: true, Status: "5.4.4"}},
		{"a CNAME to what is no name is final", "mx badalias.example", Error{Reason: "no such domain", NotFound: true, NXDomain: true, Status: "5.1.2"}},
		{"what is no name is final and not asked", "mx a..b", Error{Reason: "not a domain name", NotFound: true, NXDomain: true, Status: "5.1.2"}},
		{"an address is no name of a host with a space", "addr a b", Error{Reason: "not a domain name", NotFound: true, NXDomain: true, Status: "5.1.2"}},
		{"a server failure is temporary", "mx servfail.example", Error{Reason: "server failure", Temporary: true, Status: "4.4.3"}},
		{"a refusal is temporary", "txt refused.example", Error{Reason: "refused", Temporary: true, Status: "4.4.3"}},
		{"another code is temporary", "mx notauth.example", Error{Reason: "server says notauth", Temporary: true, Status: "4.4.3"}},
		{"not implemented is temporary", "mx notimp.example", Error{Reason: "server says notimp", Temporary: true, Status: "4.4.3"}},
		{"a failure without the question is believed", "mx emptyservfail.exampl", Error{Reason: "server failure", Temporary: true, Status: "4.4.3"}},
		{"silence is temporary", "mx silent.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"a lame server is temporary", "mx lame.example", Error{Reason: "lame server", Temporary: true, Status: "4.4.3"}},
		{"a CNAME to itself is temporary", "mx selfloop.example", Error{Reason: "CNAME loop", Temporary: true, Status: "4.4.3"}},
		{"CNAMEs in a circle over responses are temporary", "mx loop1.example", Error{Reason: "CNAME loop", Temporary: true, Status: "4.4.3"}},
		{"a response with another ID is not taken", "mx wrongid.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"a response to another name is not taken", "mx wrongname.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"a response to another type is not taken", "mx wrongtype.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"an answer without the question is not taken", "mx noquestion.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"a query is no response", "mx noresponse.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"a notification is no response", "mx wrongopcode.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"garbage is not taken", "mx garbage.example", Error{Reason: "timeout", Temporary: true, Status: "4.4.3"}},
		{"an answer truncated even in TCP is temporary", "mx truncated.example", Error{Reason: "truncated answer", Temporary: true, Status: "4.4.3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t.Context(), c, test.q)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%s = %v, %v, want an *Error", test.q, got, err)
			}
			test.want.Op, test.want.Name, _ = strings.Cut(test.q, " ")
			if *e != test.want {
				t.Errorf("%s: %+v, want %+v", test.q, *e, test.want)
			}
			if want := test.q + ": " + test.want.Reason; err.Error() != want {
				t.Errorf("text is %q, want %q", err, want)
			}
		})
	}
}

func TestATruncatedAnswerIsFetchedOverTCP(t *testing.T) {
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, "many.example. 60 A 192.0.2.%d\n", i)
	}
	s := &nameServer{records: zone(many.String())}
	s.rules = map[string]func(mdns.ResponseWriter, *mdns.Msg){"many.example A": func(w mdns.ResponseWriter, r *mdns.Msg) {
		m := s.answer(r)
		if w.LocalAddr().Network() == "udp" {
			m.Truncate(int(r.IsEdns0().UDPSize()))
		}
		_ = w.WriteMsg(m)
	}}
	c := newClient(t, Options{Servers: []string{s.start(t)}})
	addrs, err := c.Addrs(t.Context(), "many.example")
	if err != nil || len(addrs) != 200 {
		t.Errorf("%d addresses, %v, want 200", len(addrs), err)
	}
	if q := s.queries(); !slices.Contains(q, "tcp many.example. A") {
		t.Errorf("TCP was not used: %v", q)
	}
}

func TestAForgedResponseDoesNotKeepTheTrueOneOut(t *testing.T) {
	s := &nameServer{records: zone(records)}
	s.rules = map[string]func(mdns.ResponseWriter, *mdns.Msg){"example.org MX": func(w mdns.ResponseWriter, r *mdns.Msg) {
		forged := new(mdns.Msg).SetReply(r)
		forged.Id++
		forged.Answer = zone("example.org. 60 MX 1 evil.example.")
		_ = w.WriteMsg(forged)
		_, _ = w.Write([]byte{1, 2, 3})
		_ = w.WriteMsg(s.answer(r))
	}}
	c := newClient(t, Options{Servers: []string{s.start(t)}})
	if got, err := ask(t.Context(), c, "mx example.org"); err != nil || strings.Contains(got, "evil") {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAServerThatDoesNotKnowEDNSIsAskedWithout(t *testing.T) {
	s := &nameServer{records: zone(records)}
	s.rules = map[string]func(mdns.ResponseWriter, *mdns.Msg){"example.org": func(w mdns.ResponseWriter, r *mdns.Msg) {
		if r.IsEdns0() != nil {
			rcode(mdns.RcodeFormatError)(w, r)
			return
		}
		_ = w.WriteMsg(s.answer(r))
	}}
	c := newClient(t, Options{Servers: []string{s.start(t)}})
	if _, err := c.MX(t.Context(), "example.org"); err != nil {
		t.Error(err)
	}
}

func TestTheNextServerIsAskedWhenOneFails(t *testing.T) {
	good := &nameServer{records: zone(records)}
	for name, rule := range map[string]func(mdns.ResponseWriter, *mdns.Msg){
		"server failure": rcode(mdns.RcodeServerFailure), "silence": silence, "lame": reply(false, ""), "refused": rcode(mdns.RcodeRefused),
	} {
		t.Run(name, func(t *testing.T) {
			bad := &nameServer{rules: map[string]func(mdns.ResponseWriter, *mdns.Msg){"example.org": rule, "xn--r8jz45g.jp": rule}}
			c := newClient(t, Options{Servers: []string{bad.start(t), good.start(t)}, Timeout: 100 * time.Millisecond})
			if _, err := c.MX(t.Context(), "example.org"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.MX(t.Context(), "例え.jp"); err != nil {
				t.Fatal(err)
			}
			want := 2
			if name == "silence" { // it may be dead: the second question goes to the other first
				want = 1
			}
			if n := len(bad.queries()); n != want {
				t.Errorf("the bad server was asked %d times, want %d", n, want)
			}
		})
	}
}

func TestAServerThatIsNotThereIsTemporary(t *testing.T) {
	c := newClient(t, Options{Servers: []string{"127.0.0.1:1"}})
	_, err := c.MX(t.Context(), "example.org")
	var e *Error
	if !errors.As(err, &e) || !e.Temporary || e.Reason != "no name server can be reached" {
		t.Errorf("%+v", err)
	}
}

func TestNewRefusesServersThatAreNoAddresses(t *testing.T) {
	for _, s := range []string{"ns.example.org", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:99999", "", "[2001:db8::1]"} {
		if c, err := New(Options{Servers: []string{s}}); err == nil {
			c.Close()
			t.Errorf("%q is taken for a server", s)
		}
	}
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]:5": "[2001:db8::1]:5",
	} {
		c := newClient(t, Options{Servers: []string{in}})
		if got := c.servers[0].addr; got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestWithoutServersThoseOfTheMachineAreAsked(t *testing.T) {
	c := newClient(t, Options{})
	if len(c.servers) == 0 {
		t.Error("there is nobody to ask")
	}
}
