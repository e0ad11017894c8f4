package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	mdns "github.com/miekg/dns"
)

// entry is what a question to a list is about.
type entry int

const (
	elsewhere entry = iota // neighbours, addresses of nobody
	tested                 // the entry that every list has, to be tested by
	untested               // the one that no list has
	hit                    // what a list lists that works
	miss                   // what it does not
)

// said is what a list says: codes, a response code, an alias, the servers of others, or nothing at all.
type said struct {
	codes  []string
	rcode  int
	alias  string
	lame   bool
	silent bool
}

var (
	none  = said{rcode: mdns.RcodeNameError}
	spam  = codes("127.0.0.2")
	quiet = said{silent: true}
)

func codes(list ...string) said { return said{codes: list} }

func rcode(n int) said { return said{rcode: n} }

// always says the same, whatever is asked.
func always(s said) func(entry) said { return func(entry) said { return s } }

// sound passes its tests, and says this of what it lists; the rest does not exist.
func sound(s said) func(entry) said { return except(s, none) }

// except passes its tests, and says this of what it lists and that of what it does not list.
func except(ofHit, ofMiss said) func(entry) said {
	return func(e entry) said {
		switch e {
		case tested:
			return spam
		case hit:
			return ofHit
		case miss:
			return ofMiss
		}
		return none
	}
}

// only lists these entries.
func only(list ...entry) func(entry) said {
	return func(e entry) said {
		if slices.Contains(list, e) {
			return spam
		}
		return none
	}
}

// behaviour is one way in which a list answers, and what is to be said of what it lists and of what it does not.
type behaviour struct {
	zone      string
	name      string
	codes     string // its rows in the catalogue, besides those of 127.0.0.2 and 127.0.0.3
	says      func(entry) said
	hit, miss string // state and reason
	lossy     bool
}

const same = "" // of a miss: as of a hit

