package plesk

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

const mainCF = `# Plesk
compatibility_level = 2
myhostname = vps.example.com
alias_maps = hash:/etc/aliases, hash:/var/spool/postfix/plesk/aliases
mydestination = localhost.example.com, localhost, localhost.localdomain
mynetworks =
virtual_mailbox_domains = $virtual_mailbox_maps, hash:/var/spool/postfix/plesk/virtual_domains
virtual_alias_maps = $virtual_maps, hash:/var/spool/postfix/plesk/virtual
virtual_mailbox_maps = , hash:/var/spool/postfix/plesk/vmailbox
transport_maps = , hash:/var/spool/postfix/plesk/transport
smtpd_sender_restrictions = check_sender_access hash:/var/spool/postfix/plesk/blacklists, permit_sasl_authenticated
smtp_send_xforward_command = yes
virtual_mailbox_base = /var/qmail/mailnames
sender_dependent_default_transport_maps = hash:/var/spool/postfix/plesk/sdd_transport_maps
virtual_transport = plesk_virtual
plesk_virtual_destination_recipient_limit = 1
smtpd_milters = , inet:127.0.0.1:12768
`

const masterCF = `smtp inet n - n - - smtpd
pickup fifo n - n 60 1 pickup -o content_filter=smtp:127.0.0.1:10027
cleanup unix n - n - 0 cleanup
qmgr fifo n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp -o smtp_fallback_relay=
plesk_virtual unix - n n - - pipe flags=DORhu user=popuser:popuser argv=/usr/lib64/plesk-9.0/postfix-local -f ${sender} -d ${recipient} -p /var/qmail/mailnames
mailman unix - n n - - pipe flags=R user=mailman:mailman argv=/usr/lib64/plesk-9.0/postfix-mailman ${nexthop} ${user} ${recipient}
plesk_saslauthd unix y y y - 1 plesk_saslauthd status=5 listen=6 dbpath=/plesk/passwd.db
plesk-192.0.2.10- unix - n n - - smtp -o smtp_bind_address=192.0.2.10 -o smtp_bind_address6= -o smtp_address_preference=ipv4
plesk-example.net-192.0.2.11- unix - n n - - smtp
    -o smtp_bind_address=192.0.2.11 -o smtp_bind_address6=2001:db8::11 -o smtp_helo_name=example.net
`

func withPostfix() map[string]string {
	return map[string]string{
		"etc/psa/psa.conf":           "# Plesk\nPRODUCT_ROOT_D\t/opt/psa\nPLESK_MAILNAMES_D /var/qmail/mailnames\n",
		"opt/psa/version":            "18.0.61 Debian 12.0 1800240501.16\n",
		"usr/sbin/postfix":           "\x7fELF",
		"etc/postfix/main.cf":        mainCF,
		"etc/postfix/master.cf":      strings.Replace(masterCF, " -o content_filter=smtp:127.0.0.1:10027", "", 1),
		"etc/postfix/dynamicmaps.cf": "",
		"var/qmail/mailnames/.k":     "",
	}
}

func withQmail() map[string]string {
	return map[string]string{
		"usr/local/psa/version":            "12.5.30 CentOS 6 1205150826.19\n",
		"etc/passwd":                       "qmailr:x:2523:2520::/var/qmail/:/sbin/nologin\n",
		"etc/postfix/main.cf":              mainCF, // left by the package that was taken off
		"etc/postfix/master.cf":            masterCF,
		"var/qmail/control/me":             "vps.example.com\n",
		"var/qmail/bin/qmail-send":         "\x7fELF",
		"var/qmail/bin/qmail-remote":       "\x7fELF\x00/var/qmail/bin/qmail-remote.moved\x00",
		"var/qmail/bin/qmail-remote.moved": "\x7fELF inner",
	}
}

func tree(t *testing.T, files map[string]string) *mtaconf.System {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		full := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return &mtaconf.System{Root: root}
}

func without(files map[string]string, names ...string) map[string]string {
	all := maps.Clone(files)
	for _, n := range names {
		delete(all, n)
	}
	return all
}

var wish = mtaconf.Wish{
	Server: "web1", Peer: mtaconf.Peer{Host: "127.0.0.1", Port: 2525}, Program: "/usr/bin/ukai",
	Reply: []byte("/^550( 5\\.7\\.1 )/ 450$1\n"), Status: []byte("/^5(\\.7\\.1 )/ 4$1\n"),
}

func TestPleskIsFoundWithTheServerThatItRuns(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"Postfix":          {withPostfix(), "plesk /etc/postfix 18.0.61"},
		"qmail":            {withQmail(), "plesk /var/qmail 12.5.30"},
		"no psa.conf":      {without(withPostfix(), "etc/psa/psa.conf"), "plesk /etc/postfix 18.0.61"},
		"no mail server":   {without(withPostfix(), "usr/sbin/postfix"), "plesk /opt/psa 18.0.61"},
		"Postfix alone":    {without(withPostfix(), "opt/psa/version"), ""},
		"an empty machine": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := New().Find(tree(t, c.files))
			got := ""
			for _, i := range found {
				got += fmt.Sprint(i.MTA, " ", i.Dir, " ", i.Version)
			}
			if err != nil || got != c.want {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}

func plan(t *testing.T, files map[string]string, mode mtaconf.Mode) (*mtaconf.Plan, error) {
	t.Helper()
	sys := tree(t, files)
	found, err := New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	w := wish
	w.Mode = mode
	return New().Plan(sys, found[0], w)
}

func TestWhatPleskWritesIsLeftAlone(t *testing.T) {
	for _, mode := range []mtaconf.Mode{"", mtaconf.Steer} {
		p, err := plan(t, withPostfix(), mode)
		if err != nil {
			t.Fatal(err)
		}
		if p.Instance.MTA != mtaconf.Plesk {
			t.Errorf("%+v", p.Instance)
		}
		before := withPostfix()
		for _, f := range p.Files {
			if strings.HasPrefix(f.Path, "/var/spool/postfix/plesk/") {
				t.Errorf("%s is Plesk's", f.Path)
			}
			// Each line that stood there still does, but for those of lists that ukai adds to.
			for l := range strings.Lines(before[strings.TrimPrefix(f.Path, "/")]) {
				if !strings.Contains(string(f.Text), strings.TrimSpace(l)) && !strings.HasPrefix(l, "transport_maps") {
					t.Errorf("%s: mode %q: %q is gone", f.Path, mode, l)
				}
			}
		}
		if got := fmt.Sprint(p.Found); !strings.Contains(got, "192.0.2.10, 192.0.2.11, 2001:db8::11") {
			t.Errorf("found %s", got)
		}
		for _, n := range slices.Concat(p.Found, p.Does, p.Gaps) {
			for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
				if text := i18n.Text(l, n.Key, n.Args...); strings.Contains(text, "{") || text == n.Key {
					t.Errorf("%s: %s", n.Key, text)
				}
			}
		}
	}
}

func TestPlesksQmailGetsTheWrapperBelowItsHandlers(t *testing.T) {
	p, err := plan(t, withQmail(), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range p.Files {
		names = append(names, f.Path)
	}
	if want := []string{"/var/qmail/bin/qmail-remote.moved.ukai-original", "/var/qmail/control/ukai", "/var/qmail/bin/qmail-remote.moved"}; !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

func TestAPleskWithoutAMailServerIsRefused(t *testing.T) {
	_, err := plan(t, without(withPostfix(), "usr/sbin/postfix"), "")
	var refusal *i18n.Error
	if !errors.As(err, &refusal) || refusal.Key != "mtaconf.plesk.none" {
		t.Errorf("%v", err)
	}
}
