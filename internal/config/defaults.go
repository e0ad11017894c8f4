package config

import (
	"net/netip"
	"os"
	"reflect"
	"time"
)

// Default is what holds where the file is silent, and without a file: a relay for this machine on 127.0.0.1:2525, HTTP on
// 127.0.0.1:8025, one direct egress. All defaults of the settings stand in this file, but for those of the thresholds,
// which package health knows.
func Default() *Config {
	c := base()
	c.settle()
	return c
}

// base is the part of the defaults that a file changes key by key.
func base() *Config {
	return &Config{
		Mode: Act,
		Data: "ukai-data",
		Log:  Log{Level: "info", Format: "text"},
		DNS:  DNS{Timeout: 1500 * time.Millisecond, MaxTTL: time.Hour},
		HTTP: HTTP{Listen: "127.0.0.1:8025"},
		Limits: Limits{
			MessageSize: 50_000_000, Line: 998, Recipients: 1000,
			Connections: 2000, ConnectionsPerClient: 100, ConnectionsPerMinute: 600, OutConnections: 20,
		},
		Queue: Queue{
			Retry: []time.Duration{
				time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour,
			},
			Lifetime: 5 * day, DelayWarning: 4 * time.Hour, MinFree: 512 << 20, Keep: 30 * day,
		},
		Reports: defaultReports(), Suppression: defaultSuppression(), Lists: defaultLists(), Notify: defaultNotify(), Steer: defaultSteer(),
	}
}

// settle fills in the defaults that hang on other settings.
func (c *Config) settle() {
	if c.Listeners == nil { // an empty list is not silence: it is a mistake
		c.Listeners = []Listener{defaultListener()}
	}
	for i := range c.Listeners {
		c.Listeners[i].settle()
	}
	if len(c.Egresses) == 0 {
		c.Egresses = []Egress{{Name: "direct"}}
	}
	for i := range c.Egresses {
		c.Egresses[i].settle(c.Limits.OutConnections)
	}
	c.Watch.settle()
	c.Notify.settle()
	if len(c.Pools) > 0 {
		return
	}
	all := Pool{Name: "default"}
	for _, e := range c.Egresses {
		all.Egresses = append(all.Egresses, e.Name)
	}
	c.Pools = []Pool{all}
}

func defaultListener() Listener {
	return Listener{
		Name: "smtp", Address: "127.0.0.1:2525",
		Relay: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
}

// DefaultListeners tells whether mail is taken in just where Default says.
func (c *Config) DefaultListeners() bool {
	l := defaultListener()
	l.settle()
	return len(c.Listeners) == 1 && reflect.DeepEqual(c.Listeners[0], l)
}

func (l *Listener) settle() {
	if l.Name == "" {
		l.Name = l.Address
	}
	if l.TLS == "" {
		l.TLS = NoTLS
		if l.Cert != "" {
			l.TLS = StartTLS
		}
	}
	if l.Auth == "" {
		l.Auth = AuthOff
		if l.Submission {
			l.Auth = AuthOffered
		}
	}
}

func (e *Egress) settle(connections int) {
	if e.Kind == "" {
		e.Kind = Direct
	}
	if e.TLS == "" {
		e.TLS = Opportunistic
		if e.Kind == Smarthost {
			e.TLS = Verified
		}
	}
	if e.Port == 0 {
		e.Port = e.defaultPort()
	}
	if e.BulkShare == 0 {
		e.BulkShare = 50
	}
	if e.MaxConnections == 0 {
		e.MaxConnections = connections
	}
}

func (e *Egress) defaultPort() int {
	switch {
	case e.Kind == SOCKS5:
		return 1080
	case e.Kind == Direct:
		return 25
	case e.TLS == ImplicitTLS:
		return 465
	}
	return 587
}

// Name returns the name that ukai goes by: the setting, else the machine's own.
func (c *Config) Name() string {
	if c.Hostname != "" {
		return c.Hostname
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