var behaviours = []behaviour{
	{zone: "normal", name: "a list that works", says: sound(spam), hit: "listed", miss: "clean"},
	{zone: "range", name: "a code for a range", says: sound(codes("127.0.0.3")), hit: "listed", miss: "clean"},
	{zone: "several", name: "several codes at once", says: sound(codes("127.0.0.2", "127.0.0.3")), hit: "listed", miss: "clean"},
	{zone: "lossy", name: "a list behind a way that loses every first question", says: sound(spam), hit: "listed", miss: "clean", lossy: true},
	{zone: "nodata", name: "names without addresses in place of no names", says: except(spam, said{}), hit: "listed", miss: "clean"},
	{zone: "aliased", name: "an alias to a code", says: sound(said{alias: "code.example."}), hit: "listed", miss: "clean"},
	{zone: "score", name: "a score that is no listing", codes: `{ code = "127.0.4.0-100", meaning = "score", state = "clean" }`, says: sound(codes("127.0.4.77")), hit: "clean", miss: "clean"},
	{zone: "typo", name: "127.255.255.252", says: always(codes("127.255.255.252")), hit: "broken zone"},
	{zone: "public", name: "127.255.255.254", says: always(codes("127.255.255.254")), hit: "resolver_unfit public"},
	{zone: "quota", name: "127.255.255.255", says: always(codes("127.255.255.255")), hit: "refused quota"},
	{zone: "latequota", name: "127.255.255.255 after the tests", says: except(codes("127.255.255.255"), codes("127.255.255.255")), hit: "refused quota"},
	{zone: "key", name: "127.255.255.250", says: always(codes("127.255.255.250")), hit: "refused key"},
	{zone: "error", name: "another of 127.255.255.0/24", says: except(codes("127.255.255.7"), codes("127.255.255.7")), hit: "refused error"},
	{zone: "mixed", name: "an error among codes", says: except(codes("127.0.0.2", "127.255.255.255"), none), hit: "refused quota", miss: "clean"},
	{zone: "uribl", name: "127.0.0.1 as URIBL and SURBL say it", codes: `{ code = "127.0.0.1", meaning = "query refused", state = "resolver_unfit", why = "public" }`,
		says: always(codes("127.0.0.1")), hit: "resolver_unfit public"},
	{zone: "one", name: "127.0.0.1 of which the catalogue knows nothing", says: always(codes("127.0.0.1")), hit: "broken undocumented"},
	{zone: "lateone", name: "127.0.0.1 after the tests", says: except(codes("127.0.0.1"), codes("127.0.0.1")), hit: "broken undocumented"},
	{zone: "dnswl", name: "127.0.10.3 as DNSWL says that it is too much", codes: `{ code = "127.0.10.x", meaning = "over quota", state = "refused", why = "quota" }`,
		says: always(codes("127.0.10.3")), hit: "refused quota"},
	{zone: "refused", name: "REFUSED", says: always(rcode(mdns.RcodeRefused)), hit: "refused refused"},
	{zone: "spfbl", name: "REFUSED as SPFBL means it, after the tests", codes: `{ code = "REFUSED", meaning = "limit exceeded", state = "refused", why = "quota" }`,
		says: except(rcode(mdns.RcodeRefused), rcode(mdns.RcodeRefused)), hit: "refused quota"},
	{zone: "notauth", name: "NOTAUTH", says: always(rcode(mdns.RcodeNotAuth)), hit: "refused refused"},
	{zone: "formerr", name: "FORMERR", says: always(rcode(mdns.RcodeFormatError)), hit: "broken protocol"},
	{zone: "servfail", name: "SERVFAIL", says: always(rcode(mdns.RcodeServerFailure)), hit: "broken servfail"},
	{zone: "lateservfail", name: "SERVFAIL after the tests", says: except(rcode(mdns.RcodeServerFailure), rcode(mdns.RcodeServerFailure)), hit: "broken servfail"},
	{zone: "silent", name: "no reply", says: always(quiet), hit: "timeout timeout"},
	{zone: "latesilent", name: "no reply after the tests", says: except(quiet, quiet), hit: "timeout timeout"},
	{zone: "outside", name: "an address outside 127.0.0.0/8", says: except(codes("198.51.100.7"), codes("198.51.100.7")), hit: "broken outside"},
	{zone: "beside", name: "an address outside 127.0.0.0/8 beside a code", says: except(codes("127.0.0.2", "0.0.0.0"), none), hit: "broken outside", miss: "clean"},
	{zone: "parked", name: "a parked zone", says: always(codes("203.0.113.80")), hit: "broken outside"},
	{zone: "world", name: "the world is listed", says: always(spam), hit: "broken world"},
	{zone: "shyworld", name: "the world is listed, but for the test entry", says: only(elsewhere, tested, hit, miss), hit: "broken world"},
	{zone: "empty", name: "an emptied zone", says: always(none), hit: "broken no_test_entry"},
	{zone: "notest", name: "the test entry is missing", says: only(hit), hit: "broken no_test_entry"},
	{zone: "wrongtest", name: "what must not be listed is", says: only(tested, untested, hit), hit: "broken world"},
	{zone: "lame", name: "a server that names others", says: always(said{lame: true}), hit: "broken lame"},
	{zone: "dangling", name: "an alias that leads nowhere", says: except(said{alias: "gone.example."}, said{alias: "gone.example."}), hit: "broken alias"},
	{zone: "advert", name: "an alias to a page with advertisements", says: except(said{alias: "page.example."}, said{alias: "page.example."}), hit: "broken outside"},
	{zone: "strange", name: "a code far from all others", says: sound(codes("127.77.7.7")), hit: "broken undocumented", miss: "clean"},
}

// matrixTargets are what the lists list, and what they do not.
var matrixTargets = map[string]entry{
	"192.0.2.5": hit, "2001:db8:5::1": hit, "listed.example": hit,
	"192.0.2.99": miss, "2001:db8:99::1": miss, "sound.example": miss,
}

// matrixNames are the names under which the entries are asked for, below the zone.
func matrixNames(t *testing.T) map[string]entry {
	mapped := ".0.0.0.0.0.f.7.f.f.f.f." + strings.Repeat("0.", 20)
	names := map[string]entry{
		"2.0.0.127": tested, strings.TrimSuffix("2"+mapped, "."): tested, "test": tested,
		"1.0.0.127": untested, strings.TrimSuffix("1"+mapped, "."): untested, "invalid": untested,
	}
	for target, e := range matrixTargets {
		if strings.HasSuffix(target, ".example") {
			names[target] = e
			continue
		}
		r, err := mdns.ReverseAddr(target)
		if err != nil {
			t.Fatal(err)
		}
		names[strings.TrimSuffix(strings.TrimSuffix(r, ".in-addr.arpa."), ".ip6.arpa.")] = e
	}
	return names
}

