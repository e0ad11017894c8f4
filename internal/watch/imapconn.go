package watch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"ukai/internal/i18n"
)

// connectFor is how long a connection with its handshakes may take.
const connectFor = 30 * time.Second

// errPlain is the answer to settings that would send a password in the clear.
var errPlain = errors.New("without TLS a password is sent to this machine only")

// connect logs in. news gets a value when the server says that there is mail.
func (m *IMAP) connect(ctx context.Context, news chan<- struct{}) (*imapclient.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectFor)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(m.o.Host, strconv.Itoa(m.o.Port)))
	if err != nil {
		return nil, i18n.Errorf("watch.imap.connect", "host", m.o.Host, "cause", err)
	}
	c, err := m.secure(ctx, conn, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages == nil {
				return
			}
			select {
			case news <- struct{}{}:
			default:
			}
		},
	}})
	if err != nil {
		return nil, i18n.Errorf("watch.imap.tls", "host", m.o.Host, "cause", errors.Join(err, ignore(conn.Close())))
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.WaitGreeting(); err != nil {
		return nil, i18n.Errorf("watch.imap.connect", "host", m.o.Host, "cause", errors.Join(err, ignore(c.Close())))
	}
	if err := c.Login(m.o.Username, m.o.Password).Wait(); err != nil {
		return nil, i18n.Errorf("watch.imap.login", "host", m.o.Host, "user", m.o.Username, "cause", errors.Join(err, ignore(c.Close())))
	}
	return c, nil
}

// ignore is for what closing says after something worse has happened.
func ignore(error) error { return nil }

// secure makes a client of a connection, encrypted as the settings say.
func (m *IMAP) secure(ctx context.Context, conn net.Conn, o *imapclient.Options) (*imapclient.Client, error) {
	if m.o.TLS == IMAPPlain {
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return nil, errPlain
		}
		return imapclient.New(conn, o), nil
	}
	roots, err := authorities(m.o.CA)
	if err != nil {
		return nil, err
	}
	o.TLSConfig = &tls.Config{ServerName: m.o.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	if m.o.TLS == IMAPStartTLS {
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the client knows no context
		defer stop()
		return imapclient.NewStartTLS(conn, o)
	}
	o.TLSConfig.NextProtos = []string{"imap"}
	secured := tls.Client(conn, o.TLSConfig)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return imapclient.New(secured, o), nil
}

// authorities reads a file of certificates; nil, for none, are the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(file + " holds no certificate")
	}
	return pool, nil
}

// wait returns when there may be new mail.
func (s *imapSession) wait(ctx context.Context) error {
	if !s.c.Caps().Has(imap.CapIdle) {
		if !s.pause(ctx, s.o.Poll) {
			return nil
		}
		return s.c.Noop().Wait()
	}
	idle, err := s.c.Idle()
	if err != nil {
		return err
	}
	s.pause(ctx, idleFor)
	if err := idle.Close(); err != nil {
		return err
	}
	return idle.Wait()
}

// pause waits for a time, or until the server says that there is mail; false: ctx or the connection has ended.
func (s *imapSession) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.c.Closed():
		return false
	case <-s.news:
	case <-timer.C:
	}
	return true
}
