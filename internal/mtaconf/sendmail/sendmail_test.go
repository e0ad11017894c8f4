package sendmail

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

// cfText is the skeleton of a sendmail.cf as m4 makes it: the lines that ukai looks at, with their neighbours.
const cfText = `V10/Berkeley
# my official domain name
Dj$w.example.org

# "Smart" relay host (may be null)
DS

# Access list database (for spam stomping)
Kaccess hash -T<TMPF> /etc/mail/access

# Configuration version number
DZ8.17.1

O DaemonPortOptions=Name=MTA-v4, Family=inet, Addr=127.0.0.1, Port=smtp
O PidFile=/run/own.pid
#O RunAsUser=sendmail

SParse1
# handle virtual users
R$+			$: <!> $1

# pass names that still have a host to a smarthost (if defined)
R$* < @ $* > $*		$: $>MailerToTriple < $S > $1 < @ $2 > $3	glue on smarthost name

# deal with other remote names
R$* < @$* > $*		$#esmtp $@ $2 $: $1 < @ $2 > $3	user@host.domain

Sauthinfo
R$*		$: $1 $| $>D <$&{server_name}> <?> <! AuthInfo> <>
R$* $| <?>$*	$@ no				no authinfo available
R$* $| <$*> <>	$# $2

Mlocal,		P=/usr/bin/procmail, F=lsDFMAw5:/|@qSPfhn9, T=DNS/RFC822/X-Unix,
		A=procmail -Y -a $h -d $u
Mesmtp,		P=[IPC], F=mDFMuXa8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP/HdrFromSMTP, E=\r\n, L=990,
		T=DNS/RFC822/SMTP,
		A=TCP $h
Mrelay,		P=[IPC], F=mDFMuXa8, S=EnvFromSMTP/HdrFromSMTP, R=MasqSMTP, E=\r\n, L=2040,
		T=DNS/RFC822/SMTP,
		A=TCP $h

`

const mcText = "divert(-1)dnl\n# It isn't a smarthost that is needed here.\ndivert(0)dnl\ninclude(`/usr/share/sendmail-cf/m4/cf.m4')dnl\nOSTYPE(`linux')dnl\n" +
	"dnl define(`SMART_HOST', `old.example')dnl\ndefine(`confAUTH_OPTIONS',dnl the apostrophe in isn't ends nothing\n`A')dnl\nMAILER(`smtp')dnl\n"

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

func wish() mtaconf.Wish {
	return mtaconf.Wish{Server: "web1", Peer: mtaconf.Peer{Host: "127.0.0.1", Port: 2525}, Program: "/usr/bin/ukai"}
}

func planFor(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) (*mtaconf.Plan, error) {
	t.Helper()
	found, err := New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	return New().Plan(sys, found[0], w)
}

