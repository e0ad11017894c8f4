package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"ukai/internal/account"
	"ukai/internal/i18n"
	"ukai/internal/servers"
)

// A server has one secret. Under it it logs in where it hands mail in, its agent asks, and its wrapper tells what it met: so one
// order takes all of that away, or gives another.

// loopback are the networks that a server on this machine comes from.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// unmade is what stands for a secret that is made when something is written.
const unmade = "-"

// connectServer makes a server on this machine known. It may be called again and again: what holds is kept.
func (p *Parts) connectServer(ctx context.Context, in *serverOrder) (*body[Registered], error) {
	name, err := servers.Name(in.Name)
	if err != nil {
		return nil, serverTrouble(err)
	}
	was, err := p.Steering.Servers.Get(name)
	known := err == nil
	switch {
	case known && was.Distant():
		return nil, inWords(http.StatusConflict, i18n.Errorf("api.server.distant", "name", name, "host", was.Place.Host))
	case slices.Contains(p.Egresses(), name):
		return nil, inWords(http.StatusConflict, i18n.Errorf("api.server.egress_name", "name", name))
	case !p.egressIs(in.Body.Egress):
		return nil, inWords(http.StatusUnprocessableEntity, i18n.Errorf("api.server.no_egress", "egress", in.Body.Egress))
	}
	gate, err := p.Steering.Gate(in.Body.Peer, false)
	if err != nil {
		return nil, inWords(http.StatusConflict, err)
	}
	in.Body.Place.Host = ""
	s := in.Body.server(name)
	switch {
	case p.ownPaths(s.Egress):
		s.Egress = ""
	case s.Egress != "":
	case known:
		s.Egress = was.Egress
	default:
		s.Egress = p.Steering.Egress(nil)
	}
	return p.enter(ctx, s, gate, &in.Body, loopback)
}

func (p *Parts) egressIs(name string) bool {
	return name == "" || p.knownEgress(name) || p.ownPaths(name)
}

// ownPaths tells whether the word in the place of an egress says that there is none: the server has paths of its own.
func (p *Parts) ownPaths(name string) bool { return name == "none" && !p.knownEgress(name) }

// server is the entry that a request makes.
func (r *ServerRequest) server(name string) servers.Server {
	return servers.Server{
		Name: name, MTA: r.MTA, Mode: r.Mode, Place: r.Place, Egress: r.Egress, Logs: r.Logs, Routes: r.Routes, Live: r.Live, Answer: r.Answer,
	}
}

// enter writes a server into the books, under the secret it has if that is good, else under another one.
func (p *Parts) enter(ctx context.Context, s servers.Server, gate Gate, r *ServerRequest, from []netip.Prefix) (*body[Registered], error) {
	out := Registered{Server: s, Gate: gate, Secret: r.Secret}
	if gate.Account {
		out.Username, out.Server.Account = s.Name, s.Name
	}
	if p.Steering.Unkept != nil && !s.Distant() {
		out.Unkept = p.Steering.Unkept(&s)
	}
	good := r.Secret != "" && p.Steering.Servers.Check(s.Name, r.Secret)
	if r.Dry {
		if !good {
			out.Secret = unmade
		}
		return answer(out), nil
	}
	if !good {
		out.Secret = servers.NewSecret()
	}
	if gate.Account {
		if err := p.giveAccount(ctx, account.Account{Name: s.Name, Networks: from}, out.Secret, !good); err != nil {
			return nil, err
		}
	}
	if err := p.keepServer(ctx, out.Server, out.Secret, !good); err != nil {
		return nil, serverTrouble(err)
	}
	kept, err := p.Steering.Servers.Get(s.Name)
	if err != nil {
		return nil, serverTrouble(err)
	}
	out.Server = kept
	p.Log.Info("mail server connected", "server", kept.Name, "mta", kept.MTA, "mode", kept.Mode, "egress", kept.Egress, "account", kept.Account)
	return answer(out), nil
}

// keepServer adds a server or changes the one of that name.
func (p *Parts) keepServer(ctx context.Context, s servers.Server, secret string, rotate bool) error {
	err := p.Steering.Servers.Add(ctx, s, secret)
	if !errors.Is(err, servers.ErrExists) {
		return err
	}
	if rotate {
		if err := p.Steering.Servers.SetSecret(ctx, s.Name, secret); err != nil {
			return err
		}
	}
	return p.Steering.Servers.Update(ctx, s.Name, func(was *servers.Server) {
		s.Contact = was.Contact // drift is over: the configuration is as it was just written
		*was = s
	})
}

