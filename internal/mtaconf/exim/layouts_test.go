package exim

import (
	"slices"
	"strings"
	"testing"

	"ukai/internal/mtaconf"
)

// debianTree is what Debian's packages bring along, as far as mail for elsewhere is concerned, in files of our own words.
func debianTree(split, kind string) map[string]string {
	routers := `.ifdef DCconfig_internet
relayed:
  driver = dnslookup
  domains = ! +local_domains : +relay_to_domains
  transport = remote_smtp
  no_more

.ifndef IGNORED
IGNORED = <; 0.0.0.0 ; 127.0.0.0/8
.endif

dnslookup:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote_smtp
  ignore_target_hosts = IGNORED
  no_more
.endif

.ifdef DCconfig_smarthost DCconfig_satellite
smarthost:
  driver = manualroute
  domains = ! +local_domains
  transport = remote_smtp
  route_list = * DCsmarthost byname
  no_more
.endif
`
	hubs := "hubbed:\n  driver = manualroute\n  domains = \"${if exists{/etc/exim4/hubbed_hosts}{partial-lsearch;/etc/exim4/hubbed_hosts}fail}\"\n" +
		"  route_data = ${lookup{$domain}partial-lsearch{/etc/exim4/hubbed_hosts}}\n  transport = remote_smtp\n\n"
	main := "UPEX4CmacrosUPEX4C = 1\n.ifdef MAIN_LOCAL_INTERFACES\nlocal_interfaces = MAIN_LOCAL_INTERFACES\n.endif\n" +
		"domainlist local_domains = @\ndomainlist relay_to_domains =\n"
	transports := "remote_smtp:\n  driver = smtp\n.ifdef DKIM_DOMAIN\ndkim_domain = DKIM_DOMAIN\n.endif\n.ifdef OUT\n  interface = OUT\n.endif\n\n"
	retry := "*  *  F,2h,15m; G,16h,1h,1.5; F,4d,6h\n"
	auth := "plain:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^${lookup{$host}nwildlsearch{CONFDIR/passwd.client}{$value}fail}\n" +
		"login:\n  driver = plaintext\n  public_name = LOGIN\n  client_send = ; ${lookup{$host}nwildlsearch{CONFDIR/passwd.client}{$value}fail}\n"
	return map[string]string{
		"etc/exim4/update-exim4.conf.conf": "# settings\ndc_eximconfig_configtype='" + kind + "'\ndc_local_interfaces='127.0.0.1 ; ::1'\n" +
			"dc_smarthost='mail.isp.example::587'\ndc_use_split_config='" + split + "'\nCFILEMODE='644'\n",
		"etc/exim4/passwd.client": "# target:login:password\n*.isp.example:me:mine\n",
		"etc/group":               "Debian-exim:x:114:\n",
		"etc/exim4/exim4.conf.template": main + "begin routers\n\n" + hubs + routers + "\nbegin transports\n\n" + transports + "begin retry\n\n" + retry +
			"begin authenticators\n\n" + auth,
		"etc/exim4/conf.d/main/01_main":        main,
		"etc/exim4/conf.d/router/00_header":    "begin routers\n\n",
		"etc/exim4/conf.d/router/150_hubs":     hubs,
		"etc/exim4/conf.d/router/200_primary":  routers,
		"etc/exim4/conf.d/router/mmm.dpkg-old": "broken",
		"etc/exim4/conf.d/transport/00_header": "begin transports\n\n",
		"etc/exim4/conf.d/transport/30_remote": transports,
		"etc/exim4/conf.d/retry/00_header":     "begin retry\n\n",
		"etc/exim4/conf.d/retry/30_rules":      retry,
		"etc/exim4/conf.d/auth/00_header":      "begin authenticators\n\n",
		"etc/exim4/conf.d/auth/30_clients":     auth,
	}
}

