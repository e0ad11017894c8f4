package dns

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"time"

	mdns "github.com/miekg/dns"
)

// Options say whom a Client asks and how long it believes the answers. Zero values mean the defaults.
type Options struct {
	// Servers are the addresses of recursive name servers, "192.0.2.1" or "192.0.2.1:53" or "[2001:db8::1]:53", asked in
	// this order. Empty: those of /etc/resolv.conf, or this machine when it names none (resolv.conf(5)).
	Servers []string
	// Timeout is how long one server has for one answer, in UDP and again in TCP. Default 1.5 s.
	Timeout time.Duration
	// Total is how long one question may take with all servers, repetitions and CNAMEs. Default 12 s.
	Total time.Duration
	// Entries is how many answers are kept, about 300 octets each. Default 100,000.
	Entries int
	// MinTTL is how long an answer is kept at least, even if its TTL is shorter. Default 5 s.
	MinTTL time.Duration
	// MaxTTL is how long an answer is kept at most. Default 1 h. A smaller value finds moved mail exchangers sooner.
	MaxTTL time.Duration
	// MaxNegative is how long "no such domain" and "no records" are kept at most. Default 5 min.
	MaxNegative time.Duration
	// FailTTL is how long it is remembered that nothing could be found out, so that a thousand messages for a broken domain
	// do not ask a thousand times (RFC 9520, section 3.2). Default 3 s.
	FailTTL time.Duration
	// Stale is how long after its end an answer is still used when nothing newer can be found out (RFC 8767): mail goes on
	// while the name servers are away. Default 24 h; negative: never.
	Stale time.Duration
}

const resolvConf = "/etc/resolv.conf"

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Timeout, 1500*time.Millisecond)
	set(&o.Total, 12*time.Second)
	set(&o.MinTTL, 5*time.Second)
	set(&o.MaxTTL, time.Hour)
	set(&o.MaxNegative, 5*time.Minute)
	set(&o.FailTTL, 3*time.Second)
	set(&o.Stale, 24*time.Hour)
	o.MinTTL = min(o.MinTTL, o.MaxTTL)
	if o.Entries == 0 {
		o.Entries = 100_000
	}
	return o
}

// servers returns the addresses to ask.
func (o Options) servers() ([]*server, error) {
	names, port := o.Servers, "53"
	if len(names) == 0 {
		conf, err := mdns.ClientConfigFromFile(resolvConf)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", resolvConf, err)
		}
		if err == nil {
			names, port = conf.Servers, conf.Port
		}
	}
	if len(names) == 0 { // resolv.conf(5): "the default is to use the name server on the local machine"
		names = []string{"127.0.0.1", "::1"}
	}
	list := make([]*server, 0, len(names))
	for _, n := range names {
		addr, err := serverAddr(n, port)
		if err != nil {
			return nil, err
		}
		list = append(list, &server{addr: addr})
	}
	return list, nil
}

func serverAddr(name, port string) (string, error) {
	if ap, err := netip.ParseAddrPort(name); err == nil && ap.Port() != 0 {
		return ap.String(), nil
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return net.JoinHostPort(ip.String(), port), nil
	}
	return "", fmt.Errorf("name server %q: an IP address is expected, with or without a port", name)
}
