package survey

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/mail"
	"ukai/internal/maillog"
)

// The bounds of what is kept of mail that our own server rejected.
const (
	maxLists    = 64
	maxPartners = 4096 // of one list
)

// inbound is what our own server rejected.
type inbound struct {
	rejected int64
	causes   table
	lists    map[string]*list
}

// list is one blocklist that our server asks.
type list struct {
	rejected    int64
	first, last int64
	partners    map[string]*partner
	lost        int // partners that had to be forgotten
}

// partner is somebody who was rejected for a listing.
type partner struct {
	client      string
	addr        netip.Addr
	n           int64
	first, last int64
	reply       string
}

// reject takes what our own server did not let in.
func (s *Survey) reject(e *maillog.Event) {
	in := &s.inbound
	in.rejected++
	at := e.At.UnixNano()
	v, _ := s.judge.of(e, "")
	in.causes.keep = keptGroup
	if e.List == "" {
		in.causes.add(v.Class, at, 1)
		return
	}
	in.causes.add("dnsbl_listed", at, 1)
	zone := strings.ToLower(e.List)
	l := in.lists[zone]
	if l == nil {
		if len(in.lists) >= maxLists {
			return
		}
		l = &list{first: at, partners: make(map[string]*partner)}
		in.lists[strings.Clone(zone)] = l
	}
	l.rejected++
	l.last = at
	name := s.partnerName(e)
	p := l.partners[name]
	if p == nil {
		if len(l.partners) >= maxPartners {
			s.forgetPartners(l)
		}
		p = &partner{client: strings.Clone(e.ClientName), addr: e.Client, first: at, reply: clip(e.Text)}
		l.partners[strings.Clone(name)] = p
	}
	p.n++
	p.last = at
}

// partnerName returns the domain of a sender; where it is not known, that of the client, or its address.
func (s *Survey) partnerName(e *maillog.Event) string {
	if d := mail.Domain(e.From); d != "" {
		return d
	}
	if host := hostName(e.ClientName); host != "" {
		return s.catalogue.ByHost(host).ID
	}
	if e.Client.IsValid() {
		return e.Client.String()
	}
	return strings.ToLower(e.Helo)
}

// forgetPartners makes room in a list: the half with the fewest rejections goes, of those we have never written to.
func (s *Survey) forgetPartners(l *list) {
	type entry struct {
		name string
		n    int64
	}
	var all []entry
	for name, p := range l.partners {
		if s.written(name) == nil {
			all = append(all, entry{name, p.n})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.n, b.n) })
	for _, x := range all[:(len(all)+1)/2] {
		delete(l.partners, x.name)
		l.lost++
	}
}

// written returns what we sent to a domain, or nil.
func (s *Survey) written(name string) *domain {
	if d := s.domains[name]; d != nil && d.delivered > 0 {
		return d
	}
	return nil
}

// shownPartners is how many partners of a list a result has.
const shownPartners = 50

// inboundResult tells what was rejected.
func (s *Survey) inboundResult() Inbound {
	in := Inbound{Rejected: s.inbound.rejected, Causes: s.inbound.causes.sorted()}
	for zone, l := range s.inbound.lists {
		in.Lists = append(in.Lists, s.listResult(zone, l))
	}
	slices.SortFunc(in.Lists, func(a, b List) int {
		return cmp.Or(-cmp.Compare(a.Rejected, b.Rejected), strings.Compare(a.Zone, b.Zone))
	})
	return in
}

func (s *Survey) listResult(zone string, l *list) List {
	r := List{Zone: zone, Rejected: l.rejected, First: instant(l.first), Last: instant(l.last)}
	for name, p := range l.partners {
		x := Partner{Domain: name, Client: p.client, Addr: p.addr, Rejected: p.n, First: instant(p.first), Last: instant(p.last), Reply: p.reply}
		if d := s.written(name); d != nil {
			x.Written, x.LastWritten = d.delivered, instant(d.last)
			r.Known++
		}
		r.Partners = append(r.Partners, x)
	}
	slices.SortFunc(r.Partners, func(a, b Partner) int {
		known := func(p Partner) int { return min(int(p.Written), 1) }
		return cmp.Or(-cmp.Compare(known(a), known(b)), -cmp.Compare(a.Rejected, b.Rejected), strings.Compare(a.Domain, b.Domain))
	})
	shown := min(max(shownPartners, r.Known), len(r.Partners))
	r.Others = len(r.Partners) - shown + l.lost
	r.Partners = slices.Clip(r.Partners[:shown])
	return r
}
