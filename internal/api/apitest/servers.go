package apitest

import (
	"net/netip"
	"testing"
	"time"

	"ukai/internal/account"
	"ukai/internal/api"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
	"ukai/internal/store"
	"ukai/internal/watch"
)

// openServers gives the inside books of servers and accounts, a gate and a door for agents.
func openServers(t testing.TB, x *Inside, db *store.DB) {
	t.Helper()
	book, err := servers.Open(t.Context(), db, servers.Options{Now: x.Clock})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := account.Open(t.Context(), db, account.Options{Now: x.Clock})
	if err != nil {
		t.Fatal(err)
	}
	x.Steering = &api.Steering{
		Servers: book, Accounts: accounts, Egress: func(addrs []netip.Addr) string {
			if len(addrs) > 0 {
				return ""
			}
			return "direct"
		},
		Gate: func(_ string, distant bool) (api.Gate, error) {
			if distant {
				return api.Gate{Host: "mail.example.jp", Port: 587, TLS: true, Account: true}, nil
			}
			return api.Gate{Host: "127.0.0.1", Port: 2525}, nil
		},
		Agents: func() api.AgentDoor {
			return api.AgentDoor{Hub: "mail.example.jp", Address: "mail.example.jp:8027", Fingerprint: "3f1c0d7a9be24c55a0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f506172"}
		},
		Take: func(watch.Witness, []watch.Told) {},
	}
}

// tellServers connects three servers: one on this machine whose path Google has shut, one elsewhere whose files were changed,
// one that was announced.
func tellServers(t testing.TB, x *Inside) {
	t.Helper()
	x.At(10 * time.Minute)
	for _, s := range []servers.Server{
		{Name: "web1", MTA: mtaconf.Postfix, Mode: mtaconf.Steer, Egress: "direct", Place: servers.Place{Dir: "/etc/postfix", Version: "3.7.11"},
			Logs: []string{"/var/log/mail.log"}, Routes: []mtaconf.RouteFile{{Path: "/etc/postfix/ukai_transport", Format: mtaconf.PostfixTransport}}},
		{Name: "web2", MTA: mtaconf.Qmail, Mode: mtaconf.SafetyNet, Account: "web2", Logs: []string{"/var/log/qmail/current"},
			Place: servers.Place{Host: "203.0.113.20", Dir: "/var/qmail", Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.20")}}},
		{Name: "web3", Account: "web3", Place: servers.Place{Host: "web3"}},
	} {
		if err := x.Steering.Servers.Add(t.Context(), s, "secret of "+s.Name); err != nil {
			t.Fatal(err)
		}
		if s.Account == "" {
			continue
		}
		if err := x.Steering.Accounts.Add(t.Context(), account.Account{Name: s.Account, Domains: []string{"*"}}, "secret of "+s.Name); err != nil {
			t.Fatal(err)
		}
	}
	x.Steering.Servers.Touch("web1", Now.Add(-3*time.Second))
	x.Steering.Servers.Touch("web2", Now.Add(-2*time.Hour))
	x.Steering.Servers.SetDrift("web1", servers.Drift{At: Now.Add(-time.Minute)})
	x.Steering.Servers.SetDrift("web2", servers.Drift{At: Now.Add(-2 * time.Hour), Files: []string{"/var/qmail/control/smtproutes"}})
}