func TestDebiansManyFilesGetFilesOfOurOwnAndStayUntouched(t *testing.T) {
	sys := tree(t, debianTree("true", "internet"))
	p := planFor(t, sys, wish(mtaconf.Steer))
	var paths []string
	for _, f := range p.Files {
		paths = append(paths, f.Path)
	}
	want := []string{"/etc/exim4/ukai/blocked-mx", "/etc/exim4/conf.d/router/199_ukai", "/etc/exim4/conf.d/transport/30_ukai", "/etc/exim4/conf.d/retry/10_ukai"}
	if !slices.Equal(paths, want) {
		t.Errorf("files %q, want %q", paths, want)
	}
	routers := text(t, p, "/etc/exim4/conf.d/router/199_ukai")
	if !strings.HasPrefix(routers, ".ifdef DCconfig_internet\n") || !strings.HasSuffix(routers, "\n.endif\n") ||
		strings.Index(routers, "ukai_relayed:") > strings.Index(routers, "ukai_dnslookup:") || strings.Contains(routers, "IGNORED") {
		t.Errorf("routers:\n%s", routers)
	}
	if got := text(t, p, "/etc/exim4/conf.d/transport/30_ukai"); strings.Count(got, "ukai_remote_smtp:") != 1 || strings.Contains(got, "OUT") {
		t.Errorf("transports:\n%s", got)
	}
	if p.Alive != "127.0.0.1:25" || p.Prepare[0].Args[0] != "/usr/sbin/update-exim4.conf" || p.Logs[0] != "/var/log/exim4/mainlog" {
		t.Errorf("%+v", p)
	}
}

func TestDebiansRouterThatNeedsWhatItsFileDefinesIsPrecededInThatFile(t *testing.T) {
	files := debianTree("true", "internet")
	const primary = "etc/exim4/conf.d/router/200_primary"
	files[primary] = strings.Replace(files[primary], "  ignore_target_hosts = IGNORED\n", "  local_parts = ! IGNORED\n", 1)
	sys := tree(t, files)
	p := planFor(t, sys, wish(mtaconf.Steer))
	if got := added(t, sys, p, "/"+primary); !strings.Contains(got, "ukai_dnslookup:") || strings.Contains(got, "ukai_relayed:") {
		t.Errorf("%s", got)
	}
}

