package smtpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"ukai/internal/outcome"
)

var (
	errNoStartTLS = errors.New("TLS is required, but the server does not offer STARTTLS")
	// errInjected is what a man in the middle causes who appends commands or replies to STARTTLS in plain text, to have them
	// taken for something said inside TLS.
	errInjected = errors.New("the server said more in plain text after STARTTLS")
)

// handshake begins TLS on the connection.
func (c *Conn) handshake(ctx context.Context) error {
	t := tls.Client(c.raw, c.tlsConfig())
	arm(ctx, c.raw.SetDeadline, c.times.Ehlo)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	_ = c.raw.SetDeadline(time.Time{})
	c.nc = t
	c.base.TLS = strings.ReplaceAll(tls.VersionName(t.ConnectionState().Version), " ", "")
	return nil
}

func (c *Conn) tlsConfig() *tls.Config {
	conf := new(tls.Config)
	if c.opts.TLSConf != nil {
		conf = c.opts.TLSConf.Clone()
	}
	if conf.ServerName == "" {
		conf.ServerName = strings.TrimSuffix(c.base.Host, ".")
	}
	if c.opts.TLS == Opportunistic || c.opts.TLS == Required {
		conf.InsecureSkipVerify = true
		if c.opts.TLS == Opportunistic && conf.MinVersion == 0 {
			conf.MinVersion = tls.VersionTLS10 // better than the plain text that would come instead (RFC 7435, section 3)
		}
	}
	return conf
}

// verify tells whether a certificate is valid for the host, where the handshake did not look at it.
func (c *Conn) verify(state tls.ConnectionState) error {
	if len(state.VerifiedChains) > 0 {
		return nil
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	opts := x509.VerifyOptions{DNSName: c.tlsConfig().ServerName, Intermediates: x509.NewCertPool()}
	if c.opts.TLSConf != nil {
		opts.Roots = c.opts.TLSConf.RootCAs
	}
	for _, cert := range state.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(opts)
	return err
}

// startTLS goes over to TLS if the mode asks for it (RFC 3207). What went wrong in the handshake itself is told by failed: the
// connection can't be used any more, and another without TLS may.
func (c *Conn) startTLS(ctx context.Context, mode TLSMode, start time.Time) (o *outcome.Outcome, failed bool) {
	must := mode == Required || mode == Verified
	if mode == NoTLS || mode == Implicit || !must && !c.ext.StartTLS {
		return nil, false
	}
	if !c.ext.StartTLS {
		return ref(c.lost(ctx, outcome.StartTLS, errNoStartTLS, start)), false
	}
	raw, err := c.command(ctx, []byte("STARTTLS\r\n"), c.times.Ehlo)
	if err != nil {
		return ref(c.lost(ctx, outcome.StartTLS, err, start)), false
	}
	if raw.code != 220 {
		if must || raw.code == 421 {
			return ref(c.said(outcome.StartTLS, raw.reply(), start)), false
		}
		return nil, false // RFC 3207, section 4: the client decides whether to go on
	}
	if c.in.buffered() > 0 {
		return ref(c.lost(ctx, outcome.StartTLS, errInjected, start)), false
	}
	if err := c.handshake(ctx); err != nil {
		return ref(c.lost(ctx, outcome.StartTLS, err, start)), true
	}
	return c.greet(ctx, start), false // RFC 3207, section 4.2: what was said before does not count
}

func ref(o outcome.Outcome) *outcome.Outcome { return &o }
