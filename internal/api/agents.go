package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/servers"
	"ukai/internal/steer"
	"ukai/internal/watch"
)

// What one request of an agent may hold.
const (
	MaxTold    = 1000 // observations
	maxRequest = 4 << 20
)

// batchHeader numbers what an agent tells, so that a batch whose answer was lost counts once.
const batchHeader = "Ukai-Batch"

// agents is the door for "ukai agent" on other machines. Everybody says who they are before a word of theirs is read, and
// whoever they are, they learn and change what is theirs only.
type agents struct {
	*Parts
	mu     sync.Mutex        // guards the fields below
	last   map[string]string // the batch that a server told last
	knocks int               // refused since that was told
	warned time.Time         // when it was told
}

// Agents returns the handler of the door for agents.
func Agents(p *Parts) http.Handler {
	a := &agents{Parts: p, last: make(map[string]string)}
	mux := http.NewServeMux()
	for at, f := range map[string]func(http.ResponseWriter, *http.Request, *servers.Server) error{
		"POST /v1/agent/join":   a.join,
		"POST /v1/agent/leave":  a.leave,
		"POST /v1/agent/drift":  a.drift,
		"POST /v1/agent/told":   a.told,
		"GET /v1/agent/detours": a.detours,
	} {
		mux.Handle(at, a.known(f))
	}
	return mux
}

// known lets in whom the book knows.
func (a *agents) known(f func(http.ResponseWriter, *http.Request, *servers.Server) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		s, err := a.Steering.Servers.Get(name)
		if !a.Steering.Servers.Check(name, secret) || err != nil || !s.Distant() {
			a.refused(name, r.RemoteAddr)
			sayProblem(w, huma.Error401Unauthorized("the hub does not know this server, or not under this secret"))
			return
		}
		a.Steering.Servers.Touch(s.Name, a.Now())
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		if err := f(w, r, &s); err != nil {
			sayProblem(w, err)
		}
	})
}

// refusedEvery is how often a refusal is told: an agent that was taken out goes on asking.
const refusedEvery = 10 * time.Minute

func (a *agents) refused(name, client string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.knocks++
	if now := a.Now(); now.Sub(a.warned) >= refusedEvery {
		a.Log.Warn("agent refused", "server", name, "client", client, "times", a.knocks)
		a.knocks, a.warned = 0, now
	}
}

// sayProblem answers with a problem (RFC 9457).
func sayProblem(w http.ResponseWriter, err error) {
	var s huma.StatusError
	if !errors.As(err, &s) {
		s = huma.Error503ServiceUnavailable(err.Error())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(s.GetStatus())
	_ = json.NewEncoder(w).Encode(s) // the client is gone: it asks again
}

func sayJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above
	return nil
}

func readJSON(r *http.Request, v any) error {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return huma.Error400BadRequest("not what an agent sends: " + err.Error())
	}
	_, _ = io.Copy(io.Discard, r.Body) // so that the connection can be used again
	return nil
}

// join makes an announced server a connected one, or takes in what has changed.
func (a *agents) join(w http.ResponseWriter, r *http.Request, s *servers.Server) error {
	var in ServerRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	gate, err := a.Steering.Gate("", true)
	if err != nil {
		return inWords(http.StatusConflict, err)
	}
	_, in.Secret, _ = r.BasicAuth()
	in.Place.Host, in.Place.Addrs = s.Name, s.Place.Addrs
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		in.Place.Host = from.Addr().Unmap().String()
	}
	in.Egress = s.Egress // the hub's admin says what it shares
	out, err := a.enter(r.Context(), in.server(s.Name), gate, &in, nil)
	if err != nil {
		return err
	}
	return sayJSON(w, &out.Body)
}

// leave takes in that a server was disconnected. It stays announced: it may join again by the same token.
func (a *agents) leave(w http.ResponseWriter, r *http.Request, s *servers.Server) error {
	err := a.Steering.Servers.Update(r.Context(), s.Name, func(s *servers.Server) {
		s.MTA, s.Mode, s.Logs, s.Routes, s.Live, s.Answer = "", "", nil, nil, false, ""
	})
	if err != nil {
		return serverTrouble(err)
	}
	a.Log.Info("mail server disconnected by its agent", "server", s.Name)
	return sayJSON(w, none{})
}

func (a *agents) drift(w http.ResponseWriter, r *http.Request, s *servers.Server) error {
	var d servers.Drift
	if err := readJSON(r, &d); err != nil {
		return err
	}
	d.At = a.Now()
	a.Steering.Servers.SetDrift(s.Name, d)
	return sayJSON(w, none{})
}

// told takes a batch in. The witness is who logged in, whatever the batch says.
func (a *agents) told(w http.ResponseWriter, r *http.Request, s *servers.Server) error {
	var list []watch.Told
	if err := readJSON(r, &list); err != nil {
		return err
	}
	if len(list) > MaxTold {
		return huma.Error422UnprocessableEntity("more than " + strconv.Itoa(MaxTold) + " in one batch")
	}
	if a.fresh(s.Name, r.Header.Get(batchHeader)) {
		a.Steering.Take(watch.Witness{Source: "server " + s.Name, Server: s.Name, Egress: s.Egress}, list)
	}
	return sayJSON(w, none{})
}

// fresh tells whether a batch is another one than the last.
func (a *agents) fresh(server, batch string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if batch != "" && a.last[server] == batch {
		return false
	}
	a.last[server] = batch[:min(len(batch), 64)]
	return true
}

// detours answers with the mail that takes the detour, or says that it is that of before (RFC 9110, section 13.1.2).
func (a *agents) detours(w http.ResponseWriter, r *http.Request, s *servers.Server) error {
	var d steer.Detours
	if a.Steering.Detours != nil {
		d = a.Steering.Detours(s.Name)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // the client is gone: it asks again
	return nil
}