func TestDebiansOneFileIsChangedInPlace(t *testing.T) {
	sys := tree(t, debianTree("false", "internet"))
	p := planFor(t, sys, wish(mtaconf.SafetyNet))
	got := added(t, sys, p, "/etc/exim4/exim4.conf.template")
	for _, want := range []string{"ukai_relayed:", "ukai_dnslookup:", "ukai_remote_smtp:", "dkim_domain = DKIM_DOMAIN\n", "!first_delivery", "F,4d,1s"} {
		if strings.Count(got, want) == 0 {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestADebianWithASmarthostIsRefusedAndSaysWhichOne(t *testing.T) {
	for _, kind := range []string{"smarthost", "satellite"} {
		for _, split := range []string{"true", "false"} {
			if got := refusal(t, tree(t, debianTree(split, kind)), wish(mtaconf.Steer)); got != "mtaconf.exim.error.smarthost" {
				t.Errorf("%s, split %s: %s", kind, split, got)
			}
		}
	}
	if got := refusal(t, tree(t, debianTree("true", "local")), wish(mtaconf.Steer)); got != "mtaconf.exim.error.no_router" {
		t.Errorf("local: %s", got)
	}
}

func TestTheAccountOnDebianStandsWhereItsAuthenticatorsLook(t *testing.T) {
	sys := tree(t, debianTree("true", "internet"))
	w := wish(mtaconf.Steer)
	w.Peer = mtaconf.Peer{Host: "hub.example", Port: 587, Username: "web1", Password: "abc", TLS: true}
	p := planFor(t, sys, w)
	if got := added(t, sys, p, "/etc/exim4/passwd.client"); got != "hub.example:web1:abc\n" {
		t.Errorf("%q", got)
	}
	if whole := text(t, p, "/etc/exim4/passwd.client"); strings.Index(whole, "hub.example") > strings.Index(whole, "*.isp.example") {
		t.Errorf("a pattern comes before it: %q", whole)
	}
	w.Peer.TLS = false
	if got := refusal(t, sys, w); got != "mtaconf.exim.error.debian_login" {
		t.Errorf("without TLS: %s", got)
	}
}

// hestia is a configuration as that panel has it, with an address for each customer's domain, in words of our own.
const hestia = `SMTP_RELAY_FILE = ${if exists{/etc/exim4/domains/${lookup{$sender_address_domain}dsearch{/etc/exim4/domains/}}/smtp_relay.conf}{/x}{/y}}
OUT = ${if exists{/etc/exim4/domains/${lookup{$sender_address_domain}dsearch{/etc/exim4/domains/}}/ip}\
  {${readfile{/etc/exim4/domains/${lookup{$sender_address_domain}dsearch{/etc/exim4/domains/}}/ip}}}{192.0.2.4}}
domainlist local_domains = dsearch;/etc/exim4/domains/
daemon_smtp_ports = 25 : 465 : 587

begin routers

by_relay:
  driver = manualroute
  address_data = relay.example:587
  domains = !+local_domains
  require_files = SMTP_RELAY_FILE
  transport = relay_smtp
  route_list = * ${extract{1}{:}{$address_data}}::${extract{2}{:}{$address_data}}

dnslookup:
  driver = dnslookup
  domains = !+local_domains
  transport = remote_smtp
  no_more

begin transports

relay_smtp:
  driver = smtp
  hosts_require_auth = $host_address

remote_smtp:
  driver = smtp
  helo_data = $sender_address_domain
  dkim_domain = $sender_address_domain
  interface = OUT
`

func TestACustomersAddressHoldsForOthersAndNotForUkai(t *testing.T) {
	files := map[string]string{"etc/exim4/exim4.conf.template": hestia, "etc/exim4/update-exim4.conf.conf": "dc_eximconfig_configtype='internet'\ndc_use_split_config='false'\n"}
	sys := tree(t, files)
	got := added(t, sys, planFor(t, sys, wish(mtaconf.Steer)), "/etc/exim4/exim4.conf.template")
	for _, want := range []string{"  interface = ${if eqi{$host}{127.0.0.1}{}{OUT}}\n", "  helo_data = $sender_address_domain\n",
		"\nbegin retry\n\n# ukai: is tried again at once when it is back.\n127.0.0.1  *  F,4d,1s\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "by_relay") || strings.Contains(got, "ukai_relay_smtp") {
		t.Errorf("a router for some customers was touched:\n%s", got)
	}
}

// panelConf is a generated configuration with two ways out, chosen by whether there is a key to sign with.
const panelConf = `begin routers
limits:
  driver = redirect
  domains = ! +local_domains
  condition = ${perl{checkspam}}
  data = :fail: too much

dkim_lookuphost:
  driver = dnslookup
  domains = ! +local_domains
  condition = ${if exists{/var/keys/$sender_address_domain}}
  headers_add = "${perl{mailtrapheaders}}"
  transport = dkim_remote_smtp

lookuphost:
  driver = dnslookup
  domains = ! +local_domains
  transport = "${if def:h_X-A: {remote_smtp}{forwarded_smtp}}"

begin transports
remote_smtp:
  driver = smtp
  interface = <; ${if exists {/etc/mailips}{${lookup{$original_domain}lsearch*{/etc/mailips}}}}
forwarded_smtp:
  driver = smtp
dkim_remote_smtp:
  driver = smtp
  dkim_private_key = /var/keys/$dkim_domain
begin retry
* * F,2h,15m
begin authenticators
`

func TestCPanelsSectionsTakeOurPartsAndItsGeneratedFileIsLeftAlone(t *testing.T) {
	local := "%RETRYBLOCK%\n* * F,2h,15m\n@AUTH@\n\n@BEGINACL@\n\n@CONFIG@\nsmtp_accept_max = 300\n\n@POSTMAILCOUNT@\n\n@RETRYSTART@\n\n@TRANSPORTSTART@\nmine:\n  driver = smtp\n"
	sys := tree(t, map[string]string{"etc/exim.conf": panelConf, "etc/exim.conf.local": local, "usr/local/cpanel/version": "11\n"})
	p := planFor(t, sys, wish(mtaconf.Steer))
	if len(p.Files) != 2 || p.Files[1].Path != "/etc/exim.conf.local" || p.Prepare[0].Args[0] != "/usr/local/cpanel/scripts/buildeximconf" {
		t.Fatalf("%+v", p)
	}
	added(t, sys, p, "/etc/exim.conf.local")
	whole := text(t, p, "/etc/exim.conf.local")
	for _, order := range [][]string{
		{"@POSTMAILCOUNT@\n", "ukai_dkim_lookuphost:", "ukai_lookuphost:", "@RETRYSTART@\n", "127.0.0.1  *", "@TRANSPORTSTART@\n", "ukai_dkim_remote_smtp:", "ukai_remote_smtp:", "mine:"},
		{"ukai_lookuphost:", "transport = \"ukai_${if def:h_X-A: {remote_smtp}{forwarded_smtp}}\"\n", "ukai_forwarded_smtp:"},
	} {
		at := 0
		for _, s := range order {
			i := strings.Index(whole[at:], s)
			if i < 0 {
				t.Fatalf("%q is not where it belongs in\n%s", s, whole)
			}
			at += i
		}
	}

	// When the panel has made its file from that one, our parts are in it; they are not taken for the administrator's.
	made := strings.Replace(panelConf, "dkim_lookuphost:", "ukai_dkim_lookuphost:\n  driver = manualroute\n  domains = ! +local_domains\n"+
		"  transport = ukai_dkim_remote_smtp\n  route_data = <;127.0.0.1:2525\n\ndkim_lookuphost:", 1)
	again := planFor(t, tree(t, map[string]string{"etc/exim.conf": made, "etc/exim.conf.local": local}), wish(mtaconf.Steer))
	if text(t, again, "/etc/exim.conf.local") != whole {
		t.Error("the plan is another one after the panel has made its file")
	}
}

func TestCPanelWithoutLocalSectionsGetsThem(t *testing.T) {
	sys := tree(t, map[string]string{"etc/exim.conf": panelConf, "usr/local/cpanel/version": "11\n"})
	whole := text(t, planFor(t, sys, wish(mtaconf.Steer)), "/etc/exim.conf.local")
	for _, s := range []string{"\n@POSTMAILCOUNT@\n# ukai", "\n@RETRYSTART@\n# ukai", "\n@TRANSPORTSTART@\n# ukai"} {
		if strings.Count(whole, s) != 1 {
			t.Errorf("%q is missing in\n%s", s, whole)
		}
	}
}

func TestDirectAdminsIncludedFilesTakeOurParts(t *testing.T) {
	conf := strings.NewReplacer("begin routers\n", "begin routers\n.include_if_exists /etc/exim.routers.pre.conf\n",
		"begin transports\n", "begin transports\n.include_if_exists /etc/exim.transports.pre.conf\n").Replace(panelConf)
	sys := tree(t, map[string]string{"etc/exim.conf": conf, "etc/exim.routers.pre.conf": "mine:\n  driver = redirect\n  data = x\n", "usr/local/directadmin/x": ""})
	p := planFor(t, sys, wish(mtaconf.Steer))
	if got := added(t, sys, p, "/etc/exim.routers.pre.conf"); !strings.Contains(got, "ukai_lookuphost:") {
		t.Errorf("%s", got)
	}
	if got := text(t, p, "/etc/exim.transports.pre.conf"); !strings.Contains(got, "ukai_remote_smtp:") {
		t.Errorf("%s", got)
	}
	if got := added(t, sys, p, "/etc/exim.conf"); strings.Contains(got, "ukai_") || !strings.Contains(got, "F,4d,1s") {
		t.Errorf("%s", got)
	}
}
