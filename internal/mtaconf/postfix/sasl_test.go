package postfix

import (
	"slices"
	"testing"

	"ukai/internal/mtaconf"
)

func TestALoginWithoutTheMechanismForItIsAGap(t *testing.T) {
	for name, c := range map[string]struct {
		file, user string
		want       bool
	}{
		"no plugin":                   {"/usr/lib/x86_64-linux-gnu/sasl2/libsasldb.so.2", "web1", true},
		"no plugin, and no login":     {"/usr/lib/x86_64-linux-gnu/sasl2/libsasldb.so.2", "", false},
		"Debian's":                    {"/usr/lib/aarch64-linux-gnu/sasl2/libplain.so.2", "web1", false},
		"Red Hat's":                   {"/usr/lib64/sasl2/libplain.so.3", "web1", false},
		"Arch's":                      {"/usr/lib/sasl2/libplain.so", "web1", false},
		"one built on the machine":    {"/usr/local/lib/sasl2/libplain.so", "web1", false},
		"the library without plugins": {"/usr/lib/x86_64-linux-gnu/libsasl2.so.2", "web1", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := wish(mtaconf.SafetyNet)
			w.Peer.Username, w.Peer.Password = c.user, "s3cret"
			p, err := New().Plan(tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": "", c.file: ""}), here, w)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.ContainsFunc(p.Gaps, func(n mtaconf.Note) bool { return n.Key == "postfix.gap.sasl" }); got != c.want {
				t.Errorf("the gap is told: %v; gaps %v", got, p.Gaps)
			}
		})
	}
}