// matrix is a server for all the zones at once.
type matrix struct {
	names map[string]entry
	zones map[string]*behaviour
	// rewrites is what a resolver gives in place of "does not exist"; empty: nothing.
	rewrites string

	mu   sync.Mutex
	seen map[string]bool // guarded by mu
}

// first tells whether a name is asked for the first time.
func (m *matrix) first(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.seen[name]
	m.seen[name] = true
	return !was
}

func (m *matrix) ServeDNS(w mdns.ResponseWriter, r *mdns.Msg) {
	q := r.Question[0]
	q.Name = strings.ToLower(q.Name)
	reply := new(mdns.Msg)
	reply.SetReply(r)
	labels := strings.Split(strings.TrimSuffix(q.Name, ".example."), ".")
	s := none
	if b := m.zones[labels[len(labels)-1]]; b != nil {
		s = b.says(m.names[strings.Join(labels[:len(labels)-1], ".")])
		if b.lossy && m.first(q.Name+mdns.Type(q.Qtype).String()) {
			return
		}
	}
	if s.silent {
		return
	}
	if m.rewrites != "" && s.rcode == mdns.RcodeNameError {
		s = codes(m.rewrites)
	}
	write(reply, q, s)
	_ = w.WriteMsg(reply)
}

func write(m *mdns.Msg, q mdns.Question, s said) {
	head := func(name string, t uint16) mdns.RR_Header {
		return mdns.RR_Header{Name: name, Rrtype: t, Class: mdns.ClassINET, Ttl: 60}
	}
	m.Rcode = s.rcode
	name := m.Question[0].Name
	switch {
	case s.lame:
		m.Ns = []mdns.RR{&mdns.NS{Hdr: head("example.", mdns.TypeNS), Ns: "ns.example."}}
	case s.alias != "":
		m.Answer = []mdns.RR{&mdns.CNAME{Hdr: head(name, mdns.TypeCNAME), Target: s.alias}}
		name = s.alias
		s.codes = map[string][]string{"code.example.": {"127.0.0.2"}, "page.example.": {"198.51.100.7"}}[s.alias]
	}
	if q.Qtype == mdns.TypeTXT && len(s.codes) > 0 {
		m.Answer = append(m.Answer, &mdns.TXT{Hdr: head(name, mdns.TypeTXT), Txt: []string{"see the page"}})
		return
	}
	for _, c := range s.codes {
		m.Answer = append(m.Answer, &mdns.A{Hdr: head(name, mdns.TypeA), A: net.ParseIP(c)})
	}
}

// serveMatrix starts a server and returns its address.
func serveMatrix(t *testing.T, rewrites string) string {
	t.Helper()
	m := &matrix{names: matrixNames(t), zones: make(map[string]*behaviour), rewrites: rewrites, seen: make(map[string]bool)}
	for i := range behaviours {
		m.zones[behaviours[i].zone] = &behaviours[i]
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan struct{})
	s := &mdns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(ready) }, Handler: m}
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return conn.LocalAddr().String()
}

