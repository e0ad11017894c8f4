package watch

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/peersim"
)

// dovecot is a private Dovecot on loopback with one user, whose mailbox is a Maildir.
type dovecot struct {
	t           *testing.T
	plain, tls  int // ports
	ca, maildir string
	log         string
	process     *exec.Cmd
	conf        string
	program     string
}

const (
	dovecotUser     = "postmaster"
	dovecotPassword = "open sesame"
)

// startDovecot starts a Dovecot and stops it at the end of the test. extra are lines of its configuration.
func startDovecot(t *testing.T, extra string) *dovecot {
	t.Helper()
	d := &dovecot{t: t}
	for _, path := range []string{"/usr/sbin/dovecot", "/usr/local/sbin/dovecot"} {
		if _, err := os.Stat(path); err == nil {
			d.program = path
		}
	}
	if d.program == "" {
		t.Fatal("dovecot is missing: apt-get install dovecot-imapd (sh scripts/test does it when run as root)")
	}
	if os.Getuid() != 0 {
		t.Fatal("Dovecot gives up the rights of root, so these tests run as root")
	}
	dir, err := os.MkdirTemp("", "ukai-dovecot-") // t.TempDir is too deep for its sockets and closed to its users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.plain, d.tls = freePort(t), freePort(t)
	d.maildir, d.log, d.conf = filepath.Join(dir, "mail"), filepath.Join(dir, "log"), filepath.Join(dir, "dovecot.conf")
	d.ca = certificateFor(t, dir)
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(d.maildir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "-R", "mail:mail", d.maildir).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s", err, out)
	}
	put(t, filepath.Join(dir, "users"), dovecotUser+":{PLAIN}"+dovecotPassword+"\n")
	put(t, d.conf, fmt.Sprintf(`
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[2]s
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
disable_plaintext_auth = no
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%[3]s
service imap-login {
  chroot =
  inet_listener imap {
    port = %[4]d
  }
  inet_listener imaps {
    port = %[5]d
    ssl = yes
  }
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=%[1]s
}
%[6]s
`, dir, d.log, d.maildir, d.plain, d.tls, extra))
	d.start()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			text, _ := os.ReadFile(d.log)
			t.Logf("log of Dovecot:\n%s", text)
		}
	})
	return d
}

func (d *dovecot) start() {
	d.t.Helper()
	var out bytes.Buffer
	d.process = exec.Command(d.program, "-F", "-c", d.conf)
	d.process.Stderr, d.process.Stdout = &out, &out
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, "Dovecot", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.plain))
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		hello := make([]byte, 4)
		_, err = conn.Read(hello)
		return err == nil && string(hello) == "* OK"
	})
}

func (d *dovecot) stop() {
	if d.process == nil {
		return
	}
	_ = d.process.Process.Signal(syscall.SIGTERM)
	if err := d.process.Wait(); err != nil {
		d.t.Log("Dovecot:", err)
	}
	d.process = nil
}

// deliver puts a mail into the mailbox, as a delivery agent does.
func (d *dovecot) deliver(name, text string) {
	d.t.Helper()
	tmp := filepath.Join(d.maildir, "tmp", name)
	put(d.t, tmp, text)
	if out, err := exec.Command("chown", "mail:mail", tmp).CombinedOutput(); err != nil {
		d.t.Fatalf("chown: %v %s", err, out)
	}
	rename(d.t, tmp, filepath.Join(d.maildir, "new", name))
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := peersim.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// certificateFor makes cert.pem and key.pem for localhost, and returns the file of the authority: the certificate itself.
func certificateFor(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	put(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return filepath.Join(dir, "cert.pem")
}

// options are those of a Source that reads the mailbox.
func (d *dovecot) options() IMAPOptions {
	return IMAPOptions{
		Name: "box", Host: "localhost", Port: d.tls, TLS: IMAPImplicit, CA: d.ca, Username: dovecotUser, Password: dovecotPassword, Mailbox: "INBOX",
	}
}

// mailbox is a Hub that reads one mailbox.
type mailbox struct {
	*house
	imap *IMAP
	told chan Observation
	end  func()
}

func readMailbox(t *testing.T, o IMAPOptions, p *Places) *mailbox {
	t.Helper()
	x := newHouse(t, Options{})
	b := &mailbox{house: x, told: make(chan Observation, 100)}
	x.Seen = func(o *Observation) { b.told <- *o }
	b.imap = NewIMAP(o, x.Hub, p, x.log.logger())
	x.Set([]Entry{{Source: b.imap}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of ukai:\n%s", x.log)
		}
	})
	ended := false
	b.end = func() {
		if cancel(); !ended {
			ended = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(b.end)
	return b
}

// next waits for an observation.
func (b *mailbox) next() Observation {
	b.t.Helper()
	select {
	case o := <-b.told:
		return o
	case <-time.After(30 * time.Second):
		b.t.Fatalf("nothing is told; status %+v\n%s", b.Status(), b.log)
		return Observation{}
	}
}

// flags are those of each mail in a folder, by its name; sizes, which Dovecot adds to names, are left out.
func (d *dovecot) flags(folder string) map[string]string {
	d.t.Helper()
	all := make(map[string]string)
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(d.maildir, folder, sub))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			d.t.Fatal(err)
		}
		for _, e := range entries {
			name, flags, _ := strings.Cut(e.Name(), ":2,")
			name, _, _ = strings.Cut(name, ",")
			all[name] = flags
		}
	}
	return all
}

