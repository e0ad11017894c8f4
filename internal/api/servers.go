package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/account"
	"ukai/internal/health"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
	"ukai/internal/steer"
	"ukai/internal/watch"
)

// Steering is what the doors need to know of mail servers that stay.
type Steering struct {
	Servers  *servers.Book
	Accounts *account.Book
	// Gate finds where a server hands mail in. peer is the address that it uses already, or "". distant: it is on another
	// machine. The error is for the operator.
	Gate func(peer string, distant bool) (Gate, error)
	// Egress is the egress that sends from where a server does, which has these addresses or, without any, is on this machine; ""
	// where that is not one and only one.
	Egress func(addrs []netip.Addr) string
	// Agents is the door for other machines; its address is empty where there is none.
	Agents func() AgentDoor
	// Take takes what a server tells; Detours is the mail of a server that takes the detour (nil: none does).
	Take    func(w watch.Witness, list []watch.Told)
	Detours func(server string) steer.Detours
	// Unkept tells what keeps ukai from keeping the files of routes of a server on this machine; nil: nothing (nil: nobody knows).
	Unkept func(s *servers.Server) *Unkept
	// Status tells how a server is steered (nil: none is).
	Status func(server string) (steer.Status, bool)
}

// Gate is where a server hands mail in.
type Gate struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	TLS  bool   `json:"tls"` // it has to insist on TLS
	// Account: it has to log in; else it is known by its address.
	Account bool `json:"account"`
}

// AgentDoor is where agents ask.
type AgentDoor struct{ Hub, Address, Fingerprint string }

// Server is a connected mail server, with how its paths are.
type Server struct {
	servers.Server
	// Paths counts its paths by state; Shut are the providers that its mail goes to by the detour.
	Paths PathCount `json:"paths"`
	Shut  []string  `json:"shut,omitempty"`
	// Steered is how it is steered, as far as this process does it.
	Steered *Steered `json:"steered,omitempty"`
}

// Steered is a steer.Status, under a name of its own in the schema.
type Steered struct{ steer.Status }

// ServerRequest makes a server known, or known anew.
type ServerRequest struct {
	MTA    mtaconf.MTA         `json:"mta,omitempty" required:"false"`
	Mode   mtaconf.Mode        `json:"mode,omitempty" required:"false"`
	Place  servers.Place       `json:"place,omitzero" required:"false"`
	Egress string              `json:"egress,omitempty" required:"false" doc:"egress of ukai whose address it sends from; none: it has paths of its own; empty: found out"`
	Logs   []string            `json:"logs,omitempty" required:"false"`
	Routes []mtaconf.RouteFile `json:"routes,omitempty" required:"false"`
	Live   bool                `json:"live,omitempty" required:"false"`
	Answer string              `json:"answer,omitempty" required:"false"`
	Peer   string              `json:"peer,omitempty" required:"false" doc:"where it hands mail in, host:port"`
	// Secret is the one that its configuration holds already: it is kept where it is still good.
	Secret string `json:"secret,omitempty" required:"false"`
	Dry    bool   `json:"dry,omitempty" required:"false" doc:"tell what would be, keep nothing"`
}

// AddRequest announces a server on another machine.
type AddRequest struct {
	Name     string   `json:"name" maxLength:"64"`
	Egress   string   `json:"egress,omitempty" required:"false"`
	Domains  []string `json:"domains,omitempty" required:"false" doc:"sender domains; none: all"`
	Networks []string `json:"networks,omitempty" required:"false" doc:"where it may come from; none: from anywhere"`
	Again    bool     `json:"again,omitempty" required:"false" doc:"the server is known: give it another secret"`
}

// Registered is what a server gets to know. The secret is told this once.
type Registered struct {
	Server   servers.Server `json:"server"`
	Gate     Gate           `json:"gate"`
	Username string         `json:"username,omitempty"`
	Secret   string         `json:"secret,omitempty"`
	Join     string         `json:"join,omitempty" doc:"the token for the other machine"`
	Unkept   *Unkept        `json:"unkept,omitempty" doc:"a file of routes that ukai cannot keep"`
}

// Unkept is a file of routes that ukai has not the rights to keep.
type Unkept struct {
	File  string `json:"file"`
	Cause string `json:"cause"`
}

type serverPath struct {
	Name string `path:"name"`
}

type serverOrder struct {
	Name string `path:"name"`
	Body ServerRequest
}

type addOrder struct{ Body AddRequest }

type driftOrder struct {
	Name string `path:"name"`
	Body servers.Drift
}

func (p *Parts) registerServers(a huma.API) {
	if p.Steering == nil {
		return
	}
	register(a, "GET /v1/servers", "server-list", "connected mail servers", p.listServers)
	register(a, "GET /v1/servers/{name}", "server-show", "one connected mail server", p.showServer)
	register(a, "POST /v1/servers", "server-add", "announce a mail server on another machine", p.addServer)
	register(a, "POST /v1/servers/{name}", "server-connect", "make a mail server on this machine known", p.connectServer)
	register(a, "POST /v1/servers/{name}/drift", "server-drift", "tell what was changed in its configuration", p.driftServer)
	register(a, "POST /v1/servers/{name}/remove", "server-remove", "forget a mail server, with its account", p.removeServer)
	register(a, "GET /v1/gate", "server-gate", "where a mail server on this machine hands mail in", p.gate)
}

