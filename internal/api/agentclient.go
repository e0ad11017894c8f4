package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/servers"
	"ukai/internal/steer"
	"ukai/internal/watch"
)

// AgentClient asks the hub in the name of one server.
type AgentClient struct {
	join Join
	http *http.Client
}

var errPin = errors.New("its certificate is not the one in the token")

// NewAgentClient makes a client of the hub that a token names. The hub is known by the fingerprint of its certificate; no
// authority and no name counts. Nothing is opened before the first question.
func NewAgentClient(j *Join) *AgentClient {
	conf := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, VerifyConnection: func(st tls.ConnectionState) error {
		sum := sha256.Sum256(st.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(j.Fingerprint)) != 1 {
			return errPin
		}
		return nil
	}}
	return &AgentClient{join: *j, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}, Timeout: time.Minute,
	}}
}

// Hub returns where it asks.
func (c *AgentClient) Hub() string { return c.join.Agents }

func (c *AgentClient) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	payload := new(bytes.Buffer)
	if in != nil {
		if err := json.NewEncoder(payload).Encode(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+c.join.Agents+path, payload)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(c.join.Name, c.join.Secret)
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

func (c *AgentClient) do(req *http.Request, out any) (tag string, changed bool, err error) {
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, errPin):
		return "", false, i18n.Errorf("api.hub.pin", "hub", c.join.Agents, "name", c.join.Name, "cause", err)
	case err != nil:
		return "", false, i18n.Errorf("api.hub.unreachable", "hub", c.join.Agents, "cause", err)
	case resp.StatusCode == http.StatusUnauthorized:
		return "", false, errors.Join(i18n.Errorf("api.hub.unknown", "hub", c.join.Hub, "name", c.join.Name, "cause", servers.ErrUnknown), resp.Body.Close())
	case resp.StatusCode == http.StatusNotModified:
		return resp.Header.Get("ETag"), false, resp.Body.Close()
	}
	return resp.Header.Get("ETag"), true, readAnswer(resp, out)
}

func (c *AgentClient) post(ctx context.Context, path string, in, out any) error {
	req, err := c.request(ctx, http.MethodPost, path, in)
	if err != nil {
		return err
	}
	_, _, err = c.do(req, out)
	return err
}

// Join makes the server known to the hub, Leave says that it was disconnected.
func (c *AgentClient) Join(ctx context.Context, in *ServerRequest) (r Registered, err error) {
	err = c.post(ctx, "/v1/agent/join", in, &r)
	return r, err
}

// Leave is described at Join.
func (c *AgentClient) Leave(ctx context.Context) error {
	return c.post(ctx, "/v1/agent/leave", nil, &none{})
}

// Drift tells what was changed in the server's configuration.
func (c *AgentClient) Drift(ctx context.Context, d servers.Drift) error {
	return c.post(ctx, "/v1/agent/drift", d, &none{})
}

// Tell tells what the server met, at most MaxTold of it. A batch that is told again counts once, as long as no other was told
// in between.
func (c *AgentClient) Tell(ctx context.Context, batch string, list []watch.Told) error {
	req, err := c.request(ctx, http.MethodPost, "/v1/agent/told", list)
	if err != nil {
		return err
	}
	req.Header.Set(batchHeader, batch)
	_, _, err = c.do(req, &none{})
	return err
}

// Detours returns the mail that takes the detour, and a tag. Under the tag of before, changed is false where it is the same.
func (c *AgentClient) Detours(ctx context.Context, tag string) (d steer.Detours, next string, changed bool, err error) {
	req, err := c.request(ctx, http.MethodGet, "/v1/agent/detours", nil)
	if err != nil {
		return d, "", false, err
	}
	req.Header.Set("If-None-Match", tag)
	next, changed, err = c.do(req, &d)
	if err != nil {
		return d, "", false, err
	}
	return d, next, changed, nil
}
