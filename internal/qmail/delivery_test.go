package qmail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// asWrapper makes the test binary the command: it has to be a process, since it may become another one.
const asWrapper = "UKAI_QMAIL_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asWrapper) != "" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// rig is a wrapper with a qmail-remote that says what it is told to, and a ukai that is played by package peersim.
type rig struct {
	t     *testing.T
	dir   string
	world *peersim.World
	more  string // lines of settings
	to    string // where ukai is
}

const refusedByGoogle = "192.0.2.1 failed after I sent the message.\nRemote host said: 550-5.7.1 [198.51.100.1      12] Our system has detected that this message is\n" +
	"550-5.7.1 likely suspicious due to the very low reputation of the sending IP\n550-5.7.1 address. To best protect our users from spam, the message has been\n" +
	"550-5.7.1 blocked. Please visit\n550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x - gsmtp\n"

const refusedByMicrosoft = "192.0.2.1 does not like recipient.\nRemote host said: 550 5.7.606 Access denied, banned sending IP [198.51.100.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions.\n"

func newRig(t *testing.T, rules ...peersim.Rule) *rig {
	t.Helper()
	w, err := peersim.Start(peersim.Options{Providers: []peersim.Provider{{Name: "ukai", Relay: true, Rules: rules}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	r := &rig{t: t, dir: t.TempDir(), world: w, to: w.Addr("ukai").String()}
	r.file("control/me", "mail.sender.example\n", 0o644)
	r.file("message", "Message-ID: <m1>\nSubject: x\n\nhello\n.\n", 0o644)
	r.original("r\x00K192.0.2.1 accepted message.\nRemote host said: 250 ok\n\x00", 0)
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) file(name, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
}

// original is what qmail's own program says and how it ends. It keeps what it was given.
func (r *rig) original(says string, code int) {
	r.file("says", says, 0o644)
	r.file("original", fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%[1]s/calls\ncat >%[1]s/read\ncat %[1]s/says\nexit %[2]d\n", r.dir, code), 0o755)
}

// calls returns what the original was called with, a line each time.
func (r *rig) calls() string {
	b, err := os.ReadFile(r.path("calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	return string(b)
}

// deliver runs the wrapper and returns its report, blanks for NULs, and its exit code.
func (r *rig) deliver(args ...string) (report string, code int) {
	r.t.Helper()
	r.file("control/ukai", "to="+r.to+"\noriginal="+r.path("original")+"\n"+r.more, 0o640)
	return r.start(nil, append([]string{"--settings", r.path("control/ukai"), "--"}, args...)...)
}

func (r *rig) start(environ []string, args ...string) (report string, code int) {
	r.t.Helper()
	in, err := os.Open(r.path("message"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asWrapper+"=1"), environ...)
	cmd.Stdin = in
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		r.t.Fatal(err)
	}
	if errs.Len() > 0 {
		r.t.Errorf("it wrote to standard error, which is the report: %s", errs.String())
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// letters are the first letters of a report's texts.
func letters(report string) string {
	var b strings.Builder
	for p := range strings.SplitSeq(report, "\x00") {
		if p != "" {
			b.WriteByte(p[0])
		}
	}
	return b.String()
}

func (r *rig) delivered() int { return r.world.Sum().Delivered }

func TestADeliveryEndsAsItShould(t *testing.T) {
	unknown := "192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user here\n"
	for _, c := range []struct {
		name, says string
		rcpts      int
		want       string // letters of the report
		detoured   int
	}{
		{"taken", "r\x00K192.0.2.1 accepted message.\n\x00", 1, "rK", 0},
		{"refused for the address after the content", "r\x00D" + refusedByGoogle + "\x00", 1, "rK", 1},
		{"refused for the address at the recipient", "h" + refusedByMicrosoft + "\x00DGiving up on 192.0.2.1.\n\x00", 1, "rK", 1},
		{"refused for the address in the greeting", "ZConnected to 192.0.2.1 but greeting failed.\nRemote host said: 554 Blocked - see https://ipcheck.proofpoint.com/?ip=198.51.100.1\n\x00", 1, "rK", 1},
		{"refused for its content", "r\x00D192.0.2.1 failed after I sent the message.\nRemote host said: 554 5.7.1 Message rejected as spam by Content Filtering.\n\x00", 1, "rD", 0},
		{"nobody there", "h" + unknown + "\x00DGiving up on 192.0.2.1.\n\x00", 1, "hD", 0},
		{"nobody reached", "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\x00", 1, "Z", 0},
		{"of three, one unknown, one refused, one taken", "h" + unknown + "\x00h" + refusedByMicrosoft + "\x00r\x00K192.0.2.1 accepted message.\n\x00", 3, "hrrK", 1},
		{"of three, one unknown, two refused with the message", "h" + unknown + "\x00r\x00r\x00D" + refusedByGoogle + "\x00", 3, "hrrK", 2},
		{"of two, one refused for the address, one with its content", "h" + refusedByMicrosoft + "\x00r\x00D192.0.2.1 failed after I sent the message.\nRemote host said: 554 5.7.1 spam detected\n\x00", 2, "rhK", 1},
		{"of two, one refused for the address, one to wait", "h" + refusedByMicrosoft + "\x00r\x00Z192.0.2.1 failed after I sent the message.\nRemote host said: 451 4.3.0 later\n\x00", 2, "rsK", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.original(c.says, 0)
			args := []string{"example.com", "a@sender.example"}
			for i := range c.rcpts {
				args = append(args, fmt.Sprintf("u%d@example.com", i))
			}
			report, code := r.deliver(args...)
			if code != 0 || letters(report) != c.want || r.delivered() != c.detoured {
				t.Errorf("code %d, report %q, %d detoured", code, report, r.delivered())
			}
			if c.detoured == 0 && report != c.says {
				t.Errorf("what qmail-remote said was touched: %q", report)
			}
			if c.rcpts == 1 && c.detoured == 1 {
				if letter, text := spawnSays([]byte(report)); letter != 'K' || !strings.Contains(text, "accepted message.\nRemote host said: 250") {
					t.Errorf("qmail-send hears %c %q", letter, text)
				}
			}
		})
	}
}

func TestADetourThatFailsNeverBounces(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, c := range map[string]struct {
		prepare func(r *rig)
		want    string
	}{
		"ukai is down":                    {func(r *rig) { r.to = "127.0.0.1:1" }, "s"},
		"ukai hangs":                      {func(r *rig) { r.to = silent.Addr().String() }, "s"},
		"ukai's name is not known":        {func(r *rig) { r.to = "no-such-host.invalid:25" }, "s"},
		"ukai does not know us":           {ukaiSays(peersim.MailFrom, "530 5.7.0 Authentication required"), "s"},
		"ukai refuses the recipient":      {ukaiSays(peersim.RcptTo, "550 5.7.1 relaying denied"), "s"},
		"ukai is full":                    {ukaiSays(peersim.EndOfData, "452 4.3.1 no space"), "s"},
		"ukai refuses the content":        {ukaiSays(peersim.EndOfData, "554 5.6.0 no"), "s"},
		"ukai knows that nobody is there": {ukaiSays(peersim.RcptTo, "550 5.1.1 <u@example.com>: user unknown"), "h"},
		"ukai hangs up behind the content": {func(r *rig) {
			r.rules(peersim.Rule{Name: "x", Match: peersim.Match{Phase: peersim.EndOfData}, Action: peersim.Drop})
		}, "s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.prepare(r)
			r.original("r\x00D"+refusedByGoogle+"\x00", 0)
			start := time.Now()
			report, code := r.deliver("example.com", "a@sender.example", "u@example.com")
			if code != 0 || !strings.HasPrefix(letters(report), c.want) {
				t.Errorf("code %d, report %q", code, report)
			}
			if letter, text := spawnSays([]byte(report)); c.want == "s" && (letter != 'Z' || !strings.Contains(text, "low reputation of the sending IP")) {
				t.Errorf("qmail-send hears %c %q", letter, text)
			}
			if took := time.Since(start); took > opening+3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func (r *rig) rules(rules ...peersim.Rule) {
	r.t.Helper()
	if err := r.world.SetRules("ukai", rules); err != nil {
		r.t.Fatal(err)
	}
}

func ukaiSays(phase peersim.Phase, reply string) func(r *rig) {
	return func(r *rig) {
		r.rules(peersim.Rule{Name: "x", Match: peersim.Match{Phase: phase}, Reply: reply})
	}
}

func TestWhatIsNotUnderstoodGoesThrough(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		code int
		want string
		exit int
	}{
		"nothing was said":            {"", 0, "", 0},
		"half a report":               {"r\x00K192", 0, "r\x00K192", 0},
		"qmail-remote could not run":  {"", 111, "", 111},
		"qmail-remote failed for bad": {"r\x00Kok\x00", 1, "", 111},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.original(c.says, c.code)
			report, code := r.deliver("example.com", "a@sender.example", "u@example.com")
			if report != c.want || code != c.exit {
				t.Errorf("%d %q", code, report)
			}
		})
	}
}

func TestWithoutSettingsQmailRemoteRunsAsBefore(t *testing.T) {
	for name, settings := range map[string]string{"none": "", "broken ones": "to=nowhere\n", "of another time": "to=127.0.0.1:25\nfuture=1\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			says := "r\x00D" + refusedByGoogle + "\x00"
			r.original(says, 0)
			path := r.path("control/ukai")
			if settings != "" {
				r.file("control/ukai", settings, 0o644)
			}
			report, code := r.start(nil, "--settings", path, "--original", r.path("original"), "--", "example.com", "a@sender.example", "u@example.com")
			if report != says || code != 0 {
				t.Errorf("%d %q", code, report)
			}
			if got := r.calls(); got != "example.com a@sender.example u@example.com\n" {
				t.Errorf("called with %q", got)
			}
			if b, _ := os.ReadFile(r.path("read")); !bytes.HasPrefix(b, []byte("Message-ID: <m1>\n")) {
				t.Errorf("it read %q", b)
			}
		})
	}
	r := newRig(t)
	if _, code := r.start(nil, "--settings", "/nowhere", "--original", "/nowhere", "--", "h", "f", "r@h"); code != exitTemporary {
		t.Errorf("nothing to run: exit code %d is a bounce", code)
	}
	if _, code := r.start([]string{insideEnv + "=1"}, "h", "f", "r@h"); code != exitTemporary {
		t.Errorf("a circle: exit code %d", code)
	}
}

func TestASteeredHostGoesToUkaiFirst(t *testing.T) {
	ok := "r\x00K192.0.2.1 accepted message.\n\x00"
	for _, c := range []struct {
		name    string
		prepare func(r *rig)
		host    string
		says    string
		want    string
		calls   string
		took    int // by ukai
	}{
		{"taken", nil, "blocked.example", ok, "rrK", "", 2},
		{"another host", nil, "example.com", ok, "rK", "example.com a@sender.example u0@x u1@x\n", 0},
		{"ukai is down", func(r *rig) { r.to = "127.0.0.1:1" }, "blocked.example", "r\x00r\x00Kok\n\x00", "rrK", "blocked.example a@sender.example u0@x u1@x\n", 0},
		{"ukai is down, and the provider refuses", func(r *rig) { r.to = "127.0.0.1:1" }, "blocked.example", "r\x00r\x00D" + refusedByGoogle + "\x00", "ssZ", "blocked.example a@sender.example u0@x u1@x\n", 0},
		{"ukai takes one of two", func(r *rig) {
			r.rules(peersim.Rule{Name: "x", Match: peersim.Match{Phase: peersim.RcptTo, To: []string{"u0@x"}}, Reply: "450 4.7.1 later"})
		}, "blocked.example", ok, "rrK", "blocked.example a@sender.example u0@x\n", 1},
		{"ukai takes one of two and the original breaks", func(r *rig) {
			r.rules(peersim.Rule{Name: "x", Match: peersim.Match{Phase: peersim.RcptTo, To: []string{"u1@x"}}, Reply: "450 4.7.1 later"})
			r.original("", 1)
		}, "blocked.example", "", "rsK", "blocked.example a@sender.example u1@x\n", 1},
		{"nobody knows whether ukai took it", func(r *rig) {
			r.rules(peersim.Rule{Name: "x", Match: peersim.Match{Phase: peersim.EndOfData}, Action: peersim.Drop})
		}, "blocked.example", ok, "ssZ", "", 0},
		{"somebody routes it by hand", func(r *rig) { r.file("control/smtproutes", "blocked.example:10.0.0.1\n", 0o644) }, "blocked.example", "r\x00r\x00Kok\n\x00", "rrK", "blocked.example a@sender.example u0@x u1@x\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.file("routes", "# blocked\nblocked.example\n", 0o644)
			r.more = "mode=steer\nroutes=" + r.path("routes") + "\n"
			if c.says != "" {
				r.original(c.says, 0)
			}
			if c.prepare != nil {
				c.prepare(r)
			}
			report, code := r.deliver(c.host, "a@sender.example", "u0@x", "u1@x")
			if code != 0 || letters(report) != c.want || r.calls() != c.calls || r.delivered() != c.took {
				t.Errorf("code %d, report %q, original called with %q, %d by ukai", code, report, r.calls(), r.delivered())
			}
		})
	}
}

func TestAsARelayUkaiIsAskedAlone(t *testing.T) {
	r := newRig(t)
	r.more = "mode=relay\n"
	if report, code := r.deliver("example.com", "#@[]", "u@example.com"); code != 0 || letters(report) != "rK" || r.delivered() != 0 || r.world.Sum().Bounces != 1 {
		t.Errorf("%d %q %+v", code, report, r.world.Sum())
	}
	ukaiSays(peersim.RcptTo, "550 5.7.1 no")(r)
	if report, code := r.deliver("example.com", "a@sender.example", "u@example.com"); code != 0 || letters(report) != "hD" {
		t.Errorf("refused: %d %q", code, report)
	}
	r.file("control/smtproutes", "inside.example:10.0.0.1\n", 0o644)
	if report, code := r.deliver("inside.example", "a@sender.example", "u@inside.example"); code != 0 || letters(report) != "rK" || r.calls() == "" {
		t.Errorf("a route made by hand: %d %q %q", code, report, r.calls())
	}
	r.to = "127.0.0.1:1"
	if report, code := r.deliver("example.com", "a@sender.example", "u@example.com"); code != 0 || letters(report) != "sZ" {
		t.Errorf("down: %d %q", code, report)
	}
}

func TestUkaiIsToldWhatTheOriginalMet(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for in := bufio.NewReader(c); ; {
				s, err := readNetstring(in)
				if err != nil {
					break
				}
				said <- s
				answer := "OK "
				if s == "web1 u0@example.com" {
					answer = "NOTFOUND "
				}
				fmt.Fprint(c, netstring(answer))
			}
			c.Close()
		}
	}()
	r := newRig(t)
	r.more = "mode=steer\nserver=web1\nsecret=word\nlive=" + l.Addr().String() + "\n"
	r.original("r\x00h"+refusedByMicrosoft+"\x00K192.0.2.1 accepted message.\nRemote host said: 250 2.0.0 ok\n\x00", 0)
	if report, code := r.deliver("example.com", "a@sender.example", "u0@example.com", "u1@example.com"); code != 0 || letters(report) != "rrK" {
		t.Fatalf("%d %q", code, report)
	}
	if got := <-said; got != "web1 u0@example.com" {
		t.Errorf("asked %q", got)
	}
	for _, want := range []string{
		`"phase":"end-of-data","reply":{"Code":250`, `"phase":"rcpt","reply":{"Code":550,"Status":"5.7.606"`,
	} {
		got := <-said
		if !strings.HasPrefix(got, `observe web1 word {"outcome":{`) || !strings.Contains(got, want) || !strings.Contains(got, `"sender":"a@sender.example"`) {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	if report, code := r.deliver("example.com", "a@sender.example", "steered@example.com"); code != 0 || letters(report) != "rK" || !strings.Contains(report, "accepted") {
		t.Errorf("%d %q", code, report)
	}
	if n := r.delivered(); n != 2 {
		t.Errorf("%d by ukai", n)
	}
}

func TestALiveListenerThatHangsHoldsNothingUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRig(t)
	r.more = "mode=steer\nserver=web1\nlive=" + l.Addr().String() + "\n"
	start := time.Now()
	if report, code := r.deliver("example.com", "a@sender.example", "u@example.com"); code != 0 || letters(report) != "rK" || r.calls() == "" {
		t.Errorf("%d %q", code, report)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTheCheckSaysWhatIsWrong(t *testing.T) {
	r := newRig(t)
	r.file("control/ukai", "to=127.0.0.1:25\noriginal="+r.path("original")+"\n", 0o644)
	if out, code := r.start(nil, "--check", r.path("control/ukai")); code != 0 || out != "" {
		t.Errorf("%d %q", code, out)
	}
	r.file("control/ukai", "to=127.0.0.1:25\noriginal=/nowhere\n", 0o644)
	if out, code := r.start(nil, "--check", r.path("control/ukai")); code != 1 || !strings.Contains(out, "/nowhere") {
		t.Errorf("%d %q", code, out)
	}
	if out, code := r.start(nil, "--check", "/no/settings"); code != 1 || !strings.Contains(out, "/no/settings") {
		t.Errorf("%d %q", code, out)
	}
}
