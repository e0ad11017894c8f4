package postfix

import (
	"path"
	"slices"
	"strings"

	"ukai/internal/mtaconf"
)

// plugins warns where Postfix could not log in: its SMTP client does so by Cyrus SASL only (SASL_README), whose mechanisms are
// plugins that distributions package for themselves. Without PLAIN, each message for ukai is put off with "no mechanism
// available". It is a gap and no refusal: whoever has built Cyrus SASL himself may have them elsewhere, or within the library.
func (x *plan) plugins() {
	if !speaksPlain(x.sys) {
		x.gap("postfix.gap.sasl")
	}
}

// speaksPlain tells whether the mechanism PLAIN lies where distributions put it: below a directory for the architecture (Debian),
// in lib64 (Red Hat, SUSE), in lib (Arch, Alpine).
func speaksPlain(sys *mtaconf.System) bool {
	dirs := []string{"/usr/lib64/sasl2", "/usr/lib/sasl2", "/usr/local/lib/sasl2"}
	triplets, _ := sys.ReadDir("/usr/lib") // a directory that cannot be read shows no plugin
	for _, triplet := range triplets {
		dirs = append(dirs, path.Join("/usr/lib", triplet, "sasl2"))
	}
	return slices.ContainsFunc(dirs, func(dir string) bool {
		names, _ := sys.ReadDir(dir) // as above
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "libplain.so") })
	})
}
