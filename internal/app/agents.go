package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"net"
	"path/filepath"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/i18n"
)

// bindAgents opens the door for agents on other machines, where the settings say so. Its certificate is one of its own, made once
// and pinned by every agent: no authority, no name and no expiry of somebody else's certificate stands between them and the hub.
func (a *App) bindAgents(ctx context.Context, cfg *config.Config) error {
	if cfg.Steer.Agents == "" {
		return nil
	}
	files := certFiles{cert: filepath.Join(a.certs.dir, "agents-cert.pem"), key: filepath.Join(a.certs.dir, "agents-key.pem")}
	if err := a.certs.selfSigned(files); err != nil {
		return err
	}
	conf, err := files.load()
	if err != nil {
		return err
	}
	conf.MinVersion = tls.VersionTLS13 // both ends are ukai
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", cfg.Steer.Agents)
	if err != nil {
		return i18n.Errorf("app.listen", "name", "agents", "address", cfg.Steer.Agents, "cause", err)
	}
	sum := sha256.Sum256(conf.Certificates[0].Certificate[0])
	a.mu.Lock()
	a.agents = agentListener{port: portOf(l.Addr()), fingerprint: hex.EncodeToString(sum[:])}
	a.mu.Unlock()
	a.doors.add("agents", tls.NewListener(l, conf), api.Agents(a.parts))
	// Scanners knock at every port; what they say is no trouble of ours.
	a.doors.all[len(a.doors.all)-1].http.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)
	return nil
}

// agentListener is what agents know the hub by.
type agentListener struct {
	port        string // empty: there is none
	fingerprint string // of the certificate, SHA-256 in hexadecimal digits
}

// agentDoor tells where agents ask: on the machine that mail is handed in at, whose name they can resolve.
func (a *App) agentDoor() api.AgentDoor {
	a.mu.Lock()
	cfg, at := a.cfg, a.agents
	a.mu.Unlock()
	if at.port == "" {
		return api.AgentDoor{Hub: cfg.Name()}
	}
	host := cfg.Name()
	if relay, _, err := net.SplitHostPort(cfg.Steer.Relay); err == nil {
		host = relay
	}
	return api.AgentDoor{Hub: cfg.Name(), Address: net.JoinHostPort(host, at.port), Fingerprint: at.fingerprint}
}

func portOf(a net.Addr) string {
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return ""
	}
	return port
}

// reloadAgents says what a reload cannot do.
func (a *App) reloadAgents(old, cfg *config.Config) {
	if old.Steer.Agents != cfg.Steer.Agents {
		a.log.Warn("the address for agents changes at a restart only")
	}
}