// catalogueOf writes the catalogue of one list into a file.
func catalogueOf(t *testing.T, b *behaviour) string {
	t.Helper()
	rows := `{ code = "127.0.0.2", meaning = "spam" }, { code = "127.0.0.3", meaning = "a network", scope = "range" }`
	if b.codes != "" {
		rows += ", " + b.codes
	}
	text := fmt.Sprintf("[[list]]\nid = %q\nzone = %q\n[list.entries]\nlists = [\"ip4\", \"ip6\", \"domain\"]\ncodes = [%s]\n[list.use]\nrate = 1000\n", b.zone, b.zone+".example", rows)
	name := filepath.Join(t.TempDir(), b.zone+".toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// look is one run of the command about one target, and what came of it.
type look struct {
	target   string
	wants    string
	out, err string
	code     int
}

func (l *look) run(resolver, catalogue string) {
	var o, e strings.Builder
	l.code = run([]string{"listed", "--json", "--lang=en", "--resolver", resolver, "--catalogue", catalogue, l.target}, at(&o, &e, nil))
	l.out, l.err = o.String(), e.String()
}

// answer reads the two objects of a run: what the list said, and what it comes to.
func (l *look) answer(t *testing.T) (state, verdict string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(l.out), "\n")
	var a struct{ Target, State, Why string }
	var end struct {
		Verdict  string
		Evidence []any
	}
	if len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &a) != nil || json.Unmarshal([]byte(lines[1]), &end) != nil {
		t.Fatalf("%s: %s%s", l.target, l.out, l.err)
	}
	if a.Target != l.target || len(end.Evidence) == 0 {
		t.Errorf("%s: %s", l.target, l.out)
	}
	return strings.TrimSpace(a.State + " " + a.Why), end.Verdict
}

// check holds a run to what is wanted of it, and tells what was said of the target.
func (l *look) check(t *testing.T) (state string) {
	t.Helper()
	state, verdict := l.answer(t)
	wants := map[string]struct {
		verdicts []string
		code     int
	}{"listed": {[]string{"culprit", "range"}, 1}, "clean": {[]string{"clean"}, 0}}
	want, told := wants[l.wants]
	if !told {
		want.verdicts, want.code = []string{"unknown"}, 2
	}
	if state != l.wants || !slices.Contains(want.verdicts, verdict) || l.code != want.code || l.err != "" {
		t.Errorf("%s: %s, %s, exit %d %s; want %s, %v, exit %d", l.target, state, verdict, l.code, l.err, l.wants, want.verdicts, want.code)
	}
	return state
}

// matrixCase is one behaviour of a list, seen by a resolver.
type matrixCase struct {
	name, resolver, catalogue string
	looks                     []look
}

func newMatrixCase(t *testing.T, b *behaviour, resolver string) *matrixCase {
	c := &matrixCase{name: b.name, resolver: resolver, catalogue: catalogueOf(t, b)}
	for target, e := range matrixTargets {
		wants := b.hit
		if e == miss && b.miss != same {
			wants = b.miss
		}
		c.looks = append(c.looks, look{target: target, wants: wants})
	}
	return c
}

// Some forty ways in which lists and resolvers answer, each about an address of IPv4, one of IPv6 and a domain that are listed, and
// the same that are not: nothing may be called listed that is not, and nothing clean of which that is not known.
func TestNoListAndNoResolverFoolsTheCommand(t *testing.T) {
	server := serveMatrix(t, "")
	var all []*matrixCase
	for i := range behaviours {
		all = append(all, newMatrixCase(t, &behaviours[i], server))
	}
	page := behaviour{zone: "normal", name: "a resolver that rewrites to a page", hit: "resolver_unfit rewritten"}
	all = append(all, newMatrixCase(t, &page, serveMatrix(t, "203.0.113.80")))
	code := behaviour{zone: "normal", name: "a resolver that rewrites to what looks like a code", hit: "resolver_unfit rewritten"}
	all = append(all, newMatrixCase(t, &code, serveMatrix(t, "127.0.0.2")))
	nobody := behaviour{zone: "normal", name: "nobody at the resolver's address", hit: "resolver_unfit unreachable"}
	all = append(all, newMatrixCase(t, &nobody, "127.0.0.1:1"))

	var wg sync.WaitGroup // all at once: those that get no reply wait for it together
	for _, c := range all {
		for i := range c.looks {
			wg.Go(func() { c.looks[i].run(c.resolver, c.catalogue) })
		}
	}
	wg.Wait()
	runs, listed, clean := 0, 0, 0
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.looks {
				l := &c.looks[i]
				runs++
				state := l.check(t)
				if state == "listed" && l.wants != "listed" {
					listed++
				}
				if state == "clean" && l.wants != "clean" {
					clean++
				}
			}
		})
	}
	t.Logf("%d behaviours, %d runs, %d false listed, %d false clean", len(all), runs, listed, clean)
	if listed+clean > 0 || len(all) < 14 {
		t.Errorf("%d false listed, %d false clean in %d behaviours", listed, clean, len(all))
	}
}
