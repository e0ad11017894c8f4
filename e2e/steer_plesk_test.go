package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/mtaconf/plesk"
	"ukai/internal/peersim"
)

// The addresses that the domains of the Plesk box send from.
var (
	pleskShared = netip.MustParseAddr("127.0.0.30") // sender.example and whoever has none of its own
	pleskTenant = netip.MustParseAddr("127.0.0.31") // tenant.example
)

// pleskBox starts a Postfix and lays it out as Plesk does: tables below the spool, one smtp(8) for each outgoing address, chosen
// by the sender's domain. `plesk repair mail` is a stub that writes main.cf and master.cf anew, as Plesk's does.
func pleskBox(t *testing.T) *mta {
	t.Helper()
	m := startMTA(t, "postfix")
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(m.root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	m.write("/etc/psa/psa.conf", "# Plesk\nPRODUCT_ROOT_D\t/opt/psa\n")
	m.write("/opt/psa/version", "18.0.61 Debian 12.0 1800240501.16\n")
	m.write("/var/spool/postfix/plesk/transport", "")
	m.write("/var/spool/postfix/plesk/sdd_transport_maps",
		fmt.Sprintf("@sender.example plesk-%s-:\n@tenant.example plesk-tenant.example-%s-:\n", pleskShared, pleskTenant))
	main := read("etc/postfix/main.cf") + `
# Plesk
virtual_mailbox_base = /var/qmail/mailnames
transport_maps = , hash:/var/spool/postfix/plesk/transport
smtp_send_xforward_command = yes
sender_dependent_default_transport_maps = hash:/var/spool/postfix/plesk/sdd_transport_maps
virtual_transport = plesk_virtual
plesk_virtual_destination_recipient_limit = 1
`
	m.write("/etc/postfix/main.cf", main)
	m.write("/opt/psa/main.cf", main)
	master := read("etc/postfix/master.cf") + fmt.Sprintf(`
plesk_virtual unix - n n - - pipe flags=DORhu user=nobody argv=/usr/lib/plesk-9.0/postfix-local -f ${sender} -d ${recipient}
plesk-%[1]s- unix - n n - - smtp -o smtp_bind_address=%[1]s -o smtp_bind_address6= -o smtp_address_preference=ipv4
plesk-tenant.example-%[2]s- unix - n n - - smtp -o smtp_bind_address=%[2]s -o smtp_bind_address6= -o smtp_address_preference=ipv4 -o smtp_helo_name=tenant.example
`, pleskShared, pleskTenant)
	m.write("/etc/postfix/master.cf", master)
	m.write("/opt/psa/master.cf", master)
	m.write("/usr/sbin/plesk", "#!/bin/sh\n[ \"$*\" = 'repair mail -y' ] && cp /opt/psa/main.cf /opt/psa/master.cf /etc/postfix/ && postfix reload\n")
	if err := os.Chmod(filepath.Join(m.root, "usr/sbin/plesk"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"transport", "sdd_transport_maps"} {
		m.run(mtaconf.Command{Args: []string{"/usr/sbin/postmap", "hash:/var/spool/postfix/plesk/" + table}})
	}
	m.run(mtaconf.Command{Args: []string{"/usr/sbin/postfix", "reload"}})
	return m
}

// submitFor hands messages of one of the box's domains to it.
func (m *mta) submitFor(domain string, rcpts []string, count int, prefix string) []peersim.Sent {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	res, err := peersim.Generate(ctx, peersim.Traffic{To: fmt.Sprintf("127.0.0.1:%d", m.port), Senders: []string{domain}, Rcpts: rcpts, Count: count, Size: 500, Prefix: prefix})
	if err != nil || len(res.Accepted) != count {
		m.t.Fatalf("%v: took %d of %d: %s", err, len(res.Accepted), count, res.Last)
	}
	return res.Accepted
}

// cameFrom checks by which address messages arrived.
func cameFrom(t *testing.T, w *peersim.World, sent []peersim.Sent, want netip.Addr) {
	t.Helper()
	for _, s := range sent {
		if r, _ := w.Record(s.ID, s.Rcpt); r.Source != want {
			t.Errorf("%s to %s came from %v, want %v", s.ID, s.Rcpt, r.Source, want)
		}
	}
}

func TestPleskKeepsTheAddressOfEachDomain(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	m := pleskBox(t)
	found, err := plesk.New().Find(m.system())
	if err != nil || len(found) != 1 || found[0].Dir != "/etc/postfix" {
		t.Fatalf("%+v %v", found, err)
	}
	plan, err := plesk.New().Plan(m.system(), found[0], postfixWish(t, mtaconf.SafetyNet, d.peer()))
	if err != nil {
		t.Fatal(err)
	}
	m.connect(plan)
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", m.port), "220")
	rules := append(usualRules(), peersim.Rule{Name: "low reputation",
		Match: peersim.Match{Phase: peersim.EndOfData, Sources: []netip.Prefix{netip.PrefixFrom(pleskTenant, 32)}}, Reply: "google-ip"})
	if err := w.SetRules("google", rules); err != nil {
		t.Fatal(err)
	}
	domains := slices.Concat(steeringGoogle(), steeringOthers())
	shared, tenant := m.submitFor("sender.example", domains, 100, "s"), m.submitFor("tenant.example", domains, 100, "t")
	all := slices.Concat(shared, tenant)
	arriveOnce(t, w, all, 30*time.Second)
	cameFrom(t, w, shared, pleskShared)
	google, others := split(tenant)
	cameFrom(t, w, google, detourIP)
	cameFrom(t, w, others, pleskTenant)

	// Plesk writes its configuration anew: ukai is out, and mail flows as before.
	if out := m.run(mtaconf.Command{Args: []string{"/usr/sbin/plesk", "repair", "mail", "-y"}}); strings.Contains(out, "fatal") {
		t.Error(out)
	}
	after := m.submitFor("sender.example", domains, 20, "r")
	arriveOnce(t, w, after, 30*time.Second)
	cameFrom(t, w, after, pleskShared)
	sys := m.system() // as package connect shows it: the tables that ukai brought are out
	sys.Instead = make(map[string][]byte)
	for _, f := range plan.Files {
		if f.Path != "/etc/postfix/main.cf" && f.Path != "/etc/postfix/master.cf" {
			sys.Instead[f.Path] = nil
		}
	}
	again, err := plesk.New().Plan(sys, found[0], postfixWish(t, mtaconf.SafetyNet, d.peer()))
	if err != nil || len(again.Files) != len(plan.Files) {
		t.Fatalf("no plan for the repaired server: %v", err)
	}
}