func TestReportsAreReadByIMAPAndOtherMailIsLeftUnread(t *testing.T) {
	d, p := startDovecot(t, ""), places(t)
	d.deliver("1.a", bounceMail(time.Now(), "u1@gmail.com", "m1@example.jp"))
	d.deliver("2.b", letter)
	d.deliver("3.c", bounceMail(time.Now(), "u3@gmail.com", "m3@example.jp")+strings.Repeat("a line of the message that was sent back\r\n", 100_000)) // 4 MB
	b := readMailbox(t, d.options(), p)
	for _, want := range []string{"u1@gmail.com", "u3@gmail.com"} {
		if o := b.next(); o.Recipient != want || o.Verdict.Class != "ip_reputation" || o.Outcome.Provider != "google" || o.Late || o.Source != "box" {
			t.Errorf("%+v", o)
		}
	}
	eventually(t, "idle", func() bool { return b.imap.Gauge().Read == 3 })
	d.deliver("4.d", bounceMail(time.Now(), "u4@gmail.com", "m4@example.jp")) // told of by IDLE
	if o := b.next(); o.Recipient != "u4@gmail.com" {
		t.Errorf("%+v", o)
	}
	eventually(t, "marks", func() bool {
		f := d.flags("")
		return f["1.a"] == "a" && f["2.b"] == "" && f["3.c"] == "a" && f["4.d"] == "a" // "a" is the first keyword
	})
	b.end()
	d.deliver("5.e", bounceMail(time.Now(), "u5@gmail.com", "m5@example.jp"))
	b = readMailbox(t, d.options(), p) // a restart goes on behind the last UID
	if o := b.next(); o.Recipient != "u5@gmail.com" {
		t.Errorf("%+v", o)
	}
	eventually(t, "one mail", func() bool { return b.imap.Gauge().Read == 1 })
	s := b.Status()
	if len(s) != 1 || s[0].Kind != "imap" || s[0].Trouble != nil || s[0].Seen != 1 {
		t.Errorf("%+v", s)
	}
	b.end()
	b = readMailbox(t, d.options(), places(t)) // without its memory it goes by the marks
	eventually(t, "the letter", func() bool { return b.imap.Gauge().Read == 1 })
	if strings.Contains(b.log.String(), dovecotPassword) {
		t.Error("the password is in the log")
	}
}

func TestReportsAreMovedToAFolderThatIsMade(t *testing.T) {
	d := startDovecot(t, "")
	d.deliver("1.a", bounceMail(time.Now(), "u1@gmail.com", "m1@example.jp"))
	d.deliver("2.b", letter)
	d.deliver("3.c", bounceMail(time.Now(), "u3@gmail.com", "m3@example.jp"))
	o := d.options()
	o.Folder, o.TLS, o.Port = "ukai-done", IMAPStartTLS, d.plain
	b := readMailbox(t, o, places(t))
	b.next()
	b.next()
	eventually(t, "move", func() bool { return len(d.flags(".ukai-done")) == 2 && len(d.flags("")) == 1 })
}

func TestAMailboxThatWasMadeAnewIsReadFromItsStart(t *testing.T) {
	d, p := startDovecot(t, ""), places(t)
	if err := p.save(t.Context(), "box", "INBOX", uidPlace{Validity: 1, Last: 5000}); err != nil {
		t.Fatal(err)
	}
	d.deliver("1.a", bounceMail(time.Now(), "u1@gmail.com", "m1@example.jp"))
	if o := readMailbox(t, d.options(), p).next(); o.Recipient != "u1@gmail.com" {
		t.Errorf("%+v", o)
	}
}

