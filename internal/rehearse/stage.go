package rehearse

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"

	"ukai/internal/config"
	"ukai/internal/peersim"
	"ukai/internal/provider"
)

// stage is what a story is played on: the simulated world, the ukai that is put to the test and its relays.
type stage struct {
	s      *Scenario
	w      *peersim.World
	main   *node
	relays map[string]*node
	nodes  []*node
	watch  *watcher
	phone  *phone
	// providerOf tells which simulated provider stands behind one of the catalogue's, idOf the other way round by domain.
	providerOf map[string]string
	idOf       map[string]string
	current    map[string][]Rule // what steps have providers do
}

// setUp builds everything. The caller tears it down, also after an error.
func (st *stage) setUp(ctx context.Context, dir string, fail func(error)) error {
	if err := st.openWorld(); err != nil {
		return err
	}
	var err error
	if st.phone, err = newPhone(); err != nil {
		return err
	}
	cfg := rehearsed(st.w, st.s.Speed)
	cfg.Notify.Channels = st.phone.channels()
	cfg.Notify.Repeat = 0 // nobody takes part who could acknowledge
	cfg.Hostname = mainHost
	cfg.Listeners = []config.Listener{{
		Name: "smtp", Address: "127.0.0.1:0", TLS: config.NoTLS, Auth: config.AuthOff, Relay: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}}
	pool := config.Pool{Name: "default"}
	cfg.Egresses = nil
	for i := range st.s.Egresses {
		e := &st.s.Egresses[i]
		out, err := st.wayOut(ctx, dir, cfg, e, fail)
		if err != nil {
			return err
		}
		cfg.Egresses = append(cfg.Egresses, out)
		pool.Egresses = append(pool.Egresses, e.Name)
	}
	cfg.Pools = []config.Pool{pool}
	if err := st.watchLists(dir, cfg); err != nil {
		return err
	}
	n, err := newNode("ukai", dir, cfg, fail)
	if err != nil {
		return err
	}
	st.main = n
	st.nodes = append(st.nodes, n)
	n.opts.OnChange, n.opts.OnOutcome, n.opts.OnIncident = st.watch.changed, st.watch.attempted, st.watch.opened
	n.opts.Speed = st.s.Speed
	return n.start(ctx)
}

// wayOut makes an egress and what stands behind it.
func (st *stage) wayOut(ctx context.Context, dir string, cfg *config.Config, e *Egress, fail func(error)) (config.Egress, error) {
	switch e.Kind {
	case kindSmarthost:
		out := relayEgress(cfg, e.Name, st.w.Addr(e.Name), smarthostPassword)
		return out, nil
	case kindRelay:
		n, err := newNode(e.Name, dir, relayConfig(st.w, st.s.Speed, e), fail)
		if err != nil {
			return config.Egress{}, err
		}
		st.nodes = append(st.nodes, n)
		st.relays[e.Name] = n
		password := rand.Text()
		if err := addAccount(ctx, n.cfg.Data, password); err != nil {
			return config.Egress{}, err
		}
		if err := n.start(ctx); err != nil {
			return config.Egress{}, err
		}
		return relayEgress(cfg, e.Name, n.addr(), password), nil
	}
	return directEgress(st.w, cfg, e.Name, e.source), nil
}

// smarthostPassword is what a simulated smarthost asks for: it guards nothing.
const smarthostPassword = "rehearsal"

// openWorld starts the simulated world, with a place where the senders get their bounces.
func (st *stage) openWorld() error {
	cat, err := provider.Load()
	if err != nil {
		return err
	}
	o := peersim.Options{Speed: st.s.Speed, Seed: 1, Watch: st.watch.seen, Shown: map[netip.Addr]netip.Addr{}}
	for i := range st.s.Providers {
		p := &st.s.Providers[i]
		out := peersim.Provider{Name: p.Name, TLS: true, Rules: rules(p.Rules)}
		for _, g := range p.Groups {
			if len(g.MX) == 0 {
				g.MX = []string{"mx." + g.Domains[0]}
			}
			out.Groups = append(out.Groups, peersim.Group(g))
			id := cat.ByMX(g.MX).ID
			st.providerOf[id] = p.Name
			for _, d := range g.Domains {
				st.idOf[d] = id
			}
		}
		o.Providers = append(o.Providers, out)
	}
	for i := range st.s.Egresses {
		e := &st.s.Egresses[i]
		if e.shown.IsValid() {
			o.Shown[e.source] = e.shown
		}
		if e.Kind == kindSmarthost {
			o.Providers = append(o.Providers, peersim.Provider{
				Name: e.Name, Listen: []netip.Addr{e.source}, Relay: true, TLS: true, Login: &peersim.Login{User: relayUser, Password: smarthostPassword},
			})
		}
	}
	senders := peersim.Group{MX: []string{"mx.senders.example"}}
	for i := range st.s.Streams {
		senders.Domains = append(senders.Domains, st.s.Streams[i].Senders...)
	}
	o.Providers = append(o.Providers, peersim.Provider{Name: sendersName, Groups: []peersim.Group{senders}})
	st.w, err = peersim.Start(o)
	return err
}

// sendersName is the simulated provider where the senders of the traffic have their mailboxes.
const sendersName = "senders"

func rules(list []Rule) []peersim.Rule {
	out := make([]peersim.Rule, len(list))
	for i := range list {
		out[i] = list[i].rule
	}
	return out
}

// do makes a step happen.
func (st *stage) do(ctx context.Context, step *Step) error {
	touched := slices.Clone(step.Forgive)
	for _, name := range step.Forgive {
		delete(st.current, name)
		st.watch.forgave(name)
	}
	for i := range step.List {
		st.enter(&step.List[i], true)
	}
	for i := range step.Delist {
		st.enter(&step.Delist[i], false)
	}
	fresh := map[string][]Rule{}
	for i := range step.Rules {
		fresh[step.Rules[i].Provider] = append(fresh[step.Rules[i].Provider], step.Rules[i])
	}
	for name, list := range fresh {
		st.current[name] = list
		touched = append(touched, name)
	}
	for _, name := range touched {
		if err := st.w.SetRules(name, append(rules(st.current[name]), rules(st.base(name))...)); err != nil {
			return err
		}
	}
	for _, name := range step.Down {
		if err := st.power(ctx, name, false); err != nil {
			return err
		}
	}
	for _, name := range step.Up {
		if err := st.power(ctx, name, true); err != nil {
			return err
		}
	}
	return nil
}

// base returns the rules that a provider has all the time.
func (st *stage) base(name string) []Rule {
	for i := range st.s.Providers {
		if st.s.Providers[i].Name == name {
			return st.s.Providers[i].Rules
		}
	}
	return nil
}

// power switches a receiver or a relay off or on.
func (st *stage) power(ctx context.Context, name string, up bool) error {
	n := st.relays[name]
	switch {
	case n == nil:
		return st.w.SetUp(name, up)
	case up && n.app == nil:
		return n.start(ctx)
	case !up:
		n.halt()
	}
	return nil
}

// tearDown ends everything that setUp began: first who sends, then who receives.
func (st *stage) tearDown() {
	if st.main != nil {
		st.main.close()
	}
	for _, n := range st.nodes {
		if n != st.main {
			n.close()
		}
	}
	if st.phone != nil {
		st.phone.close()
	}
	if st.w != nil {
		st.w.Close()
	}
}
