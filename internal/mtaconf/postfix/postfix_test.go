package postfix

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// plainMaster is what Debian installs, as far as it matters.
const plainMaster = `smtp      inet  n       -       y       -       -       smtpd
rewrite   unix  -       -       y       -       -       trivial-rewrite
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
lmtp      unix  -       -       y       -       -       lmtp
`

// tree makes a root with a Postfix of a version and more files.
func tree(t *testing.T, version string, files map[string]string) *mtaconf.System {
	t.Helper()
	all := map[string]string{"/etc/postfix/main.cf": "", "/etc/postfix/master.cf": plainMaster, "/var/log/mail.log": "",
		"/etc/passwd": "root:x:0:0\nnobody:x:65534:65534\n", "/usr/bin/ukai": "", "/usr/lib/postfix/sbin/master": "\x7fELF\x00mail_version=" + version + "\x00"}
	for name, text := range files {
		all[name] = text
	}
	root := t.TempDir()
	for name, text := range all {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &mtaconf.System{Root: root}
}

var (
	here   = mtaconf.Instance{MTA: mtaconf.Postfix, Dir: "/etc/postfix"}
	atHome = mtaconf.Peer{Host: "127.0.0.1", Port: 2525}
)

func wish(mode mtaconf.Mode) mtaconf.Wish {
	return mtaconf.Wish{Mode: mode, Server: "web1", Peer: atHome, Program: "/usr/bin/ukai", Reply: []byte("/^550 x/ 450 x\n"), Status: []byte("/^5.7.1 x/ 4.7.1 x\n")}
}

// changed returns the text of a file of a plan.
func changed(p *mtaconf.Plan, path string) string {
	for _, f := range p.Files {
		if f.Path == path {
			return string(f.Text)
		}
	}
	return ""
}

// keys are the keys of notes.
func keys(notes []mtaconf.Note) string {
	var all []string
	for _, n := range notes {
		all = append(all, n.Key)
	}
	return strings.Join(all, " ")
}

func TestTheSafetyNetIsAFewLinesInMainCF(t *testing.T) {
	const main = "myhostname = mail.example\n# the end, without a line end: smtp_reply_filter = x\nmynetworks = 127.0.0.0/8\n  10.0.0.0/8"
	sys := tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": main})
	p, err := New().Plan(sys, here, wish(""))
	if err != nil {
		t.Fatal(err)
	}
	const want = main + `

# ukai: a message that is refused for the reputation of this address goes out over ukai, in the same attempt.
smtp_reply_filter = regexp:/etc/postfix/ukai_reply.regexp
smtp_fallback_relay = [127.0.0.1]:2527
smtp_mx_session_limit = 1
smtp_delivery_status_filter = regexp:/etc/postfix/ukai_status.regexp
`
	if got := changed(p, "/etc/postfix/main.cf"); got != want {
		t.Errorf("main.cf:\n%s", got)
	}
	if got, want := changed(p, "/etc/postfix/master.cf"), strings.Replace(plainMaster, "$service_name\n", "$service_name\n  -o smtp_fallback_relay=\n", 1)+`
# ukai: the way to ukai. Who comes by it goes on at once, or keeps the message, where ukai is down or hangs.
127.0.0.1:2527 inet n n n - 0 spawn
  -o command_time_limit=1h
  user=nobody argv=/usr/bin/ukai door --to 127.0.0.1:2525
`; got != want {
		t.Errorf("master.cf:\n%s", got)
	}
	if p.Files[len(p.Files)-1].Path != "/etc/postfix/main.cf" || p.Mode != mtaconf.SafetyNet || p.Alive != "127.0.0.1:25" ||
		len(p.Logs) != 1 || p.Logs[0] != "/var/log/mail.log" || p.Instance.Version != "3.7" {
		t.Errorf("%+v", p)
	}
	if strings.Join(p.Reload[0].Args, " ") != "/usr/sbin/postfix -c /etc/postfix reload" {
		t.Errorf("%+v", p.Reload)
	}
}

func TestALineThatIsThereEmptyIsChangedInItsPlace(t *testing.T) {
	sys := tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": "a = b\r\nsmtp_fallback_relay =\r\nsmtp_mx_session_limit=1\r\nc = d\r\n"})
	p, err := New().Plan(sys, here, wish(""))
	if err != nil {
		t.Fatal(err)
	}
	got := changed(p, "/etc/postfix/main.cf")
	if !strings.HasPrefix(got, "a = b\r\nsmtp_fallback_relay = [127.0.0.1]:2527\r\nsmtp_mx_session_limit=1\r\nc = d\r\n\r\n# ukai:") ||
		strings.Count(got, "\n") != strings.Count(got, "\r\n") || strings.Count(got, "session_limit") != 1 {
		t.Errorf("%q", got)
	}
}

// What stands in the way is refused with its name and value; nothing is overwritten.
func TestWhatWouldBeOverwrittenIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		main, master string
		files        map[string]string
		version      string
		modes        string // in which it is refused
		key          string
	}{
		"a smarthost":                          {main: "relayhost = [smart.example]:587", modes: "safety-net steer", key: "postfix.refuse.relayhost"},
		"a smarthost, for relay":               {main: "relayhost = [smart.example]:587", modes: "relay", key: "postfix.refuse.relayhost_relay"},
		"a smarthost by way of another name":   {main: "my_smart = smart.example\nrelayhost = ${my_smart?[$my_smart]}", modes: "safety-net steer", key: "postfix.refuse.relayhost"},
		"an own reply filter":                  {main: "smtp_reply_filter = pcre:/etc/x", modes: "safety-net steer", key: "postfix.refuse.own"},
		"an own fallback":                      {main: "fallback_relay = other.example", modes: "safety-net steer", key: "postfix.refuse.own"},
		"soft_bounce":                          {main: "soft_bounce = yes", modes: "safety-net steer", key: "postfix.refuse.soft_bounce"},
		"another default transport":            {main: "default_transport = uucp", modes: "safety-net steer relay", key: "postfix.refuse.default_transport"},
		"a default transport with a host":      {main: "default_transport = smtp:[smart.example]", modes: "safety-net steer relay", key: "postfix.refuse.default_transport"},
		"a service with a fallback of its own": {master: "  -o smtp_fallback_relay=[x]", modes: "safety-net steer", key: "postfix.refuse.override"},
		"a file that is somebody else's":       {files: map[string]string{"/etc/postfix/ukai_reply.regexp": "x"}, modes: "safety-net steer", key: "postfix.refuse.file"},
		"a service that is somebody else's":    {master: "\nukai unix - - - - - smtp", modes: "steer", key: "postfix.refuse.service"},
		"too old for the net":                  {version: "2.6.6", modes: "safety-net steer", key: "postfix.refuse.version"},
		"too old to steer":                     {version: "3.4.23", modes: "steer", key: "postfix.refuse.version"},
		"a filter behind the common service":   {main: "content_filter = smtp:[127.0.0.1]:10024", modes: "safety-net steer", key: "postfix.refuse.inner"},
		"a mail store behind the common service": {main: "transport_maps = hash:/etc/postfix/transport\nrelay_domains = our.example",
			files: map[string]string{"/etc/postfix/transport": "gmail.com smtp:\nour.example smtp:[store.example]\n"}, modes: "safety-net steer", key: "postfix.refuse.inner"},
		"a private host behind the common service": {main: "transport_maps = hash:/etc/postfix/transport",
			files: map[string]string{"/etc/postfix/transport": "# x\nour.example :[10.1.2.3]\n"}, modes: "safety-net steer", key: "postfix.refuse.inner"},
		"a line without sense":      {main: "relayhost", modes: "safety-net steer relay", key: "postfix.refuse.syntax"},
		"a beginning without sense": {main: "  relayhost = x", modes: "safety-net steer relay", key: "postfix.refuse.syntax"},
		"half a service":            {master: "\nsmtp unix - -", modes: "safety-net steer relay", key: "postfix.refuse.syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"/etc/postfix/main.cf": c.main + "\n", "/etc/postfix/master.cf": strings.Replace(plainMaster,
				"smtp      unix  -       -       y       -       -       smtp\n", "smtp      unix  -       -       y       -       -       smtp\n"+c.master+"\n", 1)}
			for k, v := range c.files {
				files[k] = v
			}
			if c.version == "" {
				c.version = "3.7.11"
			}
			sys := tree(t, c.version, files)
			for _, mode := range New().Modes() {
				_, err := New().Plan(sys, here, wish(mode))
				var refusal *i18n.Error
				want := strings.Contains(" "+c.modes+" ", " "+string(mode)+" ")
				if errors.As(err, &refusal) != want && !strings.HasPrefix(c.key, "postfix.refuse.relayhost") || want && refusal.Key != c.key {
					t.Errorf("%s: %v, want it refused: %v %s", mode, err, want, c.key)
				}
			}
		})
	}
}