func mustPlan(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) *mtaconf.Plan {
	t.Helper()
	p, err := planFor(t, sys, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range slices.Concat(p.Found, p.Does, p.Gaps) {
		if s := i18n.Text(i18n.JA, n.Key, n.Args...); s == n.Key || strings.Contains(s, "{") {
			t.Errorf("%s: %q", n.Key, s)
		}
	}
	return p
}

// file returns a file of a plan; nil where it has none of that name.
func file(p *mtaconf.Plan, name string) *mtaconf.File {
	for i := range p.Files {
		if p.Files[i].Path == name {
			return &p.Files[i]
		}
	}
	return nil
}

// added returns the lines that are in after and not in before, which must be the only difference.
func added(t *testing.T, before, after string) []string {
	t.Helper()
	old, lines := strings.SplitAfter(before, "\n"), []string(nil)
	for line := range strings.Lines(after) {
		if len(old) > 0 && old[0] == line {
			old = old[1:]
			continue
		}
		lines = append(lines, line)
	}
	if len(old) > 1 || len(old) == 1 && old[0] != "" {
		t.Fatalf("lines of the operator are gone, from %q on, in\n%s", old[0], after)
	}
	return lines
}

func TestBothFilesGetTheSameLines(t *testing.T) {
	sys := tree(t, map[string]string{"etc/mail/sendmail.cf": cfText, "etc/mail/sendmail.mc": mcText})
	p := mustPlan(t, sys, wish())
	if p.Mode != mtaconf.Steer || p.Instance.Version != "8.17.1" {
		t.Errorf("%+v %q", p.Instance, p.Mode)
	}
	var names []string
	for _, f := range p.Files {
		names = append(names, f.Path)
	}
	if want := []string{domainsFile, "/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf"}; !slices.Equal(names, want) {
		t.Errorf("files in the order %q, want %q", names, want)
	}
	inCF := added(t, cfText, string(file(p, "/etc/mail/sendmail.cf").Text))
	inMC := added(t, mcText, string(file(p, "/etc/mail/sendmail.mc").Text))
	inMC = slices.DeleteFunc(inMC, func(l string) bool {
		return strings.HasPrefix(l, "dnl ") || slices.Contains([]string{"LOCAL_CONFIG\n", "LOCAL_NET_CONFIG\n", "MAILER_DEFINITIONS\n"}, l)
	})
	if !slices.Equal(inCF, inMC) {
		t.Errorf("sendmail.cf gets\n%ssendmail.mc gets\n%s", strings.Join(inCF, ""), strings.Join(inMC, ""))
	}
	for _, l := range inCF {
		if strings.ContainsAny(l, "`'") {
			t.Errorf("m4 takes quotes away: %q", l)
		}
	}
}

func TestTheLinesStandWhereM4WouldBringThem(t *testing.T) {
	text := string(file(mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": cfText}), wish()), "/etc/mail/sendmail.cf").Text)
	before := func(a, b string) {
		t.Helper()
		i, j := strings.Index(text, a), strings.Index(text, b)
		if i < 0 || j < 0 || i > j {
			t.Errorf("%q stands at %d, %q at %d", a, i, b, j)
		}
	}
	before("Kaccess", "Kukai text -o -k0 -v0 /etc/mail/ukai-domains\n")
	before("Kukai_note macro\n", "# Configuration version number")
	before("# handle virtual users", "$(ukai $1")
	before("$(ukai $1", "# pass names that still")
	before("Mrelay,", "Mukai,\t\tP=[IPC], F=mDFMuXa8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP/HdrFromSMTP, E=\\r\\n, L=990,\n\t\tT=DNS/RFC822/SMTP,\n\t\tA=TCP $h 2525\n")
}

func TestWhatIsAskedForDecidesTheLines(t *testing.T) {
	live, near, six, relay := wish(), wish(), wish(), wish()
	live.Live = "127.0.0.1:8026"
	near.Peer.Port = 25
	six.Peer.Host = "2001:db8::5"
	relay.Mode, relay.Program = mtaconf.Relay, ""
	safety := wish()
	safety.Mode = mtaconf.SafetyNet
	tests := []struct {
		name      string
		w         mtaconf.Wish
		has, lack []string
		routes    int
	}{
		{"a list is read at each lookup", wish(), []string{"Kukai text -o", "lookup --relay 127.0.0.1:2525 --deadline 2s"}, []string{"--to"}, 1},
		{"live, the program asks ukai", live, []string{"Kukai program -t /usr/bin/ukai lookup --to 127.0.0.1:8026 --map web1 --deadline 1s"}, []string{domainsFile}, 0},
		{"on port 25 the former route can stand behind", near, []string{"$#ukai $@ [127.0.0.1]:$2 $:", "A=TCP $h 25\n"}, nil, 1},
		{"on another port it cannot", wish(), []string{"$#ukai $@ [127.0.0.1] $:"}, []string{"]:$2"}, 1},
		{"an IPv6 address is written as in a domain literal", six, []string{"$@ [IPv6:2001:db8::5] $:", "--relay [2001:db8::5]:2525"}, nil, 1},
		{"the smarthost takes all", relay, []string{"R$* < @ $+ > $*\t\t$#ukai $@ [127.0.0.1] $: $1 < @ $2 > $3\n"}, []string{"Kukai"}, 0},
		{"a safety net is what steering can do", safety, []string{"Kukai text -o"}, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": cfText}), tt.w)
			lines := strings.Join(added(t, cfText, string(file(p, "/etc/mail/sendmail.cf").Text)), "")
			for _, s := range tt.has {
				if !strings.Contains(lines, s) {
					t.Errorf("%q is missing in\n%s", s, lines)
				}
			}
			for _, s := range tt.lack {
				if strings.Contains(lines, s) {
					t.Errorf("%q stands in\n%s", s, lines)
				}
			}
			if len(p.Routes) != tt.routes || tt.routes == 1 && (p.Routes[0].Format != mtaconf.DomainList || !file(p, domainsFile).Moving) {
				t.Errorf("routes: %+v", p.Routes)
			}
			if len(p.Gaps) == 0 {
				t.Error("no gap is named")
			}
		})
	}
}

func TestAPasswordIsKeptInAFileOfItsOwn(t *testing.T) {
	w := wish()
	w.Peer.Username, w.Peer.Password, w.Peer.TLS = "web1", `a"b`, true
	p := mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": cfText, "etc/mail/sendmail.mc": mcText, "usr/lib/aarch64-linux-gnu/sasl2/libplain.so.2": ""}), w)
	f := file(p, authFile)
	if f == nil || !f.Secret || f.Perm != 0o600 || string(f.Text) != "AuthInfo:127.0.0.1\t\"U:web1\" \"P=YSJi\" \"M:PLAIN\"\n" {
		t.Fatalf("%+v", f)
	}
	text := string(file(p, "/etc/mail/sendmail.cf").Text)
	if !strings.Contains(text, "Sauthinfo\nR$*\t\t$: <$(authinfo AuthInfo:$&{server_name} $: ? $)>\n") || strings.Contains(text, "<! AuthInfo>") ||
		!strings.Contains(text, "R<$*>\t\t$# $1\n\nMlocal") || strings.Contains(text, `a"b`) {
		t.Error(text)
	}
	if text := string(file(p, "/etc/mail/sendmail.mc").Text); !strings.Contains(text, "\ndefine(`_AUTHINFO_TABLE_', `')dnl\n") ||
		!strings.Contains(text, "\nKauthinfo text -o -k0 -v1 -z\\t "+authFile+"\n") {
		t.Error(text)
	}
}

func TestLineEndsStayAsTheyAre(t *testing.T) {
	crlf := strings.ReplaceAll(cfText, "\n", "\r\n")
	mc := strings.ReplaceAll(mcText, "\n", "\r\n")
	mc = mc[:len(mc)-2] // and the last line has none
	p := mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": crlf, "etc/mail/sendmail.mc": mc}), wish())
	for _, f := range p.Files[1:] {
		if n := strings.Count(string(f.Text), "\n"); n != strings.Count(string(f.Text), "\r\n") {
			t.Errorf("%s has other line ends", f.Path)
		}
	}
	added(t, crlf, string(file(p, "/etc/mail/sendmail.cf").Text))
	if text := string(file(p, "/etc/mail/sendmail.mc").Text); !strings.HasPrefix(text, mc+"\r\ndnl ukai") {
		t.Error(text)
	}
}

func TestAnEmptySourceIsNone(t *testing.T) {
	for _, mc := range []string{"", "dnl OSTYPE(`linux')\n", "# notes\n"} {
		p := mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": cfText, "etc/mail/sendmail.mc": mc}), wish())
		if file(p, "/etc/mail/sendmail.mc") != nil || p.Found[1].Key != "sendmail.found_no_source" {
			t.Errorf("%q: %+v", mc, p.Found)
		}
	}
}

func TestRoutesOfTheOperatorComeFirst(t *testing.T) {
	cf := strings.Replace(cfText, "Kaccess", "Kmailertable hash -o /etc/mail/mailertable.db\nKaccess", 1)
	const table = "# branch offices\noffice.example\tsmtp:[10.0.0.5]\n\n.lab.example  esmtp:[10.0.0.6]\n"
	p := mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": cf, "etc/mail/mailertable": table}), wish())
	if file(p, "/etc/mail/mailertable") != nil {
		t.Error("the mailertable is touched")
	}
	if n := p.Found[2]; n.Key != "sendmail.found_mailertable" || n.Args[3] != 2 {
		t.Errorf("%+v", n)
	}
}

func TestWhatCannotBeChangedSafelyIsRefused(t *testing.T) {
	change := func(old, text string) string {
		s := strings.Replace(cfText, old, text, 1)
		if s == cfText {
			t.Fatalf("%q is not in the skeleton", old)
		}
		return s
	}
	withAuth := wish()
	withAuth.Peer.Username = "web1"
	noProgram, blank := wish(), wish()
	noProgram.Program = ""
	blank.Program = "/opt/my programs/ukai"
	relay := wish()
	relay.Mode = mtaconf.Relay
	tests := []struct {
		name string
		cf   string
		more map[string]string
		w    mtaconf.Wish
		want string
	}{
		{"a smarthost", change("DS\n", "DSmail.isp.example\n"), nil, wish(), "sendmail.error.smarthost"},
		{"a smarthost in relay mode", change("DS\n", "DSesmtp:[mail.isp.example]\n"), nil, relay, "sendmail.error.smarthost"},
		{"a smarthost that is not built yet", cfText, map[string]string{"etc/mail/sendmail.mc": mcText + "define(`SMART_HOST', `relay:[mail.isp.example]')dnl\n"}, wish(), "sendmail.error.smarthost"},
		{"a mailertable for all", change("Kaccess", "Kmailertable hash /etc/mail/mailertable\nKaccess"), map[string]string{"etc/mail/mailertable": ".\tsmtp:[isp.example]\n"}, wish(), "sendmail.error.smarthost"},
		{"no rule for a smarthost", change("< $S >", "< $H >"), nil, wish(), "sendmail.error.unknown"},
		{"no esmtp", change("Mesmtp,", "Mother,"), nil, wish(), "sendmail.error.unknown"},
		{"esmtp over a program", change("A=TCP $h\nMrelay", "A=tunnel $h\nMrelay"), nil, wish(), "sendmail.error.mailer"},
		{"a mailer of that name", change("Mrelay,", "Mukai,"), nil, wish(), "sendmail.error.taken"},
		{"a map of that name", change("Kaccess", "K ukai hash /etc/mail/own\nKaccess"), nil, wish(), "sendmail.error.taken"},
		{"no program to ask with", cfText, nil, noProgram, "sendmail.error.program"},
		{"a path with a blank", cfText, nil, blank, "sendmail.error.blank"},
		{"passwords in a map", change("Kaccess", "Kauthinfo hash /etc/mail/authinfo\nKaccess"), nil, withAuth, "sendmail.error.authinfo"},
		{"passwords in the access map", cfText, map[string]string{"etc/mail/access": "Connect:10 RELAY\nAuthInfo:isp.example \"U:a\"\n"}, withAuth, "sendmail.error.authinfo"},
		{"a password nobody may read", change("#O RunAsUser", "O RunAsUser"), nil, withAuth, "sendmail.error.runas"},
		{"no mechanism for passwords", cfText, map[string]string{"usr/lib64/sasl2/libsasldb.so": ""}, withAuth, "sendmail.error.sasl"},
		{"no ruleset for passwords", change("Sauthinfo", "Sother"), nil, withAuth, "sendmail.error.unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"etc/mail/sendmail.cf": tt.cf}
			for n, s := range tt.more {
				files[n] = s
			}
			_, err := planFor(t, tree(t, files), tt.w)
			var said *i18n.Error
			if !errors.As(err, &said) || said.Key != tt.want || strings.Contains(said.Text(i18n.JA), "{") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestAMachineWithoutSendmailHasNoInstallation(t *testing.T) {
	if found, err := New().Find(tree(t, map[string]string{"etc/mail/submit.cf": cfText})); err != nil || len(found) != 0 {
		t.Errorf("%+v %v", found, err)
	}
	if found, err := New().Find(tree(t, map[string]string{"etc/sendmail.cf": cfText})); err != nil || len(found) != 1 || found[0].Dir != "/etc/sendmail.cf" {
		t.Errorf("%+v %v", found, err)
	}
}

func TestCommandsFitTheInstallation(t *testing.T) {
	p := mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": cfText, "usr/libexec/sendmail/sendmail": "", "usr/sbin/sendmail": "", "var/log/maillog": ""}), wish())
	if got := strings.Join(p.Check[0].Args, " "); got != "/usr/libexec/sendmail/sendmail -C/etc/mail/sendmail.cf -bt -d0.1" {
		t.Error(got)
	}
	if r := p.Reload[0].Args; r[len(r)-1] != "/run/own.pid" || p.Logs[0] != "/var/log/maillog" || p.Alive != "127.0.0.1:25" {
		t.Errorf("%q %q %q", r, p.Logs, p.Alive)
	}
	p = mustPlan(t, tree(t, map[string]string{"etc/mail/sendmail.cf": strings.Replace(cfText, "O PidFile", "#O PidFile", 1), "var/run/sendmail.pid": "1\n"}), wish())
	if r := p.Reload[0].Args; r[len(r)-1] != "/var/run/sendmail.pid" || p.Check[0].Args[0] != "/usr/sbin/sendmail" || p.Logs[0] != "/var/log/mail.log" {
		t.Errorf("%q %q %q", r, p.Check[0].Args, p.Logs)
	}
}

func TestWhereTheServerGreets(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string
	}{
		{"without an option", nil, "127.0.0.1:25"},
		{"on all addresses", []string{"Name=MTA"}, "127.0.0.1:25"},
		{"on a port with a name", []string{"Port=submission, Name=MSA, M=Ea"}, "127.0.0.1:587"},
		{"on an address", []string{"Family=inet,  Name=MTA-v4, Port=smtp, Addr=192.0.2.4"}, "192.0.2.4:25"},
		{"not where TLS comes first", []string{"Port=465, Name=TLS, M=s", "Port=2500, A=0.0.0.0"}, "127.0.0.1:2500"},
		{"not at a socket", []string{"Family=local, Addr=/run/s", "Family=inet6, Name=MTA-v6, Port=smtp"}, "[::1]:25"},
		{"on an IPv6 address", []string{"Family=inet6, Addr=IPv6:2001:db8::1"}, "[2001:db8::1]:25"},
		{"nowhere", []string{"Family=local, Addr=/run/s"}, ""},
	}
	for _, tt := range tests {
		if got := alive(tt.values); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzOnlyLinesAreAddedToAConfiguration(f *testing.F) {
	f.Add(cfText)
	f.Add(strings.ReplaceAll(cfText, "\n", "\r\n"))
	f.Add("O a\nR< $S >\nMesmtp, A=TCP $h")
	f.Fuzz(func(t *testing.T, text string) {
		c := parseCF("sendmail.cf", []byte(text))
		if c.rules < 0 || c.smtp == nil {
			return
		}
		s := &site{cf: c, wish: wish()}
		l, err := s.lines()
		if err != nil {
			return
		}
		out, err := c.with(l)
		if err != nil {
			return
		}
		var want []string
		for _, line := range slices.Concat(l.maps, l.rules, l.mailer) {
			want = append(want, line+c.eol)
		}
		whole := text
		if !strings.HasSuffix(text, "\n") && c.tail == len(c.text) { // something comes behind the last line
			whole += c.eol
		}
		got := added(t, whole, string(out))
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q became %q", text, out)
		}
	})
}

func FuzzTheLiveTextOfASource(f *testing.F) {
	f.Add(mcText)
	f.Add("dnl\ndnl")
	f.Add("`dnl'dnl x\ny")
	f.Fuzz(func(t *testing.T, text string) {
		out := live(text)
		if len(out) > len(text) || live(out) == "" && strings.TrimSpace(out) != "" && !strings.Contains(out, "dnl") {
			t.Errorf("%q became %q", text, out)
		}
	})
}
