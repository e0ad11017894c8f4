package peersim

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// Zone is what the name server knows. Names are lower case, without trailing dot. A name that stands in no table does not
// exist; one that does, without records of the type that is asked for, has none.
type Zone struct {
	MX    map[string][]string // hosts in order of preference; "" is the null MX (RFC 7505)
	Addr  map[string][]netip.Addr
	TXT   map[string][]string
	PTR   map[netip.Addr][]string
	CNAME map[string]string
	// Trouble is what a name gives instead of an answer.
	Trouble map[string]Trouble
	// TTL of every answer; 0 means one second, so that changes are seen soon.
	TTL time.Duration
}

// Trouble is a way not to answer, or to answer late.
type Trouble struct {
	Answer DNSTrouble
	Delay  time.Duration // in the time of the story
}

// DNSTrouble says how a question fails.
type DNSTrouble string

// The troubles.
const (
	Late     DNSTrouble = ""         // none but the delay
	ServFail DNSTrouble = "servfail" // the name server could not find out
	NXDomain DNSTrouble = "nxdomain" // there is no such name
	Refused  DNSTrouble = "refused"  // it does not want to say
	Silence  DNSTrouble = "silence"  // nothing comes
)

// nameServer answers for all names there are.
type nameServer struct {
	w       *World
	addr    string
	servers []*mdns.Server

	mu    sync.RWMutex // guards what follows
	zone  Zone
	asked map[string]int
}

func startNameServer(w *World) (*nameServer, error) {
	n := &nameServer{w: w, asked: make(map[string]int)}
	n.zone = w.zone()
	addr := w.opts.DNS
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var udp net.PacketConn
	var tcp net.Listener
	for try := 0; ; try++ { // a port that is free for UDP may be taken for TCP
		var err error
		if udp, err = net.ListenPacket("udp", addr); err != nil {
			return nil, fmt.Errorf("name server: %w", err)
		}
		n.addr = udp.LocalAddr().String()
		if tcp, err = net.Listen("tcp", n.addr); err == nil {
			break
		}
		udp.Close()
		if try == portTries || w.opts.DNS != "" {
			return nil, fmt.Errorf("name server: %w", err)
		}
	}
	n.servers = []*mdns.Server{{PacketConn: udp, Handler: n}, {Listener: tcp, Handler: n}}
	for _, s := range n.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		w.wg.Go(func() { _ = s.ActivateAndServe() }) // ends by shut
		<-started
	}
	return n, nil
}

func (n *nameServer) shut() {
	for _, s := range n.servers {
		_ = s.Shutdown() // it says only that it was not running
	}
}

// zone puts together what the options and the providers say.
func (w *World) zone() Zone {
	z := w.opts.Zone.clone()
	for _, p := range w.providers {
		host := 0
		for _, g := range p.conf.Groups {
			for _, d := range g.Domains {
				z.MX[lower(d)] = g.MX
			}
			for _, h := range g.MX {
				if len(z.Addr[lower(h)]) == 0 {
					z.Addr[lower(h)] = []netip.Addr{p.addr(host).Addr()}
				}
				host++
			}
		}
	}
	return z
}

func (z *Zone) clone() Zone {
	out := Zone{
		MX: make(map[string][]string), Addr: make(map[string][]netip.Addr), TXT: make(map[string][]string), PTR: make(map[netip.Addr][]string),
		CNAME: make(map[string]string), Trouble: make(map[string]Trouble), TTL: z.TTL,
	}
	for k, v := range z.MX {
		out.MX[lower(k)] = v
	}
	for k, v := range z.Addr {
		out.Addr[lower(k)] = v
	}
	for k, v := range z.TXT {
		out.TXT[lower(k)] = v
	}
	for k, v := range z.PTR {
		out.PTR[k] = v
	}
	for k, v := range z.CNAME {
		out.CNAME[lower(k)] = v
	}
	for k, v := range z.Trouble {
		out.Trouble[lower(k)] = v
	}
	return out
}