// A service that hands mail to hosts of the operator's is taken out of the net; what the operator has said stays.
func TestServicesForTheOperatorsOwnHostsDoNotFallBack(t *testing.T) {
	master := plainMaster + `amavis unix - - n - 2 smtp
  -o smtp_data_done_timeout=1200
# a comment between
  -o disable_dns_lookups=yes
inner unix - - n - - smtp
quiet unix - - n - - smtp -o { smtp_fallback_relay = }
slow unix - - n - - smtp
ip1 unix - - n - - smtp -o smtp_bind_address=192.0.2.7
ip2 unix - - n - - smtp -o smtp_bind_address=192.0.2.8 -o smtp_mx_session_limit=3
`
	sys := tree(t, "3.7.11", map[string]string{"/etc/postfix/master.cf": master,
		"/etc/postfix/main.cf": `content_filter = amavis:[127.0.0.1]:10024
sender_dependent_default_transport_maps = hash:/etc/postfix/senders
transport_maps = hash:/etc/postfix/transport,
  mysql:/etc/postfix/db.cf
smtp_delivery_status_filter = pcre:/mine
virtual_transport = lmtp:unix:/x
smtp_mx_session_limit = 5
`, "/etc/postfix/transport": "docomo.ne.jp slow:\nour.example inner:[192.168.0.3]:25\ntheir.example quiet:[10.0.0.9]\n"})
	p, err := New().Plan(sys, here, wish(""))
	if err != nil {
		t.Fatal(err)
	}
	got := changed(p, "/etc/postfix/master.cf")
	const off = "  -o smtp_fallback_relay=\n"
	for _, want := range []string{"lookups=yes\n" + off + "inner unix - - n - - smtp\n" + off + "quiet", "$service_name\n" + off} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, off); n != 3 {
		t.Errorf("%d services are taken out, want 3:\n%s", n, got)
	}
	if g := keys(p.Gaps); !strings.Contains(g, "gap.opaque") || !strings.Contains(g, "gap.status_filter") || !strings.Contains(g, "gap.sessions") || strings.Count(g, "gap.override") != 2 {
		t.Errorf("gaps: %s", g)
	}
	if s := changed(p, "/etc/postfix/main.cf"); strings.Contains(s, "ukai_status") || !strings.Contains(s, "= 5\n") {
		t.Errorf("main.cf:\n%s", s)
	}
	if f := keys(p.Found); strings.Count(f, "postfix.found.bind") != 2 {
		t.Errorf("found: %s", f)
	}
}

