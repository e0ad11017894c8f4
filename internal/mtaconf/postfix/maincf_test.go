package postfix

import (
	"slices"
	"strings"
	"testing"
)

func TestAParameterMeansWhatPostfixTakesItFor(t *testing.T) {
	const file = "# a comment\n\nmyhostname = mail.example\r\nempty =\ntwice = first\nmydomain = example\n" +
		"long = one,\n  # a comment in between\n\n\ttwo   \n   three\ntwice=second\n" +
		"a = $b\nb = ${c}x$(c)\nc = $$1\nround = $round\ngrows = $grows$grows\n" +
		"yes = ${myhostname?has}${empty?has}\nno = ${empty:none}${myhostname:none}\n" +
		"both = ${empty?{a}:{b}}${myhostname?{$c}:{d}}\nsame = ${{$myhostname} == {mail.example} ? {equal} : {other}}${{a} != {a} ? {x} : {y}}\n" +
		"open = ${never closed\nbraces = { a, b }, c d\n"
	m, err := readMain("/etc/postfix/main.cf", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"myhostname": "mail.example", "empty": "", "twice": "second", "a": "$1x$1", "yes": "has", "no": "none", "both": "b$1",
		"same": "equaly", "open": "${never closed", "config_directory": "/etc/postfix", "default_transport": "smtp", "smtp_fallback_relay": "",
	} {
		if got := m.get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := m.list("long"); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("long = %q", got)
	}
	if got := m.list("braces"); !slices.Equal(got, []string{"{ a, b }", "c", "d"}) {
		t.Errorf("braces = %q", got)
	}
	m.get("round") // it ends
	m.get("grows")
	if got := string(m.bytes()); got != file {
		t.Errorf("reading has changed the file: %q", got)
	}
}

func TestAValueOfSeveralLinesBecomesOneAndItsCommentsStay(t *testing.T) {
	m, err := readMain("main.cf", []byte("relayhost =\n# why\n  \t\n   # more\n x\nb = c"))
	if err != nil {
		t.Fatal(err)
	}
	m.set("relayhost", "[y]")
	m.set("b", "d")
	m.put("e", "f")
	if got := string(m.bytes()); got != "relayhost = [y]\n# why\n  \t\n   # more\nb = d\ne = f\n" {
		t.Errorf("%q", got)
	}
}

func TestOptionsOfAServiceAreReadInEveryForm(t *testing.T) {
	m, err := readMaster("master.cf", []byte("x unix - - n - 0 smtp -v -o a=b\n# c\n  -o { c = d e }\n  -of=g -o a=z\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := m.find("x").options
	if len(got) != 3 || got["a"] != "z" || got["c"] != "d e" || got["f"] != "g" {
		t.Errorf("%q", got)
	}
}

func TestTheAddressThatGreetsIsFound(t *testing.T) {
	for name, c := range map[string]struct{ main, master, want string }{
		"by name":              {"", "smtp inet n - y - - smtpd", "127.0.0.1:25"},
		"postscreen":           {"", "smtp inet n - y - 1 postscreen", "127.0.0.1:25"},
		"an own address":       {"inet_interfaces = 192.0.2.1, 127.0.0.1", "2525 inet n - y - - smtpd", "192.0.2.1:2525"},
		"IPv6":                 {"", "[::1]:submission inet n - y - - smtpd", "[::1]:587"},
		"TLS from the start":   {"", "465 inet n - y - - smtpd -o smtpd_tls_wrappermode=yes\n587 inet n - y - - smtpd", "127.0.0.1:587"},
		"by a parameter":       {"my = 127.0.0.7", "$my:26 inet n - y - - smtpd", "127.0.0.7:26"},
		"nobody":               {"", "smtp unix - - y - - smtp", ""},
		"a port nobody knows":  {"", "what inet n - y - - smtpd", ""},
		"loopback by its name": {"inet_interfaces = loopback-only", "smtp inet n - y - - smtpd", "127.0.0.1:25"},
	} {
		main, err := readMain("main.cf", []byte(c.main))
		if err != nil {
			t.Fatal(err)
		}
		master, err := readMaster("master.cf", []byte(c.master))
		if err != nil {
			t.Fatal(err)
		}
		if got := (&server{main: main, master: master}).alive(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Whatever stands in the files: reading ends, changes nothing, and what is set is read back.
func FuzzMainCF(f *testing.F) {
	f.Add("a = b\n c\n# d\r\ne = ${a?{x}:{y}} ${{$a} == {b} ? {c}}\n")
	f.Add("smtp_fallback_relay =\n  #\n\n x\nq=$(q)$")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := readMain("/etc/postfix/main.cf", []byte(s))
		if err != nil {
			return
		}
		if string(m.bytes()) != s {
			t.Fatalf("%q became %q", s, m.bytes())
		}
		for name := range m.values {
			_ = m.list(name)
		}
		m.set("smtp_fallback_relay", "[x]:1")
		m.put("transport_maps", "texthash:/x")
		again, err := readMain("/etc/postfix/main.cf", m.bytes())
		if err != nil || again.values["smtp_fallback_relay"] != "[x]:1" || !strings.HasSuffix(again.values["transport_maps"], "texthash:/x") {
			t.Fatalf("%q: %v", m.bytes(), err)
		}
	})
}

// A service that is added or changed is read back as it was written.
func FuzzMasterCF(f *testing.F) {
	f.Add(plainMaster)
	f.Add("x unix - - n - 0 smtp -v -o a=b\n# c\n  -o { c = d e }\n  -of=g -o a=z")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := readMaster("master.cf", []byte(s))
		if err != nil {
			return
		}
		if string(m.bytes()) != s {
			t.Fatalf("%q became %q", s, m.bytes())
		}
		n := len(m.all)
		if n > 0 {
			m.insert(m.all[n-1].entry, "  -o smtp_fallback_relay=")
		}
		m.add("ukai unix - - n - - smtp")
		again, err := readMaster("master.cf", m.bytes())
		if err != nil || len(again.all) != n+1 || !again.all[n].smtp() {
			t.Fatalf("%q: %v", m.bytes(), err)
		}
	})
}
