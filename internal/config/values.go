package config

import (
	"strconv"
	"strings"
	"time"

	"ukai/internal/i18n"
)

// Mode says whether ukai detours.
type Mode string

// The modes.
const (
	Act     Mode = "act"
	Observe Mode = "observe"
)

func (Mode) choices() []string { return []string{"act", "observe"} }

// Level is the least severity that is logged.
type Level string

func (Level) choices() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormat is how a line of the log looks.
type LogFormat string

func (LogFormat) choices() []string { return []string{"text", "json"} }

// ListenerTLS says how a listener uses TLS.
type ListenerTLS string

// The ways a listener uses TLS; ImplicitTLS is an egress's too.
const (
	NoTLS    ListenerTLS = "none"
	StartTLS ListenerTLS = "starttls"
	Implicit ListenerTLS = "implicit"
)

func (ListenerTLS) choices() []string { return []string{"none", "starttls", "implicit"} }

// EgressKind says how an egress reaches the receiver.
type EgressKind string

// The kinds of egress.
const (
	Direct    EgressKind = "direct"
	Smarthost EgressKind = "smarthost"
	SOCKS5    EgressKind = "socks5"
)

func (EgressKind) choices() []string { return []string{"direct", "smarthost", "socks5"} }

// EgressTLS says how an egress uses TLS: see smtpclient.TLSMode.
type EgressTLS string

// The ways an egress uses TLS.
const (
	Opportunistic EgressTLS = "opportunistic"
	Required      EgressTLS = "required"
	Verified      EgressTLS = "verified"
	ImplicitTLS   EgressTLS = "implicit"
	PlainText     EgressTLS = "none"
)

func (EgressTLS) choices() []string {
	return []string{"opportunistic", "required", "verified", "implicit", "none"}
}

// Auth says whether a listener offers AUTH. In the file it is false, true or "required".
type Auth string

// The values of Auth.
const (
	AuthOff      Auth = "false"
	AuthOffered  Auth = "true"
	AuthRequired Auth = "required"
)

// Secret is a text that is never shown.
type Secret string

// String returns stars: the same number for every secret, none for an empty one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "********"
}

// MarshalText keeps a secret out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const day = 24 * time.Hour

// units of time, largest first; only these may stand in the file.
var units = []struct {
	name string
	size time.Duration
}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// parseDuration reads "90s", "4h", "5d", "1h30m".
func parseDuration(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789.dhms") != "" { // no sign, no µs, no blanks
		return 0, false
	}
	var days time.Duration
	if n, rest, ok := strings.Cut(s, "d"); ok {
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || v > 36500 {
			return 0, false
		}
		days = time.Duration(v * float64(day))
		if rest == "" {
			return days, true
		}
		s = rest
	}
	d, err := time.ParseDuration(s)
	return days + d, err == nil
}

// formatDuration writes what parseDuration reads, in the largest units that are exact: "1h30m", "5d".
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range units {
		if n := int64(d / u.size); n > 0 {
			b.WriteString(strconv.FormatInt(n, 10) + u.name)
			d %= u.size
		}
	}
	return b.String()
}

// Size is a number of octets. In the file it is a text with a unit ("50MB" is 50,000,000, "50MiB" is 52,428,800) or a number.
type Size int64

var sizes = []struct {
	name string
	size Size
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// String returns the size in the unit in which it is shortest and exact.
func (s Size) String() string {
	if s == 0 {
		return "0B"
	}
	best := strconv.FormatInt(int64(s), 10) + "B"
	for _, u := range sizes {
		if s%u.size == 0 {
			if text := strconv.FormatInt(int64(s/u.size), 10) + u.name; len(text) < len(best) {
				best = text
			}
		}
	}
	return best
}

func parseSize(s string) (Size, bool) {
	for _, u := range sizes {
		n, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		if err != nil || v < 0 || v > int64(1<<62/u.size) {
			return 0, false
		}
		return Size(v) * u.size, true
	}
	return 0, false
}

// read takes a size as the file has it.
func (s *Size) read(n *node) *i18n.Error {
	if n.kind == intNode && n.num >= 0 {
		*s = Size(n.num)
		return nil
	}
	v, ok := parseSize(n.text)
	if n.kind != stringNode || !ok {
		return i18n.Errorf("config.value.size", "value", n.raw)
	}
	*s = v
	return nil
}

// read takes false, true or "required".
func (a *Auth) read(n *node) *i18n.Error {
	switch {
	case n.kind == boolNode:
		*a = Auth(n.raw)
	case n.kind == stringNode && n.text == string(AuthRequired):
		*a = AuthRequired
	default:
		return i18n.Errorf("config.value.auth", "value", n.raw, "hint", near(n.text, []string{string(AuthRequired)}))
	}
	return nil
}
