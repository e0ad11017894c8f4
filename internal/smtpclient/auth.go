package smtpclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"ukai/internal/outcome"
	"ukai/internal/sasl"
)

const (
	maxCommand    = 512 // octets of a command line (RFC 5321, section 4.5.3.1.4)
	maxChallenges = 8
)

// authenticate proves who we are, if a user name is configured (RFC 4954).
func (c *Conn) authenticate(ctx context.Context, start time.Time) *outcome.Outcome {
	if c.opts.Username == "" {
		return nil
	}
	client, err := sasl.NewClient(c.ext.Auth, c.opts.Username, c.opts.Password, c.opts.PlainAuth || c.base.TLS != "")
	if errors.Is(err, sasl.ErrMechanism) {
		err = c.noMechanism()
	}
	if err != nil {
		return ref(c.lost(ctx, outcome.Auth, err, start))
	}
	raw, err := c.converse(ctx, client)
	switch {
	case err != nil:
		return ref(c.lost(ctx, outcome.Auth, err, start))
	case !raw.positive():
		return ref(c.said(outcome.Auth, raw.reply(), start))
	}
	if err := sasl.Complete(client); err != nil {
		return ref(c.lost(ctx, outcome.Auth, err, start))
	}
	return nil
}

func (c *Conn) noMechanism() error {
	if len(c.ext.Auth) == 0 {
		return errors.New("a user name is configured, but the server does not offer AUTH")
	}
	hint := ""
	if c.base.TLS == "" && !c.opts.PlainAuth {
		hint = " without TLS"
	}
	return fmt.Errorf("none of the server's ways to authenticate can be used%s: %s", hint, strings.Join(c.ext.Auth, " "))
}

// converse carries the messages of a SASL exchange and returns the reply that ends it.
func (c *Conn) converse(ctx context.Context, client sasl.Client) (rawReply, error) {
	initial, err := client.Start()
	if err != nil {
		return rawReply{}, err
	}
	line := "AUTH " + client.Mechanism()
	if initial != nil {
		first := base64.StdEncoding.EncodeToString(initial)
		if first == "" {
			first = "=" // RFC 4954, section 4: an initial response of no octets
		}
		if len(line)+1+len(first)+2 <= maxCommand {
			line += " " + first
			initial = nil
		}
	}
	raw, err := c.command(ctx, []byte(line+"\r\n"), c.times.Ehlo)
	for range maxChallenges {
		if err != nil || raw.code != 334 {
			return raw, err
		}
		response := initial // it was too long for the command line, and is the answer to an empty challenge
		if initial = nil; response == nil {
			if response, err = answer(client, raw); err != nil {
				return c.cancelAuth(ctx, err)
			}
		}
		raw, err = c.command(ctx, []byte(base64.StdEncoding.EncodeToString(response)+"\r\n"), c.times.Ehlo)
	}
	if err == nil && raw.code == 334 {
		return c.cancelAuth(ctx, errors.New("the server does not stop asking"))
	}
	return raw, err
}

func answer(client sasl.Client, raw rawReply) ([]byte, error) {
	_, _, text, _ := splitLine(raw.text[:len(raw.text)-1])
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the server's challenge is not base64: %w", err)
	}
	return client.Next(challenge)
}

// cancelAuth ends an exchange that we do not want to go on with (RFC 4954, section 4).
func (c *Conn) cancelAuth(ctx context.Context, why error) (rawReply, error) {
	_, _ = c.command(ctx, []byte("*\r\n"), farewell)
	return rawReply{}, why
}