func TestSteeringAddsATransportWithTheFormerRouteBehindUkai(t *testing.T) {
	sys := tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": "default_database_type = lmdb\ntransport_maps =\n  hash:/etc/postfix/transport  # not a comment\n"})
	w := wish(mtaconf.Steer)
	p, err := New().Plan(sys, here, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Routes) != 1 {
		t.Fatalf("%+v", p.Routes)
	}
	r := p.Routes[0]
	if r.Path != "/etc/postfix/ukai_transport" || r.Value != "ukai:[127.0.0.1]:2527, {domain}" || r.Format != mtaconf.PostfixTransport || p.Answer != r.Value ||
		strings.Join(r.Then.Args, " ") != "/usr/sbin/postmap -c /etc/postfix lmdb:/etc/postfix/ukai_transport" || p.Made[0] != "/etc/postfix/ukai_transport.lmdb" {
		t.Errorf("%+v, made %v", r, p.Made)
	}
	if s := changed(p, "/etc/postfix/main.cf"); !strings.Contains(s, "  hash:/etc/postfix/transport  # not a comment, lmdb:/etc/postfix/ukai_transport\n") {
		t.Errorf("main.cf:\n%s", s)
	}
	m, err := readMaster("master.cf", []byte(changed(p, "/etc/postfix/master.cf")))
	if err != nil {
		t.Fatal(err)
	}
	if v, smtp := m.client("ukai"); !smtp || v.chroot != "y" || len(v.options) != 1 || v.options["smtp_connection_cache_on_demand"] != "no" {
		t.Errorf("%+v", v)
	}
}

