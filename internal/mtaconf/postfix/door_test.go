package postfix

import (
	"strings"
	"testing"

	"ukai/internal/mtaconf"
)

// other is a Postfix beside that of the plan.
func other(service string) map[string]string {
	return map[string]string{"/etc/postfix/main.cf": "multi_instance_directories = /etc/postfix-out\n", "/etc/postfix-out/main.cf": "multi_instance_enable = no\n",
		"/etc/postfix-out/master.cf": plainMaster + service}
}

func TestTheDoorHasAPortThatNobodyElseHas(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		wish  func(*mtaconf.Wish)
		door  string
	}{
		"the usual":              {nil, func(*mtaconf.Wish) {}, "127.0.0.1:2527"},
		"as it was":              {nil, func(w *mtaconf.Wish) { w.Door = 2533 }, "127.0.0.1:2533"},
		"a service of this one":  {map[string]string{"/etc/postfix/master.cf": plainMaster + "127.0.0.1:2527 inet n - y - - smtpd\n2528 inet n - y - - smtpd\n"}, func(*mtaconf.Wish) {}, "127.0.0.1:2529"},
		"a service of another":   {other("[::1]:2527 inet n - y - - smtpd\n"), func(*mtaconf.Wish) {}, "127.0.0.1:2528"},
		"ukai takes mail there":  {nil, func(w *mtaconf.Wish) { w.Peer.Port = 2527 }, "127.0.0.1:2528"},
		"ukai is asked there":    {nil, func(w *mtaconf.Wish) { w.Live = "127.0.0.1:2527" }, "127.0.0.1:2528"},
		"IPv6 alone":             {map[string]string{"/etc/postfix/main.cf": "inet_protocols = ipv6\n"}, func(*mtaconf.Wish) {}, "[::1]:2527"},
		"a service without port": {map[string]string{"/etc/postfix/master.cf": plainMaster + "my-service inet n - y - - smtpd\n"}, func(*mtaconf.Wish) {}, "127.0.0.1:2527"},
	} {
		t.Run(name, func(t *testing.T) {
			w := wish(mtaconf.Steer)
			c.wish(&w)
			p, err := New().Plan(tree(t, "3.7.11", c.files), here, w)
			if err != nil {
				t.Fatal(err)
			}
			host, port, _ := strings.Cut(c.door, ":25")
			if !strings.HasPrefix(host, "[") {
				host = "[" + host + "]"
			}
			literal := host + ":25" + port
			if p.Door != c.door || p.Answer != "ukai:"+literal+", {domain}" ||
				!strings.Contains(changed(p, "/etc/postfix/main.cf"), "smtp_fallback_relay = "+literal+"\n") ||
				!strings.Contains(changed(p, "/etc/postfix/master.cf"), "\n"+c.door+" inet n n n - 0 spawn\n") {
				t.Errorf("door %s, answer %s\n%s", p.Door, p.Answer, changed(p, "/etc/postfix/master.cf"))
			}
		})
	}
}

// What is said behind a door is passed through: the login and TLS are those of ukai, and stand by the door.
func TestALoginStandsByTheDoor(t *testing.T) {
	w := wish("")
	w.Peer = mtaconf.Peer{Host: "hub.example", Port: 587, Username: "web1", Password: "s3cret", TLS: true}
	p, err := New().Plan(tree(t, "3.7.11", nil), here, w)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"/etc/postfix/ukai_password": "\n[127.0.0.1]:2527 web1:s3cret\n",
		"/etc/postfix/ukai_tls":      "\n[127.0.0.1]:2527 encrypt\n",
		"/etc/postfix/master.cf":     " door --to hub.example:587 --greet 5s\n",
	} {
		if got := changed(p, file); !strings.Contains(got, want) {
			t.Errorf("%s: %q", file, got)
		}
	}
}

// Where Postfix cannot start ukai's program it goes to ukai directly, and the plan says what that means.
func TestWithoutAProgramThereIsNoDoor(t *testing.T) {
	for name, c := range map[string]struct {
		main    string
		program string
		value   any
	}{
		"no program":              {"", "", "300s"},
		"one that is not there":   {"", "/opt/ukai", "300s"},
		"own limit":               {"smtp_helo_timeout = 20s\n", "", "20s"},
		"ports are switched off":  {"master_service_disable = inet\n", "/usr/bin/ukai", "300s"},
		"an address to send from": {"smtp_bind_address = 192.0.2.7\n", "", "300s"},
	} {
		t.Run(name, func(t *testing.T) {
			w := wish(mtaconf.Steer)
			w.Program = c.program
			p, err := New().Plan(tree(t, "3.7.11", map[string]string{"/etc/postfix/main.cf": c.main}), here, w)
			if err != nil {
				t.Fatal(err)
			}
			main, master := changed(p, "/etc/postfix/main.cf"), changed(p, "/etc/postfix/master.cf")
			if p.Door != "" || !strings.Contains(main, "smtp_fallback_relay = [127.0.0.1]:2525\n") || p.Answer != "ukai:[127.0.0.1]:2525, {domain}" ||
				strings.Contains(master, "spawn") || strings.Contains(main+master, "_timeout=") {
				t.Errorf("%s\n%s\n%s", p.Door, main, master)
			}
			gaps := keys(p.Gaps)
			if !strings.Contains(gaps, "postfix.gap.hung") || strings.Contains(gaps, "postfix.gap.bind") != strings.Contains(c.main, "bind") {
				t.Errorf("gaps: %s", gaps)
			}
			for _, n := range p.Gaps {
				if n.Key == "postfix.gap.hung" && n.Args[1] != c.value {
					t.Errorf("%v", n.Args)
				}
			}
		})
	}
}

func TestARelayIsAskedDirectly(t *testing.T) {
	p, err := New().Plan(tree(t, "3.7.11", nil), here, wish(mtaconf.Relay))
	if err != nil || p.Door != "" || !strings.Contains(changed(p, "/etc/postfix/main.cf"), "relayhost = [127.0.0.1]:2525\n") || changed(p, "/etc/postfix/master.cf") != "" {
		t.Errorf("%v %+v", err, p)
	}
}
