package exim

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// tree makes a root with files.
func tree(t *testing.T, files map[string]string) *mtaconf.System {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &mtaconf.System{Root: root}
}

// wish is what most tests ask for.
func wish(mode mtaconf.Mode) mtaconf.Wish {
	return mtaconf.Wish{Mode: mode, Server: "web1", Peer: mtaconf.Peer{Host: "127.0.0.1", Port: 2525}}
}

// planFor plans for the one installation of a tree.
func planFor(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) *mtaconf.Plan {
	t.Helper()
	found, err := New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	p, err := New().Plan(sys, found[0], w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// text returns a file of a plan.
func text(t *testing.T, p *mtaconf.Plan, path string) string {
	t.Helper()
	for _, f := range p.Files {
		if f.Path == path {
			return string(f.Text)
		}
	}
	t.Fatalf("the plan has no %s", path)
	return ""
}

// added returns the lines that a plan adds to a file, and fails where it takes any away.
func added(t *testing.T, sys *mtaconf.System, p *mtaconf.Plan, path string) string {
	t.Helper()
	old, err := sys.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	was, is := split(string(old)), split(text(t, p, path))
	var more strings.Builder
	i := 0
	for _, line := range is {
		if i < len(was) && line == was[i] {
			i++
			continue
		}
		more.WriteString(line)
	}
	if i != len(was) {
		t.Fatalf("%s: line %d is changed or gone: %q", path, i+1, was[i])
	}
	return more.String()
}

// refusal returns the key of the refusal that planning ends with.
func refusal(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) string {
	t.Helper()
	found, err := New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	_, err = New().Plan(sys, found[0], w)
	var e *i18n.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v, want a refusal", err)
	}
	for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
		if s := e.Text(l); strings.ContainsAny(s, "{") && strings.Contains(s, "}") {
			t.Errorf("a value is missing in %q", s)
		}
	}
	return e.Key
}

const plainConf = `# The mail server of example.org.
primary_hostname = mail.example.org
domainlist local_domains = @ : example.org
local_interfaces = 192.0.2.10 : 127.0.0.1
daemon_smtp_ports = 25 : 587

begin acl

check_rcpt:
  accept

begin routers

# Partners are reached over their own line.
partners:
  driver = manualroute
  domains = partner.example
  transport = remote_smtp
  route_list = partner.example  gw.partner.example

# All others.
dnslookup:
  driver = dnslookup
  domains = ! +local_domains
  condition = ${if !eq{$acl_m_x}{1}}
  transport = remote_smtp
  ignore_target_hosts = 0.0.0.0 : 127.0.0.0/8
  no_more

localuser:
  driver = accept
  transport = local_delivery

begin transports

remote_smtp:
  driver = smtp
  # Each customer sends from an address of its own.
  interface = ${lookup{$sender_address_domain}lsearch{/etc/mailips}{$value}\
    {192.0.2.10}}
  dkim_domain = $sender_address_domain
  hosts_require_tls = +strict
  connect_timeout = 30s

local_delivery:
  driver = appendfile
  file = /var/mail/$local_part

begin retry

*  *  F,2h,15m; G,16h,1h,1.5; F,4d,6h

begin rewrite

begin authenticators
`

