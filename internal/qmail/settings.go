package qmail

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"ukai/internal/smtpclient"
)

// Settings are those of the wrapper, as they stand in control/ukai: one "key=value" a line, # for a comment. The value goes on to
// the end of the line, blanks and all: it may be a password.
type Settings struct {
	Host     string // to=HOST:PORT, where ukai takes mail
	Port     uint16
	TLS      smtpclient.TLSMode // tls=none, opportunistic, required, verified, implicit
	Username string             // username=
	Password string             // password=

	Relay    bool   // mode=relay: ukai is asked alone
	Routes   string // routes=FILE: one domain a line, whose mail goes to ukai first
	Steer    bool   // mode=steer: with Live and no Routes, ukai is asked where a recipient's mail goes
	Live     string // live=ADDRESS of ukai's listener for lookups and evidence: HOST:PORT or the path of a socket
	Server   string // server=, this server's name in ukai
	Secret   string // secret=, with which evidence is believed
	Original string // original=FILE, qmail's own qmail-remote
}

// maxSettings is more than any such file has.
const maxSettings = 64 << 10

var tlsModes = map[string]smtpclient.TLSMode{
	"none": smtpclient.NoTLS, "opportunistic": smtpclient.Opportunistic, "required": smtpclient.Required,
	"verified": smtpclient.Verified, "implicit": smtpclient.Implicit,
}

// ReadSettings reads control/ukai.
func ReadSettings(path string) (*Settings, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSettings {
		return nil, fmt.Errorf("read %s: longer than %d octets", path, maxSettings)
	}
	s, err := ParseSettings(string(b))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// ParseSettings reads the text of control/ukai. A key that is not known is an error: half of what somebody wanted is not what
// they wanted.
func ParseSettings(text string) (*Settings, error) {
	s := &Settings{TLS: smtpclient.Opportunistic}
	for n, l := range strings.Split(text, "\n") {
		l = strings.TrimSuffix(l, "\r")
		if strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#") {
			continue
		}
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: key=value is expected", n+1)
		}
		if err := s.set(key, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if s.Host == "" {
		return nil, errors.New("no to=HOST:PORT")
	}
	return s, nil
}

func (s *Settings) set(key, value string) error {
	texts := map[string]*string{
		"username": &s.Username, "password": &s.Password, "routes": &s.Routes, "live": &s.Live, "server": &s.Server,
		"secret": &s.Secret, "original": &s.Original,
	}
	if at, ok := texts[key]; ok {
		*at = value
		return nil
	}
	switch key {
	case "to":
		host, port, err := net.SplitHostPort(value)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || host == "" || n == 0 {
			return fmt.Errorf("to=%s: HOST:PORT is expected", value)
		}
		s.Host, s.Port = host, uint16(n)
	case "tls":
		mode, ok := tlsModes[value]
		if !ok {
			return fmt.Errorf("tls=%s is not known", value)
		}
		s.TLS = mode
	case "mode":
		if value != "safety-net" && value != "steer" && value != "relay" {
			return fmt.Errorf("mode=%s is not known", value)
		}
		s.Relay, s.Steer = value == "relay", value == "steer"
	default:
		return fmt.Errorf("%q is not known", key)
	}
	return nil
}
