package steer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/health"
	"ukai/internal/outcome"
)

const answer = "ukai:[127.0.0.1]:2525, {domain}"

// serving starts a listener of a Steer with the server web1, whose mail for Google takes the detour.
func serving(t *testing.T) (d *desk, address string) {
	t.Helper()
	d = newDesk(t, Options{})
	d.set(Server{Name: "web1", Egress: "direct", Answer: answer})
	d.health.Block(health.Key{Egress: "direct", Provider: "google"}, health.Pin{At: time.Now()})
	return d, d.listen("127.0.0.1:0")
}

// listen serves to the end of the test.
func (d *desk) listen(address string) string {
	d.t.Helper()
	l, err := Listen(d.t.Context(), ListenOptions{Address: address})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Serve(ctx, l)
	}()
	d.t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

// exchange sends octets, ends its side, and returns all that comes back.
func exchange(t *testing.T, address, say string) string {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	b, _ := io.ReadAll(c)
	return string(b)
}

func ns(s string) string { return fmt.Sprintf("%d:%s,", len(s), s) }

func TestEachProtocolIsAnswered(t *testing.T) {
	_, at := serving(t)
	ok, none := ns("OK ukai:[127.0.0.1]:2525, gmail.com"), ns("NOTFOUND ")
	for _, c := range []struct{ name, say, want string }{
		{"a socketmap", ns("web1 User@GMail.com"), ok},
		{"a socketmap, asked thrice at once", ns("web1 a@gmail.com") + ns("web1 a@example.net") + ns("web1 b@gmail.com"), ok + none + ok},
		{"a name in another case", ns("WEB1 a@gmail.com"), ok},
		{"the default server", ns("- a@gmail.com"), ok},
		{"a domain alone", ns("web1 gmail.com"), ok},
		{"the wildcard", ns("web1 *"), none},
		{"an empty key", ns("web1 "), none},
		{"a server that is not there", ns("web2 a@gmail.com"), none},
		{"an address literal", ns("web1 a@[192.0.2.1]"), none},
		{"a question of the greatest size", ns("web1 " + strings.Repeat("a", maxQuery-len("web1 @gmail.com")) + "@gmail.com"), ok},
		{"a question above it", ns("web1 "+strings.Repeat("a", maxQuery)) + ns("web1 a@gmail.com"), ""},
		{"no name", ns("a@gmail.com"), ""},
		{"garbage after a question", ns("web1 a@gmail.com") + "x", ok},
		{"a length with a zero before it", "04:a b,", ""},
		{"a missing comma", "3:a b;", ""},
		{"half a question", "30:web1 a@gmail", ""},
		{"a tcp table", "get a@gmail.com\nget a@example.net\nget a%40gmail.com\r\n", "200 ukai:[127.0.0.1]:2525,%20gmail.com\n500 none\n200 ukai:[127.0.0.1]:2525,%20gmail.com\n"},
		{"a tcp table that is to be written", "put a b\n", "500 only%20get\n"},
		{"a tcp table with half a sign", "get a%4\n", ""},
		{"an endless line", "get " + strings.Repeat("a", 100_000), ""},
		{"exim", "exim web1 a@gmail.com\n", "ukai:[127.0.0.1]:2525, gmail.com"},
		{"exim without a line end", "exim web1 gmail.com", "ukai:[127.0.0.1]:2525, gmail.com"},
		{"exim, another provider", "exim web1 a@example.net\n", ""},
		{"exim asks once", "exim web1 gmail.com\nexim web1 gmail.com\n", "ukai:[127.0.0.1]:2525, gmail.com"},
		{"exim without a key", "exim web1\n", ""},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", ""},
		{"TLS", "\x16\x03\x01\x02\x00", ""},
		{"nothing", "", ""},
	} {
		if got := exchange(t, at, c.say); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTableQuestionsAreAboutTheServerThatTheSettingsName(t *testing.T) {
	d, at := serving(t)
	d.set(Server{Name: "web1", Egress: "direct", Answer: answer}, Server{Name: "web2", Answer: answer})
	if got := exchange(t, at, "get a@gmail.com\n"); got != "500 none\n" {
		t.Errorf("of two servers: %q", got)
	}
	d.Configure(Options{Default: "web1"})
	if got := exchange(t, at, "get a@gmail.com\n"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("of the one in the settings: %q", got)
	}
}

func TestAQuestionInPiecesIsAnswered(t *testing.T) {
	_, at := serving(t)
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	say := ns("web1 a@gmail.com")
	for i := range len(say) - 1 {
		if _, err := io.WriteString(c, say[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(c, say[len(say)-1:]+say[:5]); err != nil { // and the beginning of the next one
		t.Fatal(err)
	}
	if got, _, err := readNetstring(r, nil, maxReply); err != nil || string(got) != "OK ukai:[127.0.0.1]:2525, gmail.com" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestWhatAWrapperSawIsHandedOn(t *testing.T) {
	d, at := serving(t)
	told := `{"outcome":{"phase":"end-of-data","reply":{"Code":550},"host":"mx.example.net"},"recipient":"a@example.net","sender":"b@example.org"}`
	got := exchange(t, at, ns("observe web1 secret of web1 {}")+ns("observe web1 wrong "+told)+ns("observe web9 x "+told)+ns("observe web1"))
	denied := ns("PERM no such server, or not its secret")
	if want := denied + denied + denied + ns("PERM observe NAME SECRET JSON"); got != want {
		t.Errorf("%q", got)
	}
	if len(d.told) != 0 {
		t.Fatalf("believed: %+v", d.told)
	}
	d.Check = func(name, secret string) bool { return name == "web1" && secret == "word" }
	if got := exchange(t, at, ns("observe web1 word "+told)+ns("observe web1 word {")); got != ns("OK ")+ns("PERM not an observation") {
		t.Errorf("%q", got)
	}
	if len(d.told) != 1 || d.told[0].Server != "web1" || d.told[0].Recipient != "a@example.net" || d.told[0].Outcome.Reply.Code != 550 ||
		d.told[0].Outcome.Phase != outcome.EndOfData || d.told[0].Outcome.At.IsZero() {
		t.Errorf("%+v", d.told)
	}
}

func TestTheStatusFilterTellsAndSoftens(t *testing.T) {
	d, at := serving(t)
	key := "5.7.1 host mx.google.com[192.0.2.1] said: 550-5.7.1 very low reputation 550 5.7.1 of the sending IP (in reply to end of DATA command)"
	got := exchange(t, at, ns("web1/status "+key)+ns("web1/status 2.0.0 250 ok")+ns("web1/status "+strings.Replace(key, "550-", "551-", 2)))
	if want := ns("OK 4"+key[1:]) + ns("NOTFOUND "); !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	if len(d.told) < 1 {
		t.Fatal("nothing was told")
	}
	o := d.told[0].Outcome
	if o.Host != "mx.google.com" || o.Remote.Addr().String() != "192.0.2.1" || o.Phase != outcome.EndOfData || o.Reply.Code != 550 {
		t.Errorf("%+v", o)
	}
}

func TestAUnixSocketIsForItsGroupAndReplacesOnlyTheDead(t *testing.T) {
	d, _ := serving(t)
	dir, err := os.MkdirTemp("", "steer") // t.TempDir is too deep for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	d.listen("unix:" + path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if got := exchange(t, path, ns("web1 a@gmail.com")); !strings.Contains(got, "OK ") {
		t.Errorf("%q", got)
	}
	if l, err := Listen(t.Context(), ListenOptions{Address: path}); err == nil {
		l.Close()
		t.Error("a socket that is in use was taken")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(t.Context(), ListenOptions{Address: file}); err == nil {
		l.Close()
		t.Error("a file was taken for a socket")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the file: %q %v", b, err)
	}
}

func TestTooManyConnectionsAreClosedAndTheOthersServed(t *testing.T) {
	_, at := serving(t)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range maxTalks + 20 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	last := open[len(open)-1]
	last.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := last.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("one above the limit is not closed: %v", err)
	}
	first := open[0]
	first.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(first, ns("web1 a@gmail.com")); err != nil {
		t.Fatal(err)
	}
	if got, _, err := readNetstring(bufio.NewReader(first), nil, maxReply); err != nil || !bytes.HasPrefix(got, []byte("OK ")) {
		t.Errorf("one within it: %q %v", got, err)
	}
}

func TestLookupsAreCounted(t *testing.T) {
	d, at := serving(t)
	exchange(t, at, ns("web1 a@gmail.com")+ns("web1 a@example.net"))
	st := d.Status()
	if len(st) != 1 || st[0].Lookups != 2 || st[0].Detours != 1 || st[0].P99 <= 0 || st[0].P99 > time.Second || st[0].Heard.IsZero() || len(st[0].Shut) != 1 {
		t.Errorf("%+v", st)
	}
}

func FuzzANetstringIsReadOrRefused(f *testing.F) {
	for _, s := range []string{"3:a b,", "0:,", "00:,", "9999999999:", "3:a b", ":", "12:hello world!,1:x,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), 64)
		var spare []byte
		var again []byte
		for {
			var text []byte
			var err error
			if text, spare, err = readNetstring(r, spare, 1000); err != nil {
				break
			}
			again = appendNetstring(again, string(text))
		}
		if !bytes.HasPrefix(in, again) {
			t.Fatalf("%q was read as %q", in, again)
		}
	})
}

func FuzzWhateverComesIsAnsweredOrClosed(f *testing.F) {
	d := newFuzzDesk(f)
	for _, s := range []string{ns("web1 a@gmail.com"), "get a%40b.c\n", "exim web1 gmail.com\n", ns("observe web1 s {}"), ns("web1/status 5.7.1 host a[192.0.2.1] said: 550 no"), "put\n", "7:"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		done := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(theirs)
			done <- b
		}()
		talk := &talk{s: d, conn: ours, in: bufio.NewReaderSize(io.MultiReader(bytes.NewReader(in)), buffered)}
		talk.serve()
		ours.Close()
		out := <-done
		theirs.Close()
		if len(in) > 0 && in[0] >= '0' && in[0] <= '9' {
			r := bufio.NewReader(bytes.NewReader(out))
			for {
				if _, _, err := readNetstring(r, nil, maxReply); errors.Is(err, io.EOF) {
					return
				} else if err != nil {
					t.Fatalf("%q was answered %q", in, out)
				}
			}
		}
	})
}

func FuzzATableLineKeepsItsOctets(f *testing.F) {
	f.Add("a b%c\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(nil, s)
		if bytes.ContainsAny(q, " \n\r") {
			t.Fatalf("%q", q)
		}
		if back, ok := unquote(bytes.Clone(q)); !ok || string(back) != s {
			t.Fatalf("%q: %q", s, back)
		}
		unquote([]byte(s))
	})
}

func FuzzAStatusIsReadOrLeft(f *testing.F) {
	f.Add("5.7.1 host mx.google.com[192.0.2.1] said: 550-5.7.1 a 550 5.7.1 b (in reply to end of DATA command)")
	f.Add("2.0.0 250 ok")
	f.Add("4.4.1 connect to mx[192.0.2.1]:25: Connection refused")
	f.Fuzz(func(t *testing.T, key string) {
		if told, ok := readStatus(key); ok && (told.Outcome.Reply.Code < 200 || told.Outcome.Host == "") {
			t.Fatalf("%q: %+v", key, told)
		}
	})
}
