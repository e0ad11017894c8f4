package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// httpSender hands notices over in one HTTP request each.
type httpSender struct {
	o       *ChannelOptions
	request func(o *ChannelOptions, m *Notice) (*call, error)
}

// call is a request to be made.
type call struct {
	url    string
	header map[string]string
	body   []byte
}

// client follows no redirection: what is posted is meant for one place, and so are the secrets in it. It uses the proxy of the
// environment.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 2, ForceAttemptHTTP2: true,
	},
}

// Send makes the request. Everything but 2xx is a failure: a 3xx means that the address is wrong.
func (s *httpSender) Send(ctx context.Context, m *Notice) error {
	c, err := s.request(s.o, m)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost)
}

func (c *call) do(ctx context.Context, method string) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return errors.New("the URL cannot be used") // the error would show it
	}
	req.Header.Set("User-Agent", "ukai")
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		var whole *url.Error
		if errors.As(err, &whole) { // its text has the URL, and that is a secret
			err = whole.Err
		}
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: HTTP %d: %s", req.URL.Host, resp.StatusCode, brief(said))
	}
	if err != nil {
		return fmt.Errorf("%s: read answer: %w", req.URL.Host, err)
	}
	return nil
}

// brief makes one short line of an answer.
func brief(b []byte) string { return cut(strings.Join(strings.Fields(string(b)), " "), 200) }

// cut shortens a text to most characters, which is what the services count.
func cut(s string, most int) string {
	n := 0
	for at := range s {
		if n++; n == most { // the last one that fits, if there are more
			if rest := []rune(s[at:]); len(rest) > 1 {
				return s[:at] + "…"
			}
		}
	}
	return s
}

// asJSON makes a request with a JSON body.
func asJSON(address string, v any, header map[string]string) (*call, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write payload: %w", err)
	}
	all := map[string]string{"Content-Type": "application/json; charset=utf-8"}
	for k, v := range header {
		all[k] = v
	}
	return &call{url: address, header: all, body: b}, nil
}

// address returns the URL of a channel's API, and the path below it.
func (o *ChannelOptions) address(otherwise, path string) string {
	base := o.URL
	if base == "" {
		base = otherwise
	}
	return strings.TrimRight(base, "/") + path
}

// first returns whom a channel is for, where it takes one.
func (o *ChannelOptions) first() string {
	if len(o.To) == 0 {
		return ""
	}
	return o.To[0]
}