func TestLiveLookupsAreAskedByAProgramThatPostfixStarts(t *testing.T) {
	sys := tree(t, "3.7.11", nil)
	w := wish(mtaconf.Steer)
	w.Live = "127.0.0.1:8026"
	p, err := New().Plan(sys, here, w)
	if err != nil {
		t.Fatal(err)
	}
	if s := changed(p, "/etc/postfix/main.cf"); !strings.Contains(s, "\ntransport_maps = socketmap:unix:private/ukai-lookup:web1\n") {
		t.Errorf("main.cf:\n%s", s)
	}
	m, err := readMaster("master.cf", []byte(changed(p, "/etc/postfix/master.cf")))
	if err != nil {
		t.Fatal(err)
	}
	v := m.find("ukai-lookup")
	if v == nil || v.command != "spawn" || v.chroot != "n" || v.args != "user=nobody argv=/usr/bin/ukai lookup --to 127.0.0.1:8026" || len(p.Routes) > 0 {
		t.Errorf("%+v", v)
	}
	w.Program = ""
	if _, err := New().Plan(sys, here, w); err == nil {
		t.Error("a plan without a program")
	}
}

func TestALoginIsForTheRelayOnlyAndBehindWhatIsThere(t *testing.T) {
	w := wish(mtaconf.Relay)
	w.Peer = mtaconf.Peer{Host: "relay.example", Port: 587, Username: "web1", Password: "s3cret", TLS: true}
	sys := tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl\nsmtp_tls_policy_maps = hash:/etc/postfix/tls\n"})
	p, err := New().Plan(sys, here, w)
	if err != nil {
		t.Fatal(err)
	}
	const want = `smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:/etc/postfix/sasl, texthash:/etc/postfix/ukai_password
smtp_tls_policy_maps = hash:/etc/postfix/tls, texthash:/etc/postfix/ukai_tls

# ukai: all remote mail goes out over ukai.
relayhost = [relay.example]:587
smtp_sasl_tls_security_options = noanonymous
`
	if got := changed(p, "/etc/postfix/main.cf"); got != want {
		t.Errorf("main.cf:\n%s", got)
	}
	if s := changed(p, "/etc/postfix/ukai_password"); !strings.HasSuffix(s, "\n[relay.example]:587 web1:s3cret\n") {
		t.Errorf("%q", s)
	}
	if s := changed(p, "/etc/postfix/ukai_tls"); !strings.HasSuffix(s, "\n[relay.example]:587 encrypt\n") {
		t.Errorf("%q", s)
	}
	for _, f := range p.Files {
		if strings.Contains(string(f.Text), "s3cret") && (!f.Secret || f.Perm != 0o600) {
			t.Errorf("%s holds the password openly", f.Path)
		}
	}
	for name, main := range map[string]string{
		"passwords that are switched off": "smtp_sasl_password_maps = hash:/x", "plain text forbidden": "smtp_sasl_tls_security_options = noplaintext",
	} {
		sys := tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": main + "\n"})
		if _, err := New().Plan(sys, here, w); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

func TestInstancesAreThoseThatAreSwitchedOn(t *testing.T) {
	sys := tree(t, "3.8.1", map[string]string{
		"/etc/postfix/main.cf":     "multi_instance_directories = /etc/postfix-a, /etc/postfix-b /etc/postfix-none",
		"/etc/postfix-a/main.cf":   "multi_instance_name = postfix-alpha\nmulti_instance_enable = yes\n",
		"/etc/postfix-a/master.cf": plainMaster, "/etc/postfix-b/main.cf": "", "/etc/postfix-b/master.cf": plainMaster,
	})
	all, err := New().Find(sys)
	if err != nil || len(all) != 2 || all[0].Dir != "/etc/postfix" || all[0].Version != "3.8" || all[1].Dir != "/etc/postfix-a" || all[1].Name != "postfix-alpha" {
		t.Errorf("%+v %v", all, err)
	}
	p, err := New().Plan(sys, all[1], wish(""))
	if err != nil || p.Reload[0].Args[2] != "/etc/postfix-a" || changed(p, "/etc/postfix-a/ukai_reply.regexp") == "" {
		t.Errorf("%+v %v", p, err)
	}
	if all, err := New().Find(&mtaconf.System{Root: t.TempDir()}); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}
