package classify

import (
	"strings"
	"testing"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// check looks at what must hold for every verdict, whatever a stranger writes into a reply.
func check(t *testing.T, v Verdict) {
	t.Helper()
	if v.Class == "" || v.Blame == "" || v.Scope == "" || v.Action == "" {
		t.Errorf("incomplete: %+v", v)
	}
	if v.Reputation && (v.Class != "ip_reputation" && v.Class != "dnsbl_listed" && v.Class != "ptr_missing" || !v.Detour) {
		t.Errorf("%s counts against the path", v.Class)
	}
	if v.Detour && !v.Reputation && v.Rule != "microsoft.customer-block-list" {
		t.Errorf("%s by %s asks for a detour", v.Class, v.Rule)
	}
	if (v.Class == Unclassified) == (v.Rule != "") && v.Rule != "gateways.messagelabs-aborted" {
		t.Errorf("%s by %q", v.Class, v.Rule)
	}
	if v.URL != "" && !strings.Contains(v.URL, "://") {
		t.Errorf("not a URL: %q", v.URL)
	}
}

func seeds(f *testing.F, add func(string)) {
	for _, s := range []string{gmail4, gmail6, gmailDomain, "", "\x00", "550", "550-", "550 5.7.1", "550-5.7.1 ", strings.Repeat("550-", 100), "[1.2.3.4", "::", "a@", "@[", "http://", `\n\n`, "\xff\xfe", "550 " + strings.Repeat("(", 300)} {
		add(s)
	}
	for _, r := range rules(f).rules {
		add(r.rule.Example)
	}
}

func FuzzText(f *testing.F) {
	seeds(f, func(s string) { f.Add("", s); f.Add("google", s) })
	r := rules(f)
	f.Fuzz(func(t *testing.T, who, s string) {
		v := r.Text(who, s)
		check(t, v)
		if again := r.Text(who, s); again != v {
			t.Errorf("judged twice, and differently: %+v, %+v", v, again)
		}
	})
}

func FuzzClassify(f *testing.F) {
	seeds(f, func(s string) {
		f.Add("google", uint8(9), 550, s, "second line", "")
		f.Add("", uint8(0), 0, "", "", s)
	})
	r := rules(f)
	f.Fuzz(func(t *testing.T, who string, phase uint8, code int, one, two, err string) {
		o := &outcome.Outcome{Provider: who, Phase: outcome.Phase(phase % 10), Err: err, Reply: mail.Reply{Code: code, Lines: []string{one, two}}}
		o.Reply.Status, _ = mail.ParseStatus(one)
		v := r.Classify(o)
		if o.OK() != (v.Class == Delivered) || o.OK() != (v.Action == Deliver) {
			t.Errorf("%d at %s: %+v", code, o.Phase, v)
		}
		if code == 0 && (v.Detour || v.Reputation) {
			t.Errorf("without a reply: %+v", v)
		}
		if code >= 400 && code < 500 && v.Action != Retry {
			t.Errorf("%d: %s", code, v.Action)
		}
		if code >= 500 && code < 600 && v.Action != Fail {
			t.Errorf("%d: %s", code, v.Action)
		}
		if o.Reply.Code >= 400 {
			check(t, v)
		}
	})
}

// FuzzRuleFile reads a file that an admin may have written: it is refused with reasons, or its rules can be used.
func FuzzRuleFile(f *testing.F) {
	names, err := embedded.ReadDir("rules")
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range names {
		b, err := embedded.ReadFile("rules/" + n.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 3000)])
	}
	f.Add([]byte(partner("policy")))
	f.Add([]byte("providers = [\"google\"]\nmarks = [\"x y\"]\nnamed = [\"on \"]\n[[list]]\nname = \"l\"\nany = [\"qq\"]\ndomain = true\n[[phase]]\nphase = \"rcpt\"\nany = [\"in reply to rcpt\"]\n[[rule]]\nname=\"a\"\nclass=\"policy\"\nlists=\"any\"\ncodes=[\"5\"]\nstatuses=[\"x.7.1-9\"]\nphases=[\"mail\"]\nonly=true\ncode='(x+)'\nexample=\"550 qq\"\nphase=\"mail\"\nsource=\"s\"\nalso=[\"*\"]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := parseFile("fuzz.toml", b)
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a word")
			}
			return
		}
		r, err := compile([]*File{file})
		if err != nil {
			t.Fatal(err)
		}
		r.Check()
		r.Conflicts()
		for i := range r.rules {
			r.Nearest(r.rules[i].rule.Example, 2)
			r.Text("google", r.rules[i].rule.Example)
		}
	})
}
