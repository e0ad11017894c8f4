package config

import (
	"net"
	"strconv"

	"ukai/internal/i18n"
)

// Steer is about mail servers that stay: how they reach ukai.
type Steer struct {
	// Relay is where servers on other machines hand mail in: a name or address of this machine as they see it, with port. Default:
	// hostname, with the port of the first listener that takes accounts over TLS.
	Relay string `toml:"relay"`
	// Agents is the address where "ukai agent" of other machines is served (HTTPS, with a certificate of its own). Default: none.
	Agents string `toml:"agents"`
}

func (k *checker) steer() {
	s := &k.c.Steer
	if s.Agents != "" {
		k.address("steer.agents", s.Agents)
	}
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