func TestAPlainConfigurationGetsALineHereAndThereAndLosesNone(t *testing.T) {
	sys := tree(t, map[string]string{"etc/exim/exim.conf": plainConf})
	p := planFor(t, sys, wish(""))
	if p.Mode != mtaconf.Steer || p.Alive != "127.0.0.1:25" || !slices.Equal(p.Logs, []string{"/var/log/exim/main.log"}) {
		t.Errorf("mode %s, alive %s, logs %s", p.Mode, p.Alive, p.Logs)
	}
	got := added(t, sys, p, "/etc/exim/exim.conf")
	for _, want := range []string{
		"ukai_dnslookup:\n", "  driver = manualroute\n", "  domains = ! +local_domains\n", "  condition = ${if !eq{$acl_m_x}{1}}\n",
		"  transport = ukai_remote_smtp\n", "ukai_remote_smtp:\n", "  dkim_domain = $sender_address_domain\n", "127.0.0.1  *  F,4d,1s\n",
		"  interface = ${if eqi{$host}{127.0.0.1}{}{${lookup{$sender_address_domain}lsearch{/etc/mailips}{$value}\\\n    {192.0.2.10}}}}\n",
		"  hosts_require_tls = ${if eqi{$host}{127.0.0.1}{}{+strict}}\n", "  connect_timeout = 2s\n", "  no_verify\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q stands there %d times, want once", want, strings.Count(got, want))
		}
	}
	for _, not := range []string{"no_more", "ignore_target_hosts", "connect_timeout = 30s", "partners", "# Each customer"} {
		if strings.Contains(got, not) {
			t.Errorf("%q does not belong there:\n%s", not, got)
		}
	}
	whole := text(t, p, "/etc/exim/exim.conf")
	if !(strings.Index(whole, "partners:") < strings.Index(whole, "ukai_dnslookup:") &&
		strings.Index(whole, "ukai_dnslookup:") < strings.Index(whole, "# All others.")) {
		t.Errorf("our router does not stand directly before the administrator's, comment included:\n%s", whole)
	}
	if len(p.Routes) != 1 || p.Routes[0].Format != mtaconf.EximHosts || p.Files[0].Path != p.Routes[0].Path || !p.Files[0].Moving {
		t.Errorf("routes %+v, files %+v", p.Routes, p.Files)
	}
}

func TestPlanningTwiceGivesTheSame(t *testing.T) {
	sys := tree(t, map[string]string{"etc/exim/exim.conf": plainConf})
	for _, mode := range New().Modes() {
		a, b := planFor(t, sys, wish(mode)), planFor(t, sys, wish(mode))
		if text(t, a, "/etc/exim/exim.conf") != text(t, b, "/etc/exim/exim.conf") {
			t.Errorf("%s: two plans differ", mode)
		}
	}
}

func TestLineEndsAreKept(t *testing.T) {
	dos := strings.ReplaceAll(plainConf, "\n", "\r\n")
	sys := tree(t, map[string]string{"etc/exim/exim.conf": dos})
	got := text(t, planFor(t, sys, wish(mtaconf.Steer)), "/etc/exim/exim.conf")
	if strings.Count(got, "\n") != strings.Count(got, "\r\n") || strings.Contains(got, "\r\r") {
		t.Errorf("lines with other ends were put in:\n%q", got)
	}
}

