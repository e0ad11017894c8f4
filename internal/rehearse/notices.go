package rehearse

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"ukai/internal/config"
	"ukai/internal/incident"
)

// Notices are what people were told, by the one of two channels that works.
type Notices struct {
	Count int `json:"count"`
	// Delay is the time from the third refusal of the story to the first notice, to the end when none came; 0 when it came before, or
	// there was no third refusal.
	Delay float64 `json:"delay_ms"`
	// Broken is how often the channel that is broken was tried.
	Broken int      `json:"broken"`
	List   []Notice `json:"list"`
}

// Notice is one of them.
type Notice struct {
	At    string `json:"at"`   // time of day in the story
	News  string `json:"news"` // opened, grown, closed, ... or channel_failed
	Title string `json:"title"`

	real time.Time
}

// The paths of the two channels, and the most of a notice that is read.
const (
	workingPath = "/working"
	brokenPath  = "/broken"
	mostNotice  = 1 << 20
)

// phone is where the notices of a rehearsal arrive: a receiver of webhooks on loopback that works, and one that does not.
type phone struct {
	at     string
	server *http.Server

	mu     sync.Mutex // guards all below
	got    []Notice
	broken int
}

// newPhone begins to listen. The caller closes it.
func newPhone() (*phone, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &phone{at: "http://" + l.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+workingPath, p.take)
	mux.HandleFunc("POST "+brokenPath, p.refuse)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go p.server.Serve(l) //nolint:errcheck // it ends by close, and says so
	return p, nil
}

func (p *phone) close() { _ = p.server.Close() } // its listener is of this machine

// channels are the settings that lead here: the broken channel is asked first.
func (p *phone) channels() []config.NotifyChannel {
	return []config.NotifyChannel{
		{Name: "broken", Kind: "webhook", URL: config.Secret(p.at + brokenPath)},
		{Name: "working", Kind: "webhook", URL: config.Secret(p.at + workingPath)},
	}
}

func (p *phone) refuse(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	p.broken++
	p.mu.Unlock()
	http.Error(w, "broken", http.StatusInternalServerError)
}

// take notes a notice. What cannot be read is one, too: somebody's phone has rung.
func (p *phone) take(w http.ResponseWriter, r *http.Request) {
	n := Notice{real: time.Now()}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostNotice))
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil {
		n.News = "unreadable"
	}
	n.At = ""
	p.mu.Lock()
	p.got = append(p.got, n)
	p.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// ended counts the notices that a trouble is over.
func (p *phone) ended() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.got {
		if p.got[i].News == string(incident.WasClosed) {
			n++
		}
	}
	return n
}

// notices returns what arrived, with the times of a story that began at a moment.
func (p *phone) notices(s *Scenario, began, third time.Time) Notices {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := Notices{Count: len(p.got), Broken: p.broken, List: slices.Clone(p.got)}
	if out.List == nil {
		out.List = []Notice{}
	}
	for i := range out.List {
		n := &out.List[i]
		n.At = s.clock(time.Duration(float64(n.real.Sub(began)) * s.Speed))
	}
	first := time.Now()
	if len(p.got) > 0 {
		first = p.got[0].real
	}
	if !third.IsZero() {
		out.Delay = ms(max(0, first.Sub(third)))
	}
	return out
}

// third returns when the story's refusals were as many as make an incident; zero: they never were.
func (w *watcher) third() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.refusals) < enoughRefusals {
		return time.Time{}
	}
	return w.refusals[enoughRefusals-1]
}