func lower(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// EditZone changes what the name server knows. edit must not block or keep the zone; all of its tables are there.
func (w *World) EditZone(edit func(z *Zone)) {
	w.dns.mu.Lock()
	defer w.dns.mu.Unlock()
	edit(&w.dns.zone)
}

// List enters an address into a DNS blocklist (RFC 5782, section 2.1): code is the answer, 127.0.0.2 if it is the zero Addr.
func (w *World) List(list string, ip, code netip.Addr, text string) {
	if !code.IsValid() {
		code = netip.AddrFrom4([4]byte{127, 0, 0, 2})
	}
	name := reverseName(ip) + "." + lower(list)
	w.EditZone(func(z *Zone) {
		z.Addr[name] = append(slices.Clone(z.Addr[name]), code)
		if text != "" {
			z.TXT[name] = append(slices.Clone(z.TXT[name]), text)
		}
	})
}

// Delist takes an address out of a DNS blocklist.
func (w *World) Delist(list string, ip netip.Addr) {
	name := reverseName(ip) + "." + lower(list)
	w.EditZone(func(z *Zone) {
		delete(z.Addr, name)
		delete(z.TXT, name)
	})
}

// reverseName is an address with its octets (IPv6: hex digits) turned round.
func reverseName(ip netip.Addr) string {
	name, err := mdns.ReverseAddr(ip.Unmap().String())
	if err != nil {
		return "invalid"
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".in-addr.arpa."), ".ip6.arpa.")
}

// Asked returns how often a question came: kind is "MX", "A", "TXT", ...
func (w *World) Asked(kind, name string) int {
	w.dns.mu.RLock()
	defer w.dns.mu.RUnlock()
	return w.dns.asked[kind+" "+lower(name)]
}

// ServeDNS implements the handler of package miekg/dns.
func (n *nameServer) ServeDNS(rw mdns.ResponseWriter, q *mdns.Msg) {
	m := &mdns.Msg{}
	if len(q.Question) != 1 {
		_ = rw.WriteMsg(m.SetRcode(q, mdns.RcodeFormatError)) // whether it arrives is the client's worry, here and below
		return
	}
	m.SetReply(q)
	m.RecursionAvailable = true
	name, kind := lower(q.Question[0].Name), q.Question[0].Qtype
	trouble := n.answer(m, name, kind)
	if d := n.w.clock.real(trouble.Delay); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-n.w.done:
			return
		}
	}
	if trouble.Answer == Silence {
		return
	}
	if _, ok := rw.RemoteAddr().(*net.UDPAddr); ok {
		size := mdns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		m.Truncate(size)
	}
	_ = rw.WriteMsg(m)
}

// answer fills in m and returns what else is to be done.
func (n *nameServer) answer(m *mdns.Msg, name string, kind uint16) Trouble {
	n.mu.Lock()
	n.asked[mdns.TypeToString[kind]+" "+name]++
	n.mu.Unlock()
	n.mu.RLock()
	defer n.mu.RUnlock()
	trouble := n.zone.Trouble[name]
	switch trouble.Answer {
	case ServFail:
		m.Rcode = mdns.RcodeServerFailure
		return trouble
	case Refused:
		m.Rcode = mdns.RcodeRefused
		return trouble
	case NXDomain:
		m.Rcode = mdns.RcodeNameError
	case Late:
		n.zone.fill(m, name, kind)
	}
	if len(m.Answer) == 0 { // RFC 2308, section 3: how long "no" holds
		m.Ns = append(m.Ns, &mdns.SOA{
			Hdr: n.zone.head(".", mdns.TypeSOA), Ns: "peersim.invalid.", Mbox: "hostmaster.peersim.invalid.", Serial: 1,
			Refresh: 3600, Retry: 600, Expire: 86400, Minttl: n.zone.ttl(),
		})
	}
	return trouble
}

func (z *Zone) ttl() uint32 {
	if z.TTL == 0 {
		return 1
	}
	return uint32(z.TTL / time.Second)
}

func (z *Zone) head(name string, kind uint16) mdns.RR_Header {
	return mdns.RR_Header{Name: mdns.Fqdn(name), Rrtype: kind, Class: mdns.ClassINET, Ttl: z.ttl()}
}
