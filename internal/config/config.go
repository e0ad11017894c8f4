// Package config reads the one file of settings, ukai.toml, and says everything that is wrong with it at once.
//
// A relay is set up in a hurry, by somebody whose mail does not flow. A setting that is spelled wrong and silently ignored,
// or a list of mistakes that comes out one start at a time, costs that person the hour they do not have. Hence:
//
//   - unknown keys are mistakes, with the key that was probably meant;
//   - every mistake has its line and column, what was meant and what is allowed, in Japanese and in English;
//   - all of them are told together, from the spelling of a key to a pool that names an egress which is not there;
//   - without any file there is a relay for this machine: see Default.
//
// The file is read in three steps. parse makes a tree in which every key and value knows its place. bind lays the tree over
// the Config struct, whose toml and range tags are the only list of keys there is. check looks at what no single value
// shows: references, files, who may relay.
package config

import (
	"net/netip"
	"time"

	"ukai/internal/health"
)

// Config is what the file says, with defaults where it is silent. It is not changed after Load.
type Config struct {
	// Mode: "act" detours, "observe" sends everything the preferred way and records what it would have done. Default "act".
	Mode Mode `toml:"mode"`
	// Hostname stands in greetings, Received lines and reports, and in EHLO where an egress has no helo of its own. It should
	// be the name that the address's PTR record gives. Default: the name of the machine.
	Hostname string `toml:"hostname"`
	// Data is the directory of the queue, the database and the control socket. Default "ukai-data".
	Data string `toml:"data"`

	Log       Log               `toml:"log"`
	DNS       DNS               `toml:"dns"`
	HTTP      HTTP              `toml:"http"`
	Limits    Limits            `toml:"limits"`
	Queue     Queue             `toml:"queue"`
	Health    health.Thresholds `toml:"health"` // keys are the fields in lower case with underscores: block_count, probe_first, ...
	Classify  Rules             `toml:"classify"`
	Provider  Catalogue         `toml:"provider"`
	Listeners []Listener        `toml:"listener"`
	Egresses  []Egress          `toml:"egress"`
	Pools     []Pool            `toml:"pool"`
	DKIM      []DKIM            `toml:"dkim"`

	Reports     Reports     `toml:"reports"`
	Suppression Suppression `toml:"suppression"`
	Watch       Watch       `toml:"watch"`
	Notify      Notify      `toml:"notify"`
	Lists       Lists       `toml:"lists"`
	Steer       Steer       `toml:"steer"`
}

// Log says what is logged, to standard error.
type Log struct {
	// Level: "debug", "info", "warn" or "error". Default "info": one line per message and attempt.
	Level Level `toml:"level"`
	// Format: "text" or "json". Default "text".
	Format LogFormat `toml:"format"`
}

// DNS says whom ukai asks.
type DNS struct {
	// Servers are recursive name servers, by address with or without port, asked in this order. Default: /etc/resolv.conf.
	// A server of one's own is worth having: blocklists refuse to answer the public ones.
	Servers []string `toml:"servers"`
	// Timeout is how long one server has for one answer. Default 1.5 s.
	Timeout time.Duration `toml:"timeout" range:"100ms..30s"`
	// MaxTTL is how long an answer is kept at most. Default 1 h; less finds moved mail exchangers sooner.
	MaxTTL time.Duration `toml:"max_ttl" range:"1s..24h"`
	// AllowLoopback lets mail go to receivers whose address is this machine's own or reserved, which outside of tests means
	// that a domain's MX record is wrong. Default false.
	AllowLoopback bool `toml:"allow_loopback"`
}

// HTTP is the public door: /healthz and /metrics, nothing about messages.
type HTTP struct {
	// Listen is an address with port; empty: no HTTP. Default "127.0.0.1:8025".
	Listen string `toml:"listen"`
}

// Limits keep one client, or one message, from taking everything.
type Limits struct {
	// MessageSize is the largest message. Default 50 MB; most receivers take no more.
	MessageSize Size `toml:"message_size" range:"64KiB..2GiB"`
	// Line is the longest line of a message in octets, without its line end. Default 998 (RFC 5321, section 4.5.3.1.6). Raise it for
	// clients that write whole pages on one line; some receivers will then refuse their mail.
	Line int `toml:"line" range:"998..1000000"`
	// Recipients is the most recipients of one message. Default 1000 (RFC 5321, section 4.5.3.1.8 asks for 100 at least).
	Recipients int `toml:"recipients" range:"100..100000"`
	// Connections is how many clients are served at a time. Default 2000.
	Connections int `toml:"connections" range:"1..100000"`
	// ConnectionsPerClient is how many of them may come from one address (IPv6: one /64). Default 100.
	ConnectionsPerClient int `toml:"connections_per_client" range:"1..100000"`
	// ConnectionsPerMinute is how many connections one address may open per minute. Default 600.
	ConnectionsPerMinute int `toml:"connections_per_minute" range:"1..1000000"`
	// OutConnections is how many connections are open to one receiver over one egress, where neither the provider's row nor
	// the egress says less. Default 20.
	OutConnections int `toml:"out_connections" range:"1..1000"`
}

