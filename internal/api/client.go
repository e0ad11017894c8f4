package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/incident"
)

// maxSocket is how many octets the path of a Unix socket may have on Linux: sun_path of unix(7) without its final NUL.
const maxSocket = 107

// Socket returns the path of the control socket in a data directory, or an error that says what to do when it is longer than
// the system allows.
func Socket(dataDir string) (string, error) {
	path := filepath.Join(dataDir, SocketName)
	if len(path) > maxSocket {
		return "", i18n.Errorf("api.socket_long", "path", path, "length", len(path), "most", maxSocket)
	}
	return path, nil
}

// Client asks a running ukai through its control socket.
type Client struct {
	http *http.Client
	dir  string
}

// NewClient makes a client of the ukai that runs on a data directory. Nothing is opened before the first question.
func NewClient(dataDir string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		socket, err := Socket(dataDir)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{dir: dataDir, http: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 5 * time.Minute}}
}

// Problem is what ukai answered instead of what was asked for (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Key and Args are the text in the message catalogue, where it has it.
	Key  string `json:"key,omitempty"`
	Args []any  `json:"args,omitempty"`
}

// Error returns the detail.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var payload io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://ukai"+path, payload)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	return readAnswer(resp, out)
}

// readAnswer reads what was asked for, or the Problem that came in its place.
func readAnswer(resp *http.Response, out any) error {
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		p := &Problem{Status: resp.StatusCode, Title: resp.Status}
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(p); err != nil {
			p.Detail = resp.Status
		}
		return p
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// unreachable says what to do when nobody answers at the socket.
func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return i18n.Errorf("api.not_running", "dir", c.dir, "cause", err)
	case errors.Is(err, fs.ErrPermission):
		return i18n.Errorf("api.not_allowed", "dir", c.dir, "cause", err)
	}
	return fmt.Errorf("ask ukai: %w", err)
}

// Status returns ukai at a glance.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Queue lists messages in the queue.
func (c *Client) Queue(ctx context.Context, s *Selection) (list []Message, err error) {
	q := url.Values{}
	set := func(k, v string) {
		if v != "" {
			q.Set(k, v)
		}
	}
	for _, id := range s.IDs {
		q.Add("id", id)
	}
	set("sender", s.Sender)
	set("recipient", s.Recipient)
	set("domain", s.Domain)
	set("account", s.Account)
	set("held", s.Held)
	set("waiting_for", s.Waiting)
	set("after", s.After)
	if s.Limit > 0 {
		set("limit", strconv.Itoa(s.Limit))
	}
	err = c.call(ctx, http.MethodGet, "/v1/queue?"+q.Encode(), nil, &list)
	return list, err
}

// Message returns one message in the queue.
func (c *Client) Message(ctx context.Context, id string) (m Message, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/queue/"+url.PathEscape(id), nil, &m)
	return m, err
}

// Content copies a message's content to w.
func (c *Client) Content(ctx context.Context, id string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ukai/v1/queue/"+url.PathEscape(id)+"/content", nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return errors.Join(&Problem{Status: resp.StatusCode, Detail: string(bytes.TrimSpace(b))}, err)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

// Order gives an order to messages in the queue.
func (c *Client) Order(ctx context.Context, o *OrderRequest) (r OrderResult, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/queue/orders", o, &r)
	return r, err
}

// Trace returns the stories of a message ID or of all messages with a Message-ID header.
func (c *Client) Trace(ctx context.Context, id string) (s []Story, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/trace?"+url.Values{"id": {id}}.Encode(), nil, &s)
	return s, err
}

// Paths lists the paths.
func (c *Client) Paths(ctx context.Context) (list []PathInfo, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/paths", nil, &list)
	return list, err
}

// Path returns one path with the changes that led to where it stands.
func (c *Client) Path(ctx context.Context, egress, provider string) (s PathStory, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/paths/"+url.PathEscape(egress)+"/"+url.PathEscape(provider), nil, &s)
	return s, err
}

// Block shuts a path until a time (zero: until it is cleared), Clear opens it.
func (c *Client) Block(ctx context.Context, egress, provider string, in BlockRequest) (s PathInfo, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/paths/"+url.PathEscape(egress)+"/"+url.PathEscape(provider)+"/block", in, &s)
	return s, err
}

// Clear opens a path and forgets the evidence against it.
func (c *Client) Clear(ctx context.Context, egress, provider string) (s PathInfo, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/paths/"+url.PathEscape(egress)+"/"+url.PathEscape(provider)+"/clear", nil, &s)
	return s, err
}

// Incidents lists the newest incidents, at most limit.
func (c *Client) Incidents(ctx context.Context, limit int) (list []incident.Incident, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/incidents?limit="+strconv.Itoa(limit), nil, &list)
	return list, err
}

// Incident returns one incident.
func (c *Client) Incident(ctx context.Context, id int64) (i incident.Incident, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/incidents/"+strconv.FormatInt(id, 10), nil, &i)
	return i, err
}

// AckIncident says that somebody works on an incident, CloseIncident ends it by hand.
func (c *Client) AckIncident(ctx context.Context, id int64, o IncidentOrder) (i incident.Incident, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/incidents/"+strconv.FormatInt(id, 10)+"/ack", o, &i)
	return i, err
}

// CloseIncident is described at AckIncident.
func (c *Client) CloseIncident(ctx context.Context, id int64, o IncidentOrder) (i incident.Incident, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/incidents/"+strconv.FormatInt(id, 10)+"/close", o, &i)
	return i, err
}
