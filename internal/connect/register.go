package connect

import (
	"context"
	"path/filepath"

	"ukai/internal/mtaconf"
)

// register tells the running ukai of the server, and returns what it is to say when it hands mail over.
func (e *Engine) register(ctx context.Context, p *Proposal, r Request, dry bool) (Credentials, error) {
	own := Credentials{r.Wish.Peer.Username, r.Wish.Peer.Password, r.Wish.Secret}
	if e.o.Registrar == nil || r.Alone {
		p.Notes = append(p.Notes, mtaconf.N("connect.note.alone"))
		return own, nil
	}
	reg := Registration{
		Server: r.Wish.Server, Instance: p.Instance, Mode: p.Mode, Root: e.o.Root, Logs: e.outside(p.Logs), Routes: p.Routes, Answer: p.Answer,
		Live: r.Wish.Live != "", Peer: r.Wish.Peer.Address(), Username: own.Username, Password: own.Password, Dry: dry,
		Tell: func(n mtaconf.Note) { p.told = append(p.told, n) },
	}
	c, err := e.o.Registrar.Register(ctx, reg)
	if err != nil {
		return Credentials{}, err
	}
	if own.Username != "" && c.Username == "" {
		c.Username, c.Password = own.Username, own.Password
	}
	return c, nil
}

// outside returns where files inside the root are on this machine.
func (e *Engine) outside(names []string) []string {
	var all []string
	for _, n := range names {
		if e.o.Root != "" {
			n = filepath.Join(e.o.Root, n)
		}
		all = append(all, n)
	}
	return all
}
