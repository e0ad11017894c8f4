package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"ukai/internal/i18n"
)

// Steer is about mail servers that stay: how they reach ukai.
type Steer struct {
	// Relay is where servers on other machines hand mail in: a name or address of this machine as they see it, with port. Default:
	// hostname, with the port of the first listener that takes accounts over TLS.
	Relay string `toml:"relay"`
	// Agents is the address where "ukai agent" of other machines is served (HTTPS, with a certificate of its own). Default: none.
	Agents string `toml:"agents"`
	// Listen is where mail servers of this machine ask for each recipient: a loopback address with port, or the path of a unix
	// socket. Default: none. Servers that are steered by files need none.
	Listen string `toml:"listen"`
	// Group may use that socket, besides the user ukai runs as. Default: that user's own group.
	Group string `toml:"group"`
	// Server is whom questions are about that name no server (tcp_table). Default: the only server there is.
	Server string `toml:"server"`
	// Files are kept for the servers that are steered by files. Default true.
	Files bool `toml:"files"`
}

func defaultSteer() Steer { return Steer{Files: true} }

func (k *checker) steer() {
	s := &k.c.Steer
	if s.Agents != "" {
		k.address("steer.agents", s.Agents)
	}
	k.steerListen()
	if s.Relay == "" {
		return
	}
	host, port, err := net.SplitHostPort(s.Relay)
	if err != nil || host == "" {
		k.add("steer.relay", i18n.Errorf("config.check.steer_relay", "value", s.Relay))
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		k.add("steer.relay", i18n.Errorf("config.check.port", "value", port))
	}
}

// steerListen checks the address of live lookups. Whoever reaches it learns who is refused and could say what others met: it
// stays within the machine.
func (k *checker) steerListen() {
	s := &k.c.Steer
	path, socket := strings.CutPrefix(s.Listen, "unix:")
	switch {
	case s.Listen == "":
	case socket || strings.HasPrefix(path, "/"):
		const longest = 107 // of sun_path, unix(7)
		if !strings.HasPrefix(path, "/") || len(path) > longest {
			k.add("steer.listen", i18n.Errorf("config.check.steer_socket", "value", path, "longest", longest))
		}
		return
	default:
		if at, err := netip.ParseAddrPort(s.Listen); err == nil && !at.Addr().IsLoopback() {
			k.add("steer.listen", i18n.Errorf("config.check.steer_loopback", "value", s.Listen))
			break
		}
		if strings.HasPrefix(s.Listen, ":") {
			k.add("steer.listen", i18n.Errorf("config.check.steer_loopback", "value", s.Listen))
			break
		}
		k.address("steer.listen", s.Listen)
	}
	if s.Group != "" {
		k.add("steer.group", i18n.Errorf("config.check.steer_group", "value", s.Group))
	}
}
