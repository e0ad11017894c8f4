package connect

import (
	"context"
	"strings"
	"time"

	"ukai/internal/mtaconf"
)

// Status says how a connected server stands.
type Status struct {
	Instance mtaconf.Instance `json:"instance"`
	// Connected: ukai has changed this server's configuration. All else is empty where it has not.
	Connected bool         `json:"connected"`
	Server    string       `json:"server,omitempty"`
	Mode      mtaconf.Mode `json:"mode,omitempty"`
	Peer      string       `json:"peer,omitempty"`
	TLS       bool         `json:"tls,omitempty"`
	Live      string       `json:"live,omitempty"`
	Since     time.Time    `json:"since,omitzero"`
	Files     []FileStatus `json:"files,omitempty"`
	// MTATrouble and PeerTrouble are why nobody greets there; empty: all is well.
	MTATrouble  string `json:"mta_trouble,omitempty"`
	PeerTrouble string `json:"peer_trouble,omitempty"`
	// Behind says what a fresh plan would change, or why there is none: a line that was added below ukai's and wins over it,
	// tables of an older ukai.
	Behind []string `json:"behind,omitempty"`
	// Refuse is why there is no plan any more.
	Refuse error  `json:"-"`
	Alive  string `json:"alive,omitempty"`
	// Door is where the server reaches ukai by a program that it starts itself; empty: it goes there directly.
	Door string `json:"door,omitempty"`
}

// Drift is what has become of a file.
type Drift string

// The drifts. Edited is none: all lines of ukai's still stand.
const (
	Intact  Drift = "intact"
	Edited  Drift = "edited"
	Damaged Drift = "damaged" // lines of ukai's are gone
	Gone    Drift = "gone"    // the file is not there
	Reset   Drift = "reset"   // it is what it was before ukai: put back, or replaced by a package
	Moving  Drift = "moving"  // ukai writes it while it runs
)

// FileStatus is how a file stands.
type FileStatus struct {
	Path  string `json:"path"`
	Drift Drift  `json:"drift"`
	// Missing are lines of ukai's that are gone.
	Missing []string  `json:"missing,omitempty"`
	Written time.Time `json:"written,omitzero"`
}

// Drifted tells whether somebody has to look.
func (s *Status) Drifted() bool {
	if !s.Connected {
		return false
	}
	for i := range s.Files {
		switch s.Files[i].Drift {
		case Damaged, Gone, Reset:
			return true
		}
	}
	return s.MTATrouble != "" || s.PeerTrouble != "" || len(s.Behind) > 0 || s.Refuse != nil
}

// Status looks at a connected server. With a request it also says what Apply would change. What a crash has left unfinished is
// ended first.
func (e *Engine) Status(ctx context.Context, t *Target, r *Request) (*Status, error) {
	unlock, err := e.lock(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s := &store{&e.disk, t.dir()}
	m, err := s.manifest()
	if err != nil {
		return nil, err
	}
	st := &Status{Instance: t.Instance}
	if m == nil {
		return st, nil
	}
	*st = m.status()
	if err := e.fileStatus(s, m, st); err != nil {
		return nil, err
	}
	for _, name := range m.Plan.Made {
		if !e.sys.Exists(name) {
			st.Files = append(st.Files, FileStatus{Path: name, Drift: Gone})
		}
	}
	if m.Plan.Alive != "" {
		if err := e.greets(ctx, m.Plan.Alive, relayGreets); err != nil {
			st.MTATrouble = err.Error()
		}
	}
	if err := e.greets(ctx, m.Peer, relayGreets); err != nil {
		st.PeerTrouble = err.Error()
	} else if m.Plan.Door != "" && st.MTATrouble == "" {
		if err := e.greets(ctx, m.Plan.Door, relayGreets); err != nil {
			st.PeerTrouble = m.Plan.Door + ": " + err.Error()
		}
	}
	if r != nil && t.planner != nil {
		e.behind(ctx, t, r, st, m)
	}
	return st, nil
}

// behind compares with what a plan would be today.
func (e *Engine) behind(ctx context.Context, t *Target, r *Request, st *Status, m *manifest) {
	again := *r
	again.Alone = true
	again.Wish.Mode, again.Wish.Server, again.Wish.Live = m.Mode, m.Server, m.Live
	again.Wish.Peer = mtaconf.Peer{Username: m.Username, Password: m.Password, TLS: m.TLS}
	if host, port, ok := hostPort(m.Peer); ok {
		again.Wish.Peer.Host, again.Wish.Peer.Port = host, port
	}
	p, err := e.plan(ctx, t, again, true)
	if err != nil {
		st.Refuse = err
		return
	}
	for i := range p.Changes {
		st.Behind = append(st.Behind, p.Changes[i].Path)
	}
}

// fileStatus compares each file with what ukai wrote.
func (e *Engine) fileStatus(s *store, m *manifest, st *Status) error {
	for i := range m.Files {
		r := &m.Files[i]
		cur, err := e.disk.look(r.Path)
		if err != nil {
			return err
		}
		f := FileStatus{Path: r.Path, Drift: Intact}
		if cur != nil {
			f.Written = cur.attr.MTime
		}
		switch {
		case cur == nil:
			f.Drift = Gone
		case r.Moving:
			f.Drift = Moving
		case cur.is(r.Before):
			f.Drift = Reset
		case !cur.is(r.After):
			if f.Drift, f.Missing, err = drift(s, r, cur.text); err != nil {
				return err
			}
		}
		st.Files = append(st.Files, f)
	}
	return nil
}

// drift finds the lines of ukai's that are gone from a file.
func drift(s *store, r *record, current []byte) (Drift, []string, error) {
	before, err := s.content(r.Before)
	if err != nil {
		return "", nil, err
	}
	after, err := s.content(r.After)
	if err != nil {
		return "", nil, err
	}
	missing := missingLines(before, after, current)
	if len(missing) > 0 {
		if r.Secret {
			missing = nil
		}
		return Damaged, missing, nil
	}
	return Edited, nil, nil
}

// missingLines returns what a change added and is not in the current text any more. Comments and blank lines are not missed.
func missingLines(before, after, current []byte) []string {
	a, o := bare(split(before)), bare(split(after))
	to := match(o, bare(split(current)))
	var missing []string
	for _, h := range hunks(a, o) {
		for i := h.b0; i < h.b1; i++ {
			line := strings.TrimSpace(o[i])
			if to[i] < 0 && line != "" && !strings.HasPrefix(line, "#") {
				missing = append(missing, o[i])
			}
		}
	}
	return missing
}

// Servers returns the servers of this machine that are connected, as they were connected: nothing is looked at.
func (e *Engine) Servers() ([]Status, error) {
	kept, err := e.kept("")
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, t := range kept {
		m, err := (&store{&e.disk, t.dir()}).manifest()
		if err != nil {
			return nil, err
		}
		if m != nil {
			all = append(all, m.status())
		}
	}
	return all, nil
}

// status is what a manifest says.
func (m *manifest) status() Status {
	return Status{
		Instance: m.Instance, Connected: true, Server: m.Server, Mode: m.Mode, Peer: m.Peer, TLS: m.TLS, Live: m.Live, Since: m.At, Alive: m.Plan.Alive, Door: m.Plan.Door,
	}
}