// Queue says how long and how often delivery is tried.
type Queue struct {
	// Retry are the waits after the first, second, ... failed attempt; the last one repeats. Default 1, 2, 5, 10, 20, 30 min, 1 h.
	Retry []time.Duration `toml:"retry" range:"10s..24h"`
	// Lifetime is when a message is given up and bounced. Default 5 d (RFC 5321, section 4.5.4.1 asks for at least 4 to 5 days).
	Lifetime time.Duration `toml:"lifetime" range:"1m..30d"`
	// DelayWarning is when the sender is told of a delay; "0s": never. Default 4 h.
	DelayWarning time.Duration `toml:"delay_warning" range:"0s..30d"`
	// MinFree is how much room the disk keeps: with less, mail is refused for the moment. Default 512 MiB.
	MinFree Size `toml:"min_free" range:"0B..1TiB"`
	// Keep is how long the journal remembers what became of a message. Default 30 d.
	Keep time.Duration `toml:"keep" range:"1h..3650d"`
}

// Rules are one's own rules that tell what a refusal means.
type Rules struct {
	// Dir is a directory of rule files (*.toml); its rules are asked before the built-in ones. Default: none.
	Dir string `toml:"dir"`
}

// Catalogue is one's own knowledge of mailbox providers.
type Catalogue struct {
	// File has rows that are added to the built-in ones, or replace them. Default: none.
	File string `toml:"file"`
}

// Listener is one address where mail is taken in.
type Listener struct {
	// Name stands in the log and in the journal, and is the name by which systemd hands over a socket. Default: the address.
	Name string `toml:"name"`
	// Address is an IP address with port; without the address (":25") all of the machine's. It has no default.
	Address string `toml:"address"`
	// TLS: "none", "starttls" or "implicit" (RFC 8314). Default: "starttls" with a certificate, else "none".
	TLS ListenerTLS `toml:"tls"`
	// Cert and Key are PEM files; Cert holds the whole chain.
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
	// ClientCA is a PEM file of authorities: a client with a certificate from one of them is the account that its name belongs to.
	ClientCA string `toml:"client_ca"`
	// ProxyProtocol are the load balancers that say on whose behalf they connect (PROXY protocol 1 and 2). What they say is
	// believed: the list must not be wider than they are.
	ProxyProtocol []netip.Prefix `toml:"proxy_protocol"`
	// Relay are the networks whose clients may send to anybody without a password. Default: nobody. Never the world.
	Relay []netip.Prefix `toml:"relay"`
	// Auth: false, true (accounts may send) or "required" (nobody else may). Default: true on a submission listener, else false.
	Auth Auth `toml:"auth"`
	// Submission makes the listener one for people's mail programs (RFC 6409): missing Date and Message-ID are added. Default false.
	Submission bool `toml:"submission"`
	// Reports lets anybody hand in mail for the bounce address here, and nothing else: see the table reports. Default false.
	Reports bool `toml:"reports"`
}

// Egress is one way out.
type Egress struct {
	Name string `toml:"name"`
	// Kind: "direct" from this machine, "smarthost" over a relay elsewhere, "socks5" over a proxy. Default "direct".
	Kind EgressKind `toml:"kind"`
	// Source are the addresses to send from, of this machine; one of each family at most is used. Default: the system chooses.
	Source []netip.Addr `toml:"source"`
	// Helo is the EHLO name. Default: hostname.
	Helo string `toml:"helo"`
	// Host and Port are those of the smarthost or the proxy. Port defaults to 587 (tls = "implicit": 465), of a proxy 1080.
	Host string `toml:"host"`
	Port int    `toml:"port" range:"1..65535"`
	// Username and Password are for the smarthost (SASL) or the proxy. A password may be "env:NAME", or stand in PasswordFile.
	Username     string `toml:"username"`
	Password     Secret `toml:"password"`
	PasswordFile string `toml:"password_file"`
	// TLS: "opportunistic", "required", "verified", "implicit" or "none". Default "verified" to a smarthost, else "opportunistic".
	TLS EgressTLS `toml:"tls"`
	// Providers are the only providers this egress is used for; SenderDomains the only sender domains it takes ("*.example.org"
	// covers subdomains). Default: all.
	Providers     []string `toml:"providers"`
	SenderDomains []string `toml:"sender_domains"`
	// WarmUp is how many messages each provider may get over this egress per day (UTC); BulkShare how many percent of them
	// may be bulk mail. Default: no limit, 50. For an address that receivers do not know yet.
	WarmUp    int `toml:"warm_up" range:"0..100000000"`
	BulkShare int `toml:"bulk_share" range:"1..100"`
	// MaxConnections is how many connections are open to one receiver over this egress. Default: limits.out_connections.
	MaxConnections int `toml:"max_connections" range:"1..1000"`
}

// Pool is an ordered group of egresses for some senders: first the preferred one, then the detours.
type Pool struct {
	Name string `toml:"name"`
	// Egresses are names, the preferred one first.
	Egresses []string `toml:"egresses"`
	// Senders are sender domains ("*.example.org" covers subdomains), Accounts names of accounts. A pool without either is for
	// everybody whom no other pool is for.
	Senders  []string `toml:"senders"`
	Accounts []string `toml:"accounts"`
}

// DKIM is a key that signs a domain's mail (RFC 6376), once, at acceptance.
type DKIM struct {
	Domain   string `toml:"domain"`
	Selector string `toml:"selector"`
	// Key is a PEM file: RSA of 2048 bits or more, or Ed25519.
	Key string `toml:"key"`
	// Subdomains lets the key sign for subdomains that have none of their own. Default false.
	Subdomains bool `toml:"subdomains"`
}