// giveAccount makes a server's account, or gives the one it has another password. An account of that name that is somebody
// else's is left alone.
func (p *Parts) giveAccount(ctx context.Context, want account.Account, secret string, rotate bool) error {
	name := want.Name
	a, err := p.Steering.Accounts.Get(ctx, name)
	switch {
	case errors.Is(err, account.ErrUnknown):
		if len(want.Domains) == 0 {
			// A server that hosts many sends for all of them, and forwards for anybody: a sender domain refused here would be a bounce.
			want.Domains = []string{account.AnyDomain}
		}
		err = p.Steering.Accounts.Add(ctx, want, secret)
	case err != nil:
	case !p.owns(name, a.Name):
		return inWords(http.StatusConflict, i18n.Errorf("api.server.account_taken", "name", name))
	case rotate:
		if err = p.Steering.Accounts.SetPassword(ctx, name, secret); err == nil && len(want.Domains) > 0 {
			err = p.Steering.Accounts.SetDomains(ctx, name, want.Domains)
		}
		if err == nil && len(want.Networks) > 0 {
			err = p.Steering.Accounts.SetNetworks(ctx, name, want.Networks)
		}
	}
	if err != nil {
		return serverTrouble(err)
	}
	return nil
}

// owns tells whether an account belongs to a server of the book.
func (p *Parts) owns(server, name string) bool {
	s, err := p.Steering.Servers.Get(server)
	return err == nil && s.Account == name
}

// place says from where a server on another machine sends: from the addresses that it may come from, or from those of an egress.
func (p *Parts) place(s *servers.Server, egress string, from []netip.Prefix) {
	if p.ownPaths(egress) {
		s.Egress = ""
	}
	var addrs []netip.Addr
	for _, n := range from {
		if n.IsSingleIP() {
			addrs = append(addrs, n.Addr())
		}
	}
	if egress == "" && s.Egress == "" && len(addrs) > 0 {
		s.Egress = p.Steering.Egress(addrs)
	}
	if s.Egress == "" && len(addrs) > 0 {
		s.Place.Addrs = addrs
	}
}

// addServer announces a server on another machine: its agent makes it known when it joins.
func (p *Parts) addServer(ctx context.Context, in *addOrder) (*body[Registered], error) {
	name, err := servers.Name(in.Body.Name)
	if err != nil {
		return nil, serverTrouble(err)
	}
	s, known := servers.Server{Name: name, Egress: in.Body.Egress, Place: servers.Place{Host: name}}, false
	if was, err := p.Steering.Servers.Get(name); err == nil {
		if s, known = was, true; !in.Body.Again {
			return nil, inWords(http.StatusConflict, i18n.Errorf("servers.error.exists", "name", name))
		}
		if in.Body.Egress != "" {
			s.Egress = in.Body.Egress
		}
	}
	door := p.Steering.Agents()
	from, err := prefixes(in.Body.Networks)
	switch {
	case err != nil:
		return nil, err
	case door.Address == "":
		return nil, inWords(http.StatusConflict, i18n.Errorf("api.server.no_door"))
	case known && !s.Distant():
		return nil, inWords(http.StatusConflict, i18n.Errorf("api.server.local", "name", name))
	case slices.Contains(p.Egresses(), name):
		return nil, inWords(http.StatusConflict, i18n.Errorf("api.server.egress_name", "name", name))
	case !p.egressIs(in.Body.Egress):
		return nil, inWords(http.StatusUnprocessableEntity, i18n.Errorf("api.server.no_egress", "egress", in.Body.Egress))
	}
	gate, err := p.Steering.Gate("", true)
	if err != nil {
		return nil, inWords(http.StatusConflict, err)
	}
	p.place(&s, in.Body.Egress, from)
	secret := servers.NewSecret()
	if s.Account = ""; gate.Account {
		if err := p.giveAccount(ctx, account.Account{Name: name, Domains: in.Body.Domains, Networks: from}, secret, true); err != nil {
			return nil, err
		}
		s.Account = name
	}
	if err := p.keepServer(ctx, s, secret, true); err != nil {
		return nil, serverTrouble(err)
	}
	p.Log.Info("mail server announced", "server", name, "again", known)
	out := Registered{Server: s, Gate: gate, Username: s.Account, Secret: secret}
	join := Join{
		Name: name, Secret: secret, Hub: door.Hub, Relay: net.JoinHostPort(gate.Host, strconv.Itoa(gate.Port)), TLS: gate.TLS,
		Agents: door.Address, Fingerprint: door.Fingerprint,
	}
	out.Join = join.String()
	return answer(out), nil
}
