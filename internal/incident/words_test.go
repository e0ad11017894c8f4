package incident

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/outcome"
)

var update = flag.Bool("update", false, "write what is produced as what is expected")

// hole finds a key that is not in the catalogue and a value that was not put in.
var hole = regexp.MustCompile(`(incident|health)\.[a-z]|[{}]`)

var names = map[string]string{"google": "Google", "icloud": "iCloud", "microsoft-365": "Microsoft 365", "yahoo": "Yahoo"}

func called(id string) string { return names[id] }

// network is the story of a range that is listed, refused by four providers, and comes back.
func network() *rig {
	r := newRig(Options{Place: func(string) string { return "192.0.2.0/24" }})
	net := netip.MustParsePrefix("192.0.2.0/24")
	r.listed("own", net, "https://check.spamhaus.org/", true, r.now)
	for _, p := range []string{"google", "google", "google", "icloud", "microsoft-365", "yahoo"} {
		r.now = r.now.Add(time.Second)
		r.refuse("own", p, classify.BlameRange, p+".example", "shop.example")
	}
	r.move("own", "google", health.Suspect, health.Blocked)
	r.Passed(Passage{Provider: "google", Preferred: "own", Detour: true, Delivered: 3})
	r.Passed(Passage{Provider: "icloud", Preferred: "own", Held: 1})
	r.Ack(1, "hanako", "asked *Spamhaus*", r.now.Add(time.Minute))
	r.listed("own", net, "", false, r.now.Add(time.Hour))
	return r
}

func TestAReportReadsWellInBothLanguages(t *testing.T) {
	stories := map[string]*rig{"network": network()}
	sender := newRig(Options{})
	for range 20 {
		sender.refuse("own", "google", classify.BlameContent, "gmail.com", "shop.example")
	}
	sender.pass(2 * time.Hour)
	stories["content"] = sender
	for name, r := range stories {
		for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
			i := r.List()[0]
			got := i.Markdown(l, time.UTC, called)
			file := filepath.Join("testdata", name+"."+string(l)+".md")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs:\n%s", file, got)
			}
			if hole.MatchString(got) {
				t.Errorf("%s: a text has a hole:\n%s", file, got)
			}
		}
	}
}

func TestEveryKindStateAndBlameHasItsWords(t *testing.T) {
	for _, kind := range []Kind{Reputation, Sender, Content} {
		for _, blame := range []classify.Blame{"", classify.BlameIP, classify.BlameRange, classify.BlameDomain, classify.BlameAuthentication, classify.BlameContent} {
			for _, state := range []State{Open, Acked, Closed} {
				i := Incident{Cause: Cause{kind, "a.example"}, Blame: blame, State: state, Shut: []Path{{"own", "google"}}}
				for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
					w := i.Say(l, called)
					all := strings.Join(append(append([]string{w.Title, w.State, w.Fault, w.Mail}, w.Did...), w.Next...), " ")
					if hole.MatchString(all) {
						t.Errorf("%s %s %s: %s", kind, blame, state, all)
					}
				}
			}
		}
	}
}

func TestTroubleOfOneAddressIsCalledByIt(t *testing.T) {
	r := newRig(Options{Place: func(string) string { return "192.0.2.0/24" }})
	ip := netip.MustParseAddr("192.0.2.9")
	for n, blame := range []classify.Blame{classify.BlameIP, classify.BlameIP, classify.BlameIP, classify.BlameRange} {
		o := &outcome.Outcome{At: r.now, Egress: "own", Provider: "google", LocalIP: netip.MustParseAddr("10.0.0.1")}
		v := &classify.Verdict{Class: "ip_reputation", Blame: blame, Action: classify.Fail, Reputation: true, IP: ip}
		if n == 0 {
			v.IP = netip.Addr{} // and the address behind a NAT is nobody's business
		}
		r.Refused(Refusal{Outcome: o, Verdict: v, Recipients: 1})
		i := r.List()
		if len(i) == 0 {
			continue
		}
		want := "192.0.2.9"
		if blame == classify.BlameRange {
			want = "192.0.2.0/24"
		}
		if got := i[0].Where(); got != want {
			t.Errorf("after %d refusals it is %s, want %s", n+1, got, want)
		}
	}
}
