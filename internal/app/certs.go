package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

// certificates holds the TLS configurations of listeners, by the files they come from, so that they can be read again.
type certificates struct {
	dir string

	mu  sync.Mutex // guards all
	all map[certFiles]*atomic.Pointer[tls.Config]
}

type certFiles struct{ cert, key, clientCA string }

func newCertificates(dataDir string) *certificates {
	return &certificates{dir: filepath.Join(dataDir, "tls"), all: make(map[certFiles]*atomic.Pointer[tls.Config])}
}

// source returns what a listener asks at each handshake. Without files of its own a listener gets a certificate that ukai signs itself.
func (c *certificates) source(l *config.Listener) (func() *tls.Config, error) {
	f := certFiles{l.Cert, l.Key, l.ClientCA}
	if f.cert == "" {
		f.cert, f.key = filepath.Join(c.dir, "cert.pem"), filepath.Join(c.dir, "key.pem")
		if err := c.selfSigned(f); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.all[f]
	if p == nil {
		t, err := f.load()
		if err != nil {
			return nil, err
		}
		p = new(atomic.Pointer[tls.Config])
		p.Store(t)
		c.all[f] = p
	}
	return p.Load, nil
}

// reload reads all files again; when one is unreadable, all stay as they were.
func (c *certificates) reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	loaded := make(map[certFiles]*tls.Config, len(c.all))
	for f := range c.all {
		t, err := f.load()
		if err != nil {
			return err
		}
		loaded[f] = t
	}
	for f, t := range loaded {
		c.all[f].Store(t)
	}
	return nil
}

func (f certFiles) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, i18n.Errorf("app.cert.read", "cert", f.cert, "key", f.key, "cause", err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if f.clientCA == "" {
		return t, nil
	}
	text, err := os.ReadFile(f.clientCA)
	if err != nil {
		return nil, i18n.Errorf("app.ca.read", "file", f.clientCA, "cause", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(text) {
		return nil, i18n.Errorf("app.ca.read", "file", f.clientCA, "cause", errors.New("no certificate in PEM form"))
	}
	t.ClientAuth = tls.VerifyClientCertIfGiven
	return t, nil
}

// selfSigned makes a certificate for this machine when there is none. Its name proves nothing, but it keeps passwords off the wire.
func (c *certificates) selfSigned(f certFiles) error {
	if _, err := os.Stat(f.cert); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "ukai on this machine"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(f.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
