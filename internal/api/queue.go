package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
)

// Message is a message in the queue.
type Message struct {
	ID         string     `json:"id"`
	Accepted   time.Time  `json:"accepted"`
	From       string     `json:"from"`
	Recipients []string   `json:"recipients"`
	Size       int64      `json:"size"`
	Account    string     `json:"account,omitempty"`
	Client     string     `json:"client,omitempty"`
	MessageID  string     `json:"message_id,omitempty"`
	Bulk       bool       `json:"bulk,omitempty"`
	Deliveries []Delivery `json:"deliveries"`
}

// Delivery is the open recipients of a message in one domain.
type Delivery struct {
	Domain     string    `json:"domain"`
	Recipients []string  `json:"recipients"`
	Attempts   int       `json:"attempts"`
	Due        time.Time `json:"due"`
	Held       bool      `json:"held,omitempty"`
	WaitingFor string    `json:"waiting_for,omitempty"` // a provider all of whose ways are shut
	Last       string    `json:"last,omitempty"`
}

// MaxList is how many messages one answer lists at most.
const MaxList = 10000

// waitingTag begins the tag that dispatch gives to deliveries waiting for any way to a provider.
const waitingTag = "path:"

// Selection selects messages; empty fields do not.
type Selection struct {
	IDs       []string `query:"id,explode" json:"ids,omitempty" doc:"message IDs"`
	Sender    string   `query:"sender" json:"sender,omitempty" doc:"whole address or @domain"`
	Recipient string   `query:"recipient" json:"recipient,omitempty" doc:"whole address or @domain"`
	Domain    string   `query:"domain" json:"domain,omitempty" doc:"recipient domain"`
	Account   string   `query:"account" json:"account,omitempty"`
	Held      string   `query:"held" json:"held,omitempty" enum:"yes,no," doc:"held by an admin"`
	Waiting   string   `query:"waiting_for" json:"waiting_for,omitempty" doc:"a provider all of whose ways are shut"`
	After     string   `query:"after" json:"after,omitempty" doc:"message ID to go on behind"`
	Limit     int      `query:"limit" json:"limit,omitempty" minimum:"0" maximum:"10000"`
}

// Empty tells whether the selection would select everything.
func (s *Selection) Empty() bool {
	return len(s.IDs) == 0 && s.Sender == "" && s.Recipient == "" && s.Domain == "" && s.Account == "" && s.Held == "" && s.Waiting == ""
}

func (s *Selection) filter() (queue.Filter, error) {
	f := queue.Filter{Sender: s.Sender, Recipient: s.Recipient, Domain: s.Domain, Account: s.Account, Limit: s.Limit}
	for _, text := range s.IDs {
		id, err := mail.ParseID(text)
		if err != nil {
			return f, huma.Error422UnprocessableEntity(text + ": " + err.Error())
		}
		f.IDs = append(f.IDs, id)
	}
	if s.After != "" {
		id, err := mail.ParseID(s.After)
		if err != nil {
			return f, huma.Error422UnprocessableEntity(s.After + ": " + err.Error())
		}
		f.After = id
	}
	if s.Held != "" {
		held := s.Held == "yes"
		f.Held = &held
	}
	if s.Waiting != "" {
		f.Tag = waitingTag + s.Waiting
	}
	return f, nil
}

// OrderRequest is an order of the admin to messages in the queue.
type OrderRequest struct {
	Order string `json:"order" enum:"hold,release,retry,delete"`
	// All must be set for an order that selects nothing in particular, so that a slip does not delete the queue.
	All       bool      `json:"all,omitempty"`
	Selection Selection `json:"selection"`
}

// OrderResult says how many messages an order touched.
type OrderResult struct {
	Messages int `json:"messages"`
}

func (p *Parts) registerQueue(a huma.API) {
	register(a, "GET /v1/queue", "queue-list", "messages in the queue", p.listQueue)
	register(a, "GET /v1/queue/{id}", "queue-show", "one message in the queue", p.showQueue)
	register(a, "POST /v1/queue/orders", "queue-order", "hold, release, retry or delete messages", p.orderQueue)
}

func (p *Parts) listQueue(ctx context.Context, s *Selection) (*body[[]Message], error) {
	f, err := s.filter()
	if err != nil {
		return nil, err
	}
	list, err := p.Store.List(ctx, f)
	if err != nil {
		return nil, failed(err)
	}
	out := make([]Message, 0, len(list))
	for _, m := range list {
		out = append(out, wire(m))
	}
	return answer(out), nil
}

type idPath struct {
	ID string `path:"id" doc:"message ID"`
}

func (p *Parts) showQueue(ctx context.Context, in *idPath) (*body[Message], error) {
	id, err := mail.ParseID(in.ID)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(in.ID + ": " + err.Error())
	}
	m, err := p.Store.Get(ctx, id)
	if err != nil {
		return nil, failed(err)
	}
	return answer(wire(m)), nil
}

func (p *Parts) orderQueue(ctx context.Context, in *struct{ Body OrderRequest }) (*body[OrderResult], error) {
	if in.Body.Selection.Empty() && !in.Body.All {
		return nil, huma.Error422UnprocessableEntity("nothing is selected: name messages, or say that you mean all")
	}
	f, err := in.Body.Selection.filter()
	if err != nil {
		return nil, err
	}
	now := p.Now()
	n, err := p.Store.Change(ctx, f, queue.Order(in.Body.Order), now)
	if err != nil {
		return nil, failed(err)
	}
	for _, id := range f.IDs {
		p.Journal.Record(journal.Event{At: now, Msg: id, Kind: journal.Ordered, Why: "journal.order." + in.Body.Order})
	}
	p.Log.Info("order to the queue", "order", in.Body.Order, "messages", n)
	return answer(OrderResult{Messages: n}), nil
}

// content streams a message as it will be sent.
func (p *Parts) content(w http.ResponseWriter, r *http.Request) {
	id, err := mail.ParseID(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	rc, err := p.Store.Open(id)
	if err != nil {
		status := http.StatusServiceUnavailable
		if isNotFound(err) {
			status = http.StatusNotFound
		}
		http.Error(w, err.Error(), status)
		return
	}
	defer rc.Close()
	w.Header().Set("Content-Type", "message/rfc822")
	if _, err := io.Copy(w, rc); err != nil {
		p.Log.Warn("message not shown to its end", "msg_id", id.String(), "error", err)
	}
}

func wire(m *queue.Message) Message {
	e := m.Envelope
	out := Message{
		ID: e.ID.String(), Accepted: e.Accepted, From: e.From, Size: e.Size, Account: e.Account, MessageID: e.MessageID,
		Bulk: e.Class == mail.Bulk, Recipients: make([]string, 0, len(e.Recipients)), Deliveries: make([]Delivery, 0, len(m.Deliveries)),
	}
	if e.Client.IsValid() {
		out.Client = e.Client.String()
	}
	for _, r := range e.Recipients {
		out.Recipients = append(out.Recipients, r.Addr)
	}
	for _, d := range m.Deliveries {
		w := Delivery{Domain: d.Domain, Attempts: d.State.Attempts, Due: d.State.Due, Held: d.State.Held, Last: d.State.Last}
		if provider, ok := strings.CutPrefix(d.State.Tag, waitingTag); ok {
			w.WaitingFor = provider
		}
		for _, i := range d.Recipients {
			w.Recipients = append(w.Recipients, e.Recipients[i].Addr)
		}
		out.Deliveries = append(out.Deliveries, w)
	}
	return out
}
