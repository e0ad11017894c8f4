package postfix

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// hop is a route that the configuration gives to some mail: "transport:nexthop" (transport(5)).
type hop struct {
	where     string // the parameter or file that says it
	key       string // of a table
	value     string
	transport string
	next      string
}

func readHop(where, key, value string) hop {
	h := hop{where: where, key: key, value: value, next: ""}
	h.transport, h.next, _ = strings.Cut(value, ":")
	return h
}

// inner tells whether the next hop is a host of the operator's, as far as can be seen: one on this machine or in a private
// network.
func (h hop) inner() bool {
	if !strings.HasPrefix(h.next, "[") {
		return strings.HasPrefix(h.next, "localhost") || strings.HasPrefix(h.next, "127.")
	}
	host, _, _ := strings.Cut(h.next[1:], "]")
	a, err := netip.ParseAddr(strings.TrimPrefix(host, "ipv6:"))
	return host == "localhost" || err == nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast())
}

// filters are the content filters: what goes through them comes back.
func (s *server) filters() []hop {
	var all []hop
	add := func(where, value string) {
		if value = s.main.expand(value, 0); value != "" {
			all = append(all, readHop(where, "", value))
		}
	}
	add("content_filter", s.main.raw("content_filter"))
	for i := range s.master.all {
		if v := &s.master.all[i]; v.options["content_filter"] != "" {
			add(v.name+" -o content_filter", v.options["content_filter"])
		}
	}
	return all
}

// stores are where mail for the house itself goes.
func (s *server) stores() []hop {
	var all []hop
	for _, name := range []string{"relay_transport", "local_transport", "virtual_transport", "mailbox_transport", "fallback_transport"} {
		if v := s.main.get(name); v != "" {
			all = append(all, readHop(name, "", v))
		}
	}
	return all
}

// table reads a table whose text is a file; ok is false for one that is no text file (a database, a program).
func (s *server) table(name string) (rows [][2]string, ok bool) {
	name = strings.TrimPrefix(name, "proxy:")
	kind, file, found := strings.Cut(name, ":")
	if !found {
		kind, file = "texthash", name
	}
	switch kind {
	case "texthash", "hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "regexp", "pcre", "cidr":
	default:
		return nil, false
	}
	if !path.IsAbs(file) {
		return nil, false
	}
	b, err := s.sys.ReadFile(file)
	if err != nil {
		return nil, false
	}
	entries, ok := parse(b).entries()
	for _, e := range entries {
		key, value, _ := nextWord(e.text)
		rows = append(rows, [2]string{key, strings.Trim(value, space)})
	}
	return rows, ok
}

// transports reads the transport tables; opaque are those that cannot be read.
func (s *server) transports() (hops []hop, opaque []string) {
	for _, m := range s.main.list("transport_maps") {
		rows, ok := s.table(m)
		if !ok {
			opaque = append(opaque, m)
			continue
		}
		for _, r := range rows {
			hops = append(hops, readHop(m, r[0], r[1]))
		}
	}
	return hops, opaque
}

// ours are the domains that this server takes mail from outside for, as far as they can be read.
func (s *server) ours() []string {
	var all []string
	for _, name := range []string{"relay_domains", "virtual_mailbox_domains", "virtual_alias_domains", "mydestination"} {
		for _, v := range s.main.list(name) {
			rows, ok := [][2]string(nil), false
			if strings.ContainsAny(v, ":/") {
				rows, ok = s.table(v)
			}
			if !ok {
				all = append(all, strings.ToLower(v))
			}
			for _, r := range rows {
				all = append(all, strings.ToLower(r[0]))
			}
		}
	}
	return all
}

// circles finds the routes that lead mail of the house to a next hop of the house by a service. When that hop is down, a
// fallback would send the mail out, and it would come in again.
func (s *server) circles(hops []hop) []hop {
	ours := s.ours()
	var all []hop
	for _, h := range hops {
		domain := strings.ToLower(h.key[strings.LastIndexByte(h.key, '@')+1:])
		if h.next != "" && (h.inner() || slices.Contains(ours, strings.TrimPrefix(domain, "."))) {
			all = append(all, h)
		}
	}
	return all
}
