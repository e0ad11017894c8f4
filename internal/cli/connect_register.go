package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"ukai/internal/api"
	"ukai/internal/connect"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
)

// joinDir is where a server's machine keeps how each server is known to ukai, inside the root: a file for each, for root alone.
const joinDir = "/var/lib/ukai/agent"

// joined is such a file.
type joined struct {
	// Join is how the hub is reached; nil where ukai runs on this machine.
	Join *api.Join `json:"join,omitempty"`
	// Secret is the server's.
	Secret string `json:"secret"`
	// Server is what was last registered of it; its MTA is empty where the server is not connected.
	Server api.ServerRequest `json:"server"`
}

// registrar makes mail servers of this machine known to ukai: to the one that runs here, or, with a token or after one, to a hub.
type registrar struct {
	client *api.Client // nil with a hub
	root   string
	egress string // --egress; empty: ukai chooses
	given  *api.Join
}

// newRegistrar makes the connect.Registrar of "ukai connect". word is the token of --join, or empty; root is --root.
func (e *env) newRegistrar(root, word, egress string) (*registrar, error) {
	r := &registrar{root: root, egress: egress}
	if word != "" {
		join, err := api.ParseJoin(word)
		if err != nil {
			return nil, err
		}
		r.given = join
		return r, nil
	}
	var err error
	r.client, err = e.client()
	return r, err
}

// Name is the name that the token gives a server; empty without one.
func (r *registrar) Name() string {
	if r.given == nil {
		return ""
	}
	return r.given.Name
}

// Peer is where a server hands its mail over.
func (r *registrar) Peer(ctx context.Context, server string) (mtaconf.Peer, error) {
	join, err := r.join(server)
	if err != nil {
		return mtaconf.Peer{}, err
	}
	if join == nil {
		g, err := r.client.Gate(ctx)
		return mtaconf.Peer{Host: g.Host, Port: g.Port, TLS: g.TLS}, err
	}
	host, port, err := net.SplitHostPort(join.Relay)
	if err != nil {
		return mtaconf.Peer{}, err
	}
	n, err := strconv.Atoi(port)
	return mtaconf.Peer{Host: host, Port: n, TLS: join.TLS}, err
}

// join returns how a server's hub is reached: by the token, or by that of an earlier time; nil where ukai runs on this machine.
func (r *registrar) join(server string) (*api.Join, error) {
	if r.given != nil {
		return r.given, nil
	}
	j, err := readJoined(r.file(server))
	return j.Join, err
}

func (r *registrar) file(server string) string { return filepath.Join(r.root, joinDir, server+".json") }

// readJoined reads a file; one that is not there says nothing.
func readJoined(file string) (j joined, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &j)
	}
	if err != nil {
		err = i18n.Errorf("cli.agent.file", "file", file, "cause", err)
	}
	return j, err
}

// write keeps the file: whole or not at all, and readable for its owner only.
func (j *joined) write(file string) error {
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return i18n.Errorf("cli.agent.file", "file", file, "cause", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".join-*") // 0600
	if err != nil {
		return i18n.Errorf("cli.agent.file", "file", file, "cause", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return i18n.Errorf("cli.agent.file", "file", file, "cause", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Register implements connect.Registrar.
func (r *registrar) Register(ctx context.Context, reg connect.Registration) (connect.Credentials, error) {
	name, err := servers.Name(reg.Server)
	if err != nil {
		return connect.Credentials{}, err
	}
	if r.given != nil && r.given.Name != name {
		return connect.Credentials{}, i18n.Errorf("cli.agent.name", "name", reg.Server, "given", r.given.Name)
	}
	kept, err := readJoined(r.file(name))
	if err != nil {
		return connect.Credentials{}, err
	}
	if r.given != nil {
		kept.Join, kept.Secret = r.given, r.given.Secret
	}
	kept.Server = api.ServerRequest{
		MTA: reg.Instance.MTA, Mode: reg.Mode, Logs: reg.Logs, Routes: reg.Routes, Live: reg.Live, Answer: reg.Answer, Egress: r.egress,
		Place: servers.Place{Root: reg.Root, Dir: reg.Instance.Dir, Instance: reg.Instance.Name, Version: reg.Instance.Version},
		Peer:  reg.Peer, Secret: kept.Secret, Dry: reg.Dry,
	}
	out, err := r.enter(ctx, name, &kept)
	if err != nil {
		return connect.Credentials{}, err
	}
	if reg.Tell != nil {
		r.tell(&reg, kept.Join != nil, &out)
	}
	c := connect.Credentials{Username: out.Username, Secret: out.Secret}
	if c.Username != "" {
		c.Password = out.Secret
	}
	if reg.Dry {
		return c, nil
	}
	kept.Secret, kept.Server.Secret = out.Secret, ""
	return c, kept.write(r.file(name))
}

// tell says how the server is known, and what is left to do where ukai may not do it.
func (r *registrar) tell(reg *connect.Registration, distant bool, out *api.Registered) {
	switch {
	case out.Server.Egress != "":
		reg.Tell(mtaconf.N("cli.connect.note.shares", "egress", out.Server.Egress))
	case !distant: // of one elsewhere the hub's operator has said so
		reg.Tell(mtaconf.N("cli.connect.note.own", "name", out.Server.Name))
	}
	if u := out.Unkept; u != nil {
		egress := out.Server.Egress
		if egress == "" {
			egress = "none"
		}
		reg.Tell(mtaconf.N("cli.connect.note.unkept", "file", u.File, "cause", u.Cause, "name", out.Server.Name, "relay", reg.Peer, "egress", egress))
	}
}

// drift tells ukai which files of a server are not as they were written. Nobody waits for it: where ukai does not run, it learns
// of it at the next call, or by its agent.
func (r *registrar) drift(ctx context.Context, server string, d servers.Drift) error {
	name, err := servers.Name(server)
	if err != nil {
		return err
	}
	join, err := r.join(name)
	switch {
	case err != nil:
		return err
	case join != nil:
		return api.NewAgentClient(join).Drift(ctx, d)
	}
	_, err = r.client.DriftServer(ctx, name, d)
	return err
}

// enter tells ukai of a server, wherever it runs.
func (r *registrar) enter(ctx context.Context, name string, kept *joined) (api.Registered, error) {
	if kept.Join != nil {
		return api.NewAgentClient(kept.Join).Join(ctx, &kept.Server)
	}
	if r.client == nil {
		return api.Registered{}, i18n.Errorf("cli.agent.no_token", "name", name)
	}
	return r.client.ConnectServer(ctx, name, &kept.Server)
}

// Unregister implements connect.Registrar. A distant server stays announced at the hub; one of this machine is forgotten.
func (r *registrar) Unregister(ctx context.Context, server string) error {
	name, err := servers.Name(server)
	if err != nil {
		return err
	}
	kept, err := readJoined(r.file(name))
	if err != nil {
		return err
	}
	if kept.Join != nil {
		err = api.NewAgentClient(kept.Join).Leave(ctx)
	} else if r.client != nil {
		_, err = r.client.RemoveServer(ctx, name)
	}
	var p *api.Problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusNotFound, errors.Is(err, servers.ErrUnknown):
	case err != nil:
		return err
	}
	if err := os.Remove(r.file(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