func (p *Parts) gate(context.Context, *none) (*body[Gate], error) {
	g, err := p.Steering.Gate("", false)
	if err != nil {
		return nil, inWords(http.StatusConflict, err)
	}
	return answer(g), nil
}

// server adds how its paths are.
func (p *Parts) server(s *servers.Server, paths []health.Info) Server {
	out := Server{Server: *s, Paths: PathCount{}}
	for i := range paths {
		info := &paths[i]
		if info.Key.Egress != s.PathName() {
			continue
		}
		out.Paths[info.State.String()]++
		if info.State == health.Blocked || info.State == health.Probing {
			out.Shut = append(out.Shut, info.Key.Provider)
		}
	}
	slices.Sort(out.Shut)
	if p.Steering.Status != nil {
		if st, ok := p.Steering.Status(s.Name); ok {
			out.Steered = &Steered{st}
		}
	}
	return out
}

func (p *Parts) listServers(context.Context, *none) (*body[[]Server], error) {
	all := p.Steering.Servers.List()
	byPath := make(map[string][]health.Info)
	for _, info := range p.Health.List(p.Now()) {
		byPath[info.Key.Egress] = append(byPath[info.Key.Egress], info)
	}
	list := make([]Server, 0, len(all))
	for i := range all {
		list = append(list, p.server(&all[i], byPath[all[i].PathName()]))
	}
	return answer(list), nil
}

func (p *Parts) showServer(_ context.Context, in *serverPath) (*body[Server], error) {
	s, err := p.Steering.Servers.Get(in.Name)
	if err != nil {
		return nil, serverTrouble(err)
	}
	return answer(p.server(&s, p.Health.List(p.Now()))), nil
}

// serverTrouble makes an error of the books a problem.
func serverTrouble(err error) error {
	status := http.StatusUnprocessableEntity
	switch {
	case errors.Is(err, servers.ErrUnknown), errors.Is(err, account.ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, servers.ErrExists), errors.Is(err, account.ErrExists):
		status = http.StatusConflict
	}
	return inWords(status, err)
}

func (p *Parts) driftServer(ctx context.Context, in *driftOrder) (*body[Server], error) {
	p.Steering.Servers.SetDrift(in.Name, in.Body)
	return p.showServer(ctx, &serverPath{in.Name})
}

func (p *Parts) removeServer(ctx context.Context, in *serverPath) (*body[Server], error) {
	was, err := p.showServer(ctx, in)
	if err != nil {
		return nil, err
	}
	if was.Body.Account != "" {
		if err := p.Steering.Accounts.Delete(ctx, was.Body.Account); err != nil && !errors.Is(err, account.ErrUnknown) {
			return nil, serverTrouble(err)
		}
	}
	if err := p.Steering.Servers.Remove(ctx, in.Name); err != nil {
		return nil, serverTrouble(err)
	}
	if was.Body.Egress == "" { // nobody else has these paths
		for _, info := range p.Health.List(p.Now()) {
			if info.Key.Egress == was.Body.Name {
				p.Health.Clear(info.Key, p.Now())
			}
		}
	}
	p.Log.Info("mail server removed", "server", was.Body.Name, "account", was.Body.Account)
	return was, nil
}

func prefixes(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, t := range texts {
		n, err := netip.ParsePrefix(t)
		if err != nil {
			a, err := netip.ParseAddr(t)
			if err != nil {
				return nil, huma.Error422UnprocessableEntity(t + " is no network")
			}
			n = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		all = append(all, n.Masked())
	}
	return all, nil
}

// Servers lists the connected mail servers.
func (c *Client) Servers(ctx context.Context) (list []Server, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/servers", nil, &list)
	return list, err
}

// Server returns one of them, RemoveServer forgets one and returns what it was.
func (c *Client) Server(ctx context.Context, name string) (s Server, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/servers/"+url.PathEscape(name), nil, &s)
	return s, err
}

// RemoveServer is described at Server.
func (c *Client) RemoveServer(ctx context.Context, name string) (s Server, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/servers/"+url.PathEscape(name)+"/remove", nil, &s)
	return s, err
}

// AddServer announces a server on another machine, ConnectServer makes one on this machine known.
func (c *Client) AddServer(ctx context.Context, in *AddRequest) (r Registered, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/servers", in, &r)
	return r, err
}

// ConnectServer is described at AddServer.
func (c *Client) ConnectServer(ctx context.Context, name string, in *ServerRequest) (r Registered, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/servers/"+url.PathEscape(name), in, &r)
	return r, err
}

// DriftServer tells what was changed in a server's configuration.
func (c *Client) DriftServer(ctx context.Context, name string, d servers.Drift) (s Server, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/servers/"+url.PathEscape(name)+"/drift", d, &s)
	return s, err
}

// Gate returns where a mail server on this machine hands mail in.
func (c *Client) Gate(ctx context.Context) (g Gate, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/gate", nil, &g)
	return g, err
}