func TestAServerWithoutIDLEIsAskedAgain(t *testing.T) {
	d := startDovecot(t, "imap_capability = IMAP4rev1 UIDPLUS\n")
	o := d.options()
	o.Host, o.Port, o.TLS, o.CA, o.Poll = "127.0.0.1", d.plain, IMAPPlain, "", 10*time.Millisecond
	b := readMailbox(t, o, places(t))
	eventually(t, "contact", func() bool { return !b.imap.Gauge().Contact.IsZero() })
	d.deliver("1.a", bounceMail(time.Now(), "u1@gmail.com", "m1@example.jp"))
	if o := b.next(); o.Recipient != "u1@gmail.com" {
		t.Errorf("%+v", o)
	}
}

func TestAServerThatWasAwayIsFoundAgain(t *testing.T) {
	d := startDovecot(t, "")
	b := readMailbox(t, d.options(), places(t))
	eventually(t, "contact", func() bool { return !b.imap.Gauge().Contact.IsZero() })
	d.stop()
	eventually(t, "trouble", func() bool { s := b.Status(); return len(s) == 1 && s[0].Trouble != nil })
	d.start()
	d.deliver("1.a", bounceMail(time.Now(), "u1@gmail.com", "m1@example.jp"))
	if o := b.next(); o.Recipient != "u1@gmail.com" {
		t.Errorf("%+v", o)
	}
	if s := b.Status(); s[0].Trouble != nil {
		t.Errorf("the trouble is still told: %v", s[0].Trouble)
	}
}

func TestWhatIsWrongWithAMailboxIsSaid(t *testing.T) {
	d := startDovecot(t, "")
	for name, c := range map[string]struct {
		change func(o *IMAPOptions)
		key    string
	}{
		"a wrong password":                {func(o *IMAPOptions) { o.Password = "let me in" }, "watch.imap.login"},
		"a certificate of nobody's":       {func(o *IMAPOptions) { o.CA = "" }, "watch.imap.tls"},
		"one for another name":            {func(o *IMAPOptions) { o.Host = "127.0.0.1" }, "watch.imap.tls"},
		"the same after STARTTLS":         {func(o *IMAPOptions) { o.Host, o.Port, o.TLS = "127.0.0.1", d.plain, IMAPStartTLS }, "watch.imap.tls"},
		"no authority":                    {func(o *IMAPOptions) { o.CA = d.conf }, "watch.imap.tls"},
		"no mailbox":                      {func(o *IMAPOptions) { o.Mailbox = "None" }, "watch.imap.mailbox"},
		"nobody there":                    {func(o *IMAPOptions) { o.Port = freePort(t) }, "watch.imap.connect"},
		"TLS where none is":               {func(o *IMAPOptions) { o.Port = d.plain }, "watch.imap.tls"},
		"a host that is not to be found ": {func(o *IMAPOptions) { o.Host = "none.invalid" }, "watch.imap.connect"},
	} {
		t.Run(name, func(t *testing.T) {
			x, o := newHouse(t, Options{}), d.options()
			c.change(&o)
			err := NewIMAP(o, x.Hub, places(t), x.log.logger()).Run(t.Context(), func(Observation) {})
			var told *i18n.Error
			if !errors.As(err, &told) || told.Key != c.key {
				t.Fatalf("%v, want %s", err, c.key)
			}
			for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
				if text := told.Text(l); strings.Contains(text, o.Password) || !strings.Contains(text, o.Host) {
					t.Error(text)
				}
			}
		})
	}
}

func TestAPasswordIsNotSentInTheClearToAnotherMachine(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.IsLoopback()
	})
	if at < 0 {
		t.Fatal("this machine has no loopback")
	}
	m := NewIMAP(IMAPOptions{TLS: IMAPPlain}, nil, nil, newHouse(t, Options{}).log.logger())
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "192.0.2.1": false} {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c, err := m.secure(t.Context(), &elsewhere{ours, &net.TCPAddr{IP: net.ParseIP(ip)}}, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", ip, err)
		}
		if c != nil {
			c.Close()
		}
	}
}

// elsewhere is a connection that says where its other end is.
type elsewhere struct {
	net.Conn
	remote net.Addr
}

func (e *elsewhere) RemoteAddr() net.Addr { return e.remote }
