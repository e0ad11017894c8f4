package smtpserver

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"ukai/internal/mail"
)

// TestScripts plays the dialogues in testdata/script, each in a bubble of its own time. testdata/script/README.md has the format.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { play(t, string(text)) })
		})
	}
}

func play(t *testing.T, text string) {
	opts, lo, b := Options{}, ListenerOptions{}, &box{replies: map[string]*mail.Reply{}}
	var r *rig
	var p *peer
	var delivered []string
	for i, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		if r == nil && (key == "C" || key == "S" || key == "R") {
			r = newRig(t, opts, lo, b, book{})
			p = r.dial()
		}
		switch {
		case line == "" || line[0] == '#':
		case key == "C" || line == "C:":
			p.send(value + "\r\n")
		case key == "R":
			p.send(unquote(t, value))
		case key == "S":
			if got := p.line(); !matches(got, value) {
				t.Fatalf("line %d:\ngot  %q\nwant %q", i+1, got, value)
			}
		case key == "D":
			delivered = append(delivered, value)
		case key == "option":
			setOption(t, &opts, &lo, b, value)
		case line == "starttls":
			p = p.overTLS(nil)
		default:
			t.Fatalf("line %d: %q is no line of a script", i+1, line)
		}
	}
	p.conn.Close()
	r.stop()
	var got []string
	for _, d := range b.delivered {
		got = append(got, show(&d))
	}
	if !slices.Equal(got, delivered) {
		t.Errorf("delivered\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(delivered, "\n"))
	}
}

func unquote(t *testing.T, s string) string {
	u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return u
}

// show puts a delivery on one line: <from> <to> flags "content".
func show(d *delivery) string {
	out := "<" + d.env.From + ">"
	for _, r := range d.env.Recipients {
		out += " <" + r.Addr + ">"
		if r.Notify != 0 {
			out += " notify=" + strconv.Itoa(int(r.Notify))
		}
		if r.ORcpt != "" {
			out += " orcpt=" + r.ORcpt
		}
	}
	for _, flag := range []struct {
		name string
		on   bool
	}{{"8bit", d.env.EightBit}, {"utf8", d.env.UTF8}, {"requiretls", d.env.RequireTLS}} {
		if flag.on {
			out += " " + flag.name
		}
	}
	if d.env.Ret != "" {
		out += " ret=" + d.env.Ret
	}
	if d.env.EnvID != "" {
		out += " envid=" + d.env.EnvID
	}
	if d.session.Account != "" {
		out += " account=" + d.session.Account
	}
	return out + " " + strconv.QuoteToASCII(d.body)
}

func setOption(t *testing.T, o *Options, lo *ListenerOptions, b *box, s string) {
	key, value, _ := strings.Cut(s, " ")
	n, _ := strconv.Atoi(value)
	switch key {
	case "maxsize":
		o.MaxSize = int64(n)
	case "maxrcpt":
		o.MaxRecipients = n
	case "maxline":
		o.MaxLine = n
	case "maxmessages":
		o.MaxMessages = n
	case "maxerrors":
		o.MaxErrors = n
	case "tls":
		lo.TLS = withTLS
	case "auth":
		lo.Auth = map[string]AuthMode{"plain": AuthPlain, "none": AuthNone, "tls": AuthTLS}[value]
	case "full":
		b.full = true
	case "reply": // reply RCPT b@test = 550 5.7.1 No
		what, reply, _ := strings.Cut(value, " = ")
		code, text, _ := strings.Cut(reply, " ")
		c, _ := strconv.Atoi(code)
		b.replies[what] = &mail.Reply{Code: c, Lines: strings.Split(text, `\n`)}
	default:
		t.Fatalf("option %q", key)
	}
}