func TestWhatCannotBeConnectedIsRefusedWithTheReason(t *testing.T) {
	change := func(old, with string) string {
		if !strings.Contains(plainConf, old) {
			t.Fatalf("no %q to change", old)
		}
		return strings.Replace(plainConf, old, with, 1)
	}
	smarthost := "smarthost:\n  driver = manualroute\n  domains = ! +local_domains\n  transport = remote_smtp\n  route_list = * relay.example.net\n\n"
	clients := "begin authenticators\np:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^a^b\nl:\n  driver = plaintext\n" +
		"  public_name = login\n  client_send = : a : b\n"
	account := wish(mtaconf.Steer)
	account.Peer.Username, account.Peer.Password = "web1", "secret"
	strange := account
	strange.Peer.Password = "a$b"
	for name, c := range map[string]struct {
		conf string
		wish mtaconf.Wish
		want string
	}{
		"a smarthost before it":        {change("# All others.\n", smarthost), wish(mtaconf.Steer), "mtaconf.exim.error.smarthost"},
		"a smarthost in relay mode":    {change("# All others.\n", smarthost), wish(mtaconf.Relay), "mtaconf.exim.error.smarthost"},
		"nothing goes out":             {change("driver = dnslookup", "driver = accept"), wish(mtaconf.Steer), "mtaconf.exim.error.no_router"},
		"only copies go out":           {change("  no_more\n", "  unseen\n"), wish(mtaconf.Steer), "mtaconf.exim.error.unseen"},
		"a transport that is not SMTP": {change("driver = smtp", "driver = lmtp"), wish(mtaconf.Steer), "mtaconf.exim.error.transport"},
		"a transport of another kind":  {change("driver = smtp", "driver = smtp\n  protocol = lmtp"), wish(mtaconf.Steer), "mtaconf.exim.error.transport"},
		"no such transport":            {change("begin transports\n\nremote_smtp:", "begin transports\n\nother:"), wish(mtaconf.Steer), "mtaconf.exim.error.no_transport"},
		"a name of ours":               {change("localuser:", "ukai_dnslookup:"), wish(mtaconf.Steer), "mtaconf.exim.error.taken"},
		"an .ifdef without end":        {change("begin acl", ".ifdef X\nbegin acl"), wish(mtaconf.Steer), "mtaconf.exim.error.ifdef"},
		"a file that is not there":     {change("begin acl", ".include /etc/exim/more\nbegin acl"), wish(mtaconf.Steer), "mtaconf.exim.error.include"},
		"a file that includes itself":  {change("begin acl", ".include /etc/exim/exim.conf\nbegin acl"), wish(mtaconf.Steer), "mtaconf.exim.error.circle"},
		"no text":                      {"a\x00b", wish(mtaconf.Steer), "mtaconf.exim.error.strange"},
		"both mechanisms are taken":    {change("begin authenticators\n", clients), account, "mtaconf.exim.error.authenticators"},
		"a password that expands":      {plainConf, strange, "mtaconf.exim.error.password"},
		"a port with TLS at once": {plainConf, mtaconf.Wish{Mode: mtaconf.Steer, Peer: mtaconf.Peer{Host: "relay.example", Port: 465}},
			"mtaconf.exim.error.smtps"},
		"a condition that counts, and live lookups": {change("${if !eq{$acl_m_x}{1}}", "${perl{check_limits}}"),
			mtaconf.Wish{Mode: mtaconf.Steer, Server: "w", Live: "127.0.0.1:8026", Peer: wish("").Peer}, "mtaconf.exim.error.live_condition"},
		"no ukai":                  {plainConf, mtaconf.Wish{Mode: mtaconf.Steer}, "mtaconf.exim.error.peer"},
		"a mode that nobody has":   {plainConf, wish("detour"), "mtaconf.exim.error.mode"},
		"a socket that is no path": {plainConf, mtaconf.Wish{Mode: mtaconf.Steer, Peer: account.Peer, Live: "a b", Server: "w"}, "mtaconf.exim.error.live"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusal(t, tree(t, map[string]string{"etc/exim/exim.conf": c.conf}), c.wish); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestASmarthostForSomeMailOnlyIsNoSmarthost(t *testing.T) {
	for _, line := range []string{"  condition = ${if eq{$sender_address_domain}{x.example}}\n", "  senders = *@x.example\n", "  require_files = /etc/relay\n"} {
		conf := strings.Replace(plainConf, "# All others.\n", "some:\n  driver = manualroute\n"+line+"  transport = remote_smtp\n  route_list = * relay.example.net\n\n", 1)
		planFor(t, tree(t, map[string]string{"etc/exim/exim.conf": conf}), wish(mtaconf.Steer))
	}
}

func TestThePasswordLiesInAFileThatOnlyEximReads(t *testing.T) {
	sys := tree(t, map[string]string{"etc/exim/exim.conf": plainConf, "etc/group": "root:x:0:\nexim:x:93:\n"})
	w := wish(mtaconf.Relay)
	w.Peer = mtaconf.Peer{Host: "hub.example", Port: 587, Username: "web1", Password: "s^e:c", TLS: true}
	p := planFor(t, sys, w)
	conf := added(t, sys, p, "/etc/exim/exim.conf")
	for _, want := range []string{"  public_name = PLAIN\n", "  client_send = <;^web1^${sg{${readfile{/etc/exim/ukai/password}{}}}{\\N\\^\\N}{^^}}\n",
		"  client_condition = ${if or{{eqi{$host}{hub.example}}{eq{$host_port}{587}}}}\n", "  hosts_require_auth = *\n", "  hosts_require_tls = *\n",
		"  route_data = <;hub.example:587\n", "hub.example  *  F,4d,1s\n"} {
		if !strings.Contains(conf, want) {
			t.Errorf("%q is missing in\n%s", want, conf)
		}
	}
	if strings.Contains(conf, "s^e:c") || strings.Contains(conf, "interface") {
		t.Errorf("the password, or an address of a customer, stands in\n%s", conf)
	}
	f := p.Files[0]
	if f.Path != "/etc/exim/ukai/password" || !f.Secret || f.Perm != 0o640 || f.GID != 93 || string(f.Text) != "s^e:c\n" {
		t.Errorf("%+v %q", f, f.Text)
	}
}

func TestALiveLookupIsAskedInTheRouteWhereItMayFail(t *testing.T) {
	sys := tree(t, map[string]string{"etc/exim/exim.conf": plainConf})
	for live, socket := range map[string]string{"127.0.0.1:8026": "inet:127.0.0.1:8026", "/run/ukai/steer": "/run/ukai/steer"} {
		w := wish(mtaconf.Steer)
		w.Live = live
		p := planFor(t, sys, w)
		got := added(t, sys, p, "/etc/exim/exim.conf")
		_, route, _ := strings.Cut(got, "route_data = ")
		if !strings.Contains(route, `{!eq{${readsocket{`+socket+`}{exim web1 $local_part@$domain\n}{1s}{}{}}}{}}`) || strings.Contains(got, "  condition = ${if and") {
			t.Errorf("%s", got)
		}
		if len(p.Routes) != 1 || p.Answer == "" || len(p.Files) != 2 {
			t.Errorf("routes %v, answer %q, files %v", p.Routes, p.Answer, p.Files)
		}
	}
}

// FuzzPlan looks whether any configuration breaks the reader, and that no plan takes a line away from a file.
func FuzzPlan(f *testing.F) {
	for _, s := range []string{plainConf, hestia, panelConf, "begin routers\n.ifdef A\nx:\n.else\ny:\n.endif\n", "A=B\nB==A\\\n# c\n.endif\nx\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, conf string) {
		sys := &mtaconf.System{Root: t.TempDir(), Instead: map[string][]byte{"/etc/exim/exim.conf": []byte(conf)}}
		w := wish(mtaconf.SafetyNet)
		w.Peer.Username, w.Peer.Password = "web1", "secret"
		p, err := New().Plan(sys, mtaconf.Instance{MTA: mtaconf.Exim, Dir: "/etc/exim/exim.conf"}, w)
		if err != nil {
			return
		}
		whole := text(t, p, "/etc/exim/exim.conf")
		i := 0
		was := split(conf)
		for _, line := range split(whole) {
			if i < len(was) && strings.TrimRight(line, "\r\n") == strings.TrimRight(was[i], "\r\n") {
				i++
			}
		}
		if i != len(was) {
			t.Fatalf("line %d is gone: %q", i+1, was[i])
		}
	})
}

func TestNoRetryRuleIsWrittenForAnAddressThatNoneHoldsFor(t *testing.T) {
	sys := tree(t, map[string]string{"etc/exim/exim.conf": plainConf})
	w := wish(mtaconf.Steer)
	w.Peer.Host = "::1"
	p := planFor(t, sys, w)
	got := added(t, sys, p, "/etc/exim/exim.conf")
	if strings.Contains(got, "F,4d,1s") || !strings.Contains(got, "{<;[::1]:2525${if") || !strings.Contains(got, "${readsocket{inet:[::1]:2525}") {
		t.Errorf("%s", got)
	}
	if !slices.ContainsFunc(p.Gaps, func(n mtaconf.Note) bool { return n.Key == "mtaconf.exim.gap.ipv6" }) {
		t.Errorf("it is not said: %v", p.Gaps)
	}
}
