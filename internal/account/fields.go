package account

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"ukai/internal/i18n"
)

// What a name may be made of. It appears in logs, in command lines and in configuration, so it is kept plain; an address is
// a good name.
const nameLetters = "abcdefghijklmnopqrstuvwxyz0123456789.-_+@"

// Lengths in octets. A longer password would only be work for whoever sends it.
const (
	maxName     = 128
	minPassword = 8
	maxPassword = 1024
)

// Name returns a name as the book has it, in lower case, or why it cannot be one.
func Name(name string) (string, error) {
	lower := strings.ToLower(name)
	if lower == "" || len(lower) > maxName || strings.ContainsFunc(lower, notNameLetter) || lower[0] == '-' {
		return "", i18n.Errorf("account.error.name", "name", name, "longest", maxName)
	}
	return lower, nil
}

func notNameLetter(r rune) bool { return !strings.ContainsRune(nameLetters, r) }

// Domains returns sender domains as the book has them: in lower case, sorted, each once; or which of them cannot be one.
func Domains(domains []string) ([]string, error) {
	out := make([]string, 0, len(domains))
	for _, d := range domains {
		lower := strings.ToLower(strings.TrimSpace(d))
		if lower != AnyDomain && !isDomain(strings.TrimPrefix(lower, "*.")) {
			return nil, i18n.Errorf("account.error.domain", "domain", d)
		}
		out = append(out, lower)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// isDomain tells whether s looks like a domain: labels of letters, digits, hyphens, underscores or UTF-8.
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r == utf8.RuneError || r < utf8.RuneSelf && r != '-' && r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
				return false
			}
		}
	}
	return true
}

// Fingerprint returns a SHA-256 fingerprint in 64 hexadecimal digits. It takes it as openssl and browsers show it, with colons or
// spaces, in either case; an empty one stays empty.
func Fingerprint(s string) (string, error) {
	plain := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
	if b, err := hex.DecodeString(plain); plain != "" && (err != nil || len(b) != 32) {
		return "", i18n.Errorf("account.error.fingerprint", "fingerprint", s)
	}
	return plain, nil
}

func checkLimits(l Limits) error {
	if l.MessagesPerHour < 0 || l.RecipientsPerDay < 0 {
		return i18n.Errorf("account.error.limit")
	}
	return nil
}

func joinDomains(domains []string) string { return strings.Join(domains, " ") }

func splitDomains(s string) []string { return strings.Fields(s) }

func joinNetworks(networks []netip.Prefix) string {
	texts := make([]string, len(networks))
	for i, n := range networks {
		texts[i] = n.Masked().String()
	}
	return strings.Join(texts, " ")
}

func splitNetworks(s string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for f := range strings.FieldsSeq(s) {
		p, err := netip.ParsePrefix(f)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
