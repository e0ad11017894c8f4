package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// mailSender hands notices to the queue, for those recipients to whom a healthy path leads.
type mailSender struct {
	o    *ChannelOptions
	send func(ctx context.Context, m *Mail) error
}

// Send queues a notice as mail.
func (s *mailSender) Send(ctx context.Context, m *Notice) error {
	if s.send == nil {
		return errors.New("no mail here")
	}
	return s.send(ctx, &Mail{To: s.o.To, From: s.o.From, Subject: m.Title, Body: m.Body() + "\n"})
}

// shoutrrrSender hands notices to a service that the library shoutrrr knows: Matrix, Mattermost, Google Chat, Pushover, Gotify,
// Zulip, PagerDuty, Opsgenie and more. The named kinds are spoken to directly: shoutrrr fixes the hosts of most of them, so
// that neither a proxy for them nor a test can stand in, knows no context, and prints its URL in errors.
type shoutrrrSender struct{ url string }

// Send hands a notice over. The library knows no context: when ctx ends first, its goroutine ends with its own time limit.
func (s *shoutrrrSender) Send(ctx context.Context, m *Notice) error {
	done := make(chan error, 1)
	go func() {
		sender, err := shoutrrr.CreateSender(s.url)
		if err != nil {
			done <- err
			return
		}
		done <- errors.Join(sender.Send(m.Body(), &types.Params{"title": m.Title})...)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commandSender runs a program with the notice as JSON on its standard input: no shell, no environment but PATH and LANG.
type commandSender struct{ argv []string }

// Send runs the program; exit code 0 means that the notice was taken.
func (s *commandSender) Send(ctx context.Context, m *Notice) error {
	in, err := json.Marshal(payloadOf(m))
	if err != nil {
		return fmt.Errorf("write payload: %w", err)
	}
	cmd := exec.CommandContext(ctx, s.argv[0], s.argv[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Stdin = bytes.NewReader(in)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second // a child that keeps the pipe open does not keep us
	var out head
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", s.argv[0], err, brief(out.b))
	}
	return nil
}

// head keeps the beginning of what is written to it.
type head struct{ b []byte }

// Write never fails: a program that says much is not to be stopped by that.
func (h *head) Write(p []byte) (int, error) {
	h.b = append(h.b, p[:min(len(p), 4096-len(h.b))]...)
	return len(p), nil
}

// secretsOf returns what of a channel nobody may read: its token, its URL, and the parts of the URL that look like keys.
func secretsOf(o *ChannelOptions) []string {
	list := []string{o.URL, o.Token}
	_, rest, _ := strings.Cut(o.URL, "://")
	authority, path, _ := strings.Cut(rest, "/")
	who, _, found := strings.Cut(authority, "@")
	if found {
		list = append(list, who)
		list = append(list, strings.Split(who, ":")...)
	}
	if path != "" {
		list = append(list, path)
	}
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/?&=#", r) }) {
		if len(part) >= 8 {
			list = append(list, part)
		}
	}
	if o.Kind == Shoutrrr { // where other services have the host, some have a token
		list = append(list, authority)
	}
	return list
}

// mask takes the secrets of a channel out of a text.
func (c *channel) mask(s string) string {
	for _, secret := range c.secrets {
		if len(secret) >= 4 {
			s = strings.ReplaceAll(s, secret, "********")
		}
	}
	return brief([]byte(s))
}
