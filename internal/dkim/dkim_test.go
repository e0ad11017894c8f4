package dkim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"ukai/internal/i18n"
)

// keys are made once: an RSA key takes its time.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	m := make(map[string]crypto.Signer)
	for name, bits := range map[string]int{"rsa": 2048, "rsa1024": 1024, "ed25519": 0} {
		k, err := Generate(bits)
		if err != nil {
			panic(err)
		}
		m[name] = k
	}
	return m
})

// zone answers with the records of the keys.
func zone(t *testing.T, all []Key) func(string) ([]string, error) {
	t.Helper()
	records := make(map[string]string)
	for _, k := range all {
		name, value, err := Record(&k)
		if err != nil {
			t.Fatal(err)
		}
		records[name] = value
	}
	return func(name string) ([]string, error) {
		if v, ok := records[name]; ok {
			return []string{v}, nil
		}
		return nil, fmt.Errorf("no record at %s", name)
	}
}

func sign(t *testing.T, s *Signer, content string, piece int) (string, []string) {
	t.Helper()
	st := s.Begin()
	for rest := content; rest != ""; {
		n := min(piece, len(rest))
		if w, err := st.Write([]byte(rest[:n])); w != n || err != nil {
			t.Fatalf("Write: %d, %v", w, err)
		}
		rest = rest[n:]
	}
	lines, domains, err := st.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return string(lines), domains
}

func verify(t *testing.T, content string, lookup func(string) ([]string, error)) []*dkim.Verification {
	t.Helper()
	v, err := dkim.VerifyWithOptions(strings.NewReader(content), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const message = "Received: from a\r\nFrom: =?utf-8?Q?Taro?= <taro@example.jp>\r\nTo: hanako@gmail.com,\r\n\tjiro@gmail.com\r\nSubject:  order   1 \r\nDate: Mon, 15 Apr 2019 09:00:00 +0900\r\nMessage-ID: <1@example.jp>\r\nList-Unsubscribe: <https://example.jp/u>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThank you  for your order. \r\n\r\n.\r\n\xe6\xb3\xa8\xe6\x96\x87\r\n\r\n\r\n"

func testSigner(t *testing.T) (*Signer, []Key) {
	t.Helper()
	all := []Key{
		{Domain: "Example.JP.", Selector: "S1", Private: keys()["rsa"]},
		{Domain: "example.jp", Selector: "e1", Private: keys()["ed25519"]},
		{Domain: "example.org", Selector: "old", Private: keys()["rsa1024"], Subdomains: true},
		{Domain: "sub.example.org", Selector: "own", Private: keys()["ed25519"]},
		{Domain: "例え.jp", Selector: "u", Private: keys()["ed25519"]},
	}
	s, err := NewSigner(all)
	if err != nil {
		t.Fatal(err)
	}
	return s, all
}

func TestSignaturesVerifyHoweverTheContentComesInPieces(t *testing.T) {
	s, all := testSigner(t)
	for _, piece := range []int{1, 2, 7, 100, 1 << 20} {
		lines, domains := sign(t, s, message, piece)
		if !slices.Equal(domains, []string{"example.jp"}) || strings.Count(lines, "DKIM-Signature:") != 2 {
			t.Fatalf("signed for %v:\n%s", domains, lines)
		}
		for _, v := range verify(t, "Received: by later\r\n"+lines+message, zone(t, all)) {
			if v.Err != nil {
				t.Errorf("in pieces of %d: %v", piece, v.Err)
			}
		}
		for line := range strings.Lines(lines) {
			if !strings.HasSuffix(line, "\r\n") || len(line) > 1000 {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
	}
}

func TestEveryChangeOfOneOctetIsSeen(t *testing.T) {
	s, all := testSigner(t)
	lines, _ := sign(t, s, message, 1<<20)
	lookup := zone(t, all)
	signed := strings.Index(message, "From:")
	for i := signed; i < len(message); i++ {
		if strings.IndexByte(" \t\r\n", message[i]) >= 0 { // relaxed: blanks may change
			continue
		}
		changed := []byte(message)
		changed[i] ^= 2
		if strings.IndexByte(" \t\r\n:", changed[i]) >= 0 {
			continue
		}
		if i < strings.Index(message, "\r\n\r\n") && strings.IndexByte(message[i:], ':') > 0 && lineStart(message, i) {
			changed[i] = message[i] ^ 0x20 // a field name in other case is the same name: must still verify
			for _, v := range verify(t, lines+string(changed), lookup) {
				if v.Err != nil {
					t.Errorf("octet %d in other case: %v", i, v.Err)
				}
			}
			continue
		}
		for _, v := range verify(t, lines+string(changed), lookup) {
			if v.Err == nil {
				t.Errorf("octet %d (%q) changed and the signature still verifies", i, message[i])
			}
		}
	}
}

func lineStart(s string, i int) bool { return i == 0 || s[i-1] == '\n' }

func TestASecondFieldOnTopBreaksTheSignature(t *testing.T) {
	s, all := testSigner(t)
	lines, _ := sign(t, s, message, 1<<20)
	for _, forged := range []string{"From: boss@example.jp\r\n", "Subject: hello\r\n", "To: all@example.net\r\n", "Content-Type: text/html\r\n", "Date: x\r\n"} {
		for _, v := range verify(t, forged+lines+message, zone(t, all)) {
			if v.Err == nil {
				t.Errorf("%q on top and the signature still verifies", forged)
			}
		}
	}
	for _, allowed := range []string{"Sender: list@example.net\r\n", "Reply-To: list@example.net\r\n", "X-Spam: no\r\n", "Received: x\r\n"} {
		for _, v := range verify(t, allowed+lines+message, zone(t, all)) {
			if v.Err != nil {
				t.Errorf("%q on top breaks the signature: %v", allowed, v.Err)
			}
		}
	}
}

func TestTheKeyIsChosenByTheFromDomain(t *testing.T) {
	s, all := testSigner(t)
	for _, c := range []struct {
		name, header string
		want         []string
	}{
		{"the domain itself", "From: a@example.org\r\n", []string{"example.org"}},
		{"a subdomain without a key of its own", "From: a@www.example.org\r\n", []string{"example.org"}},
		{"a subdomain of a subdomain, the nearest key is not for subdomains", "From: a@x.sub.example.org\r\n", []string{"example.org"}},
		{"a subdomain with a key of its own", "From: a@sub.example.org\r\n", []string{"sub.example.org"}},
		{"a parent whose key is not for subdomains", "From: a@www.example.jp\r\n", nil},
		{"another domain", "From: a@example.net\r\n", nil},
		{"a domain that ends like ours", "From: a@notexample.org\r\n", nil},
		{"a domain beyond ASCII", "From: a@例え.JP\r\n", []string{"xn--r8jz45g.jp"}},
		{"no From", "To: a@example.org\r\n", nil},
		{"two From fields", "From: a@example.org\r\nFrom: b@example.net\r\n", nil},
		{"an address literal", "From: a@[192.0.2.1]\r\n", nil},
		{"a header that never ends", "From: a@example.org\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := c.header + "\r\nbody\r\n"
			lines, domains := sign(t, s, content, 1000)
			if !slices.Equal(domains, c.want) || (lines == "") != (c.want == nil) {
				t.Fatalf("signed for %v, want %v", domains, c.want)
			}
			if lines == "" {
				return
			}
			for _, v := range verify(t, lines+content, zone(t, all)) {
				if v.Err != nil {
					t.Error(v.Err)
				}
			}
		})
	}
}

func TestOddContentIsSigned(t *testing.T) {
	s, all := testSigner(t)
	for name, c := range map[string]struct{ content, sent string }{
		"an empty body":                         {"From: a@example.org\r\n\r\n", "From: a@example.org\r\n\r\n"},
		"a body of empty lines":                 {"From: a@example.org\r\n\r\n\r\n\r\n", "From: a@example.org\r\n\r\n\r\n\r\n"},
		"no blank line":                         {"From: a@example.org\r\n", "From: a@example.org\r\n\r\n"},
		"no line end":                           {"From: a@example.org", "From: a@example.org\r\n\r\n"},
		"a body without a last line end":        {"From: a@example.org\r\n\r\nx", "From: a@example.org\r\n\r\nx\r\n"},
		"trailing blanks before the body's end": {"From: a@example.org\r\n\r\nx \t\r\n \r\n\r\n", "From: a@example.org\r\n\r\nx\r\n"},
		"many fields of a kind":                 {"From: a@example.org\r\n" + strings.Repeat("List-Id: x\r\n", 50) + "\r\n", "From: a@example.org\r\n" + strings.Repeat("List-Id: x\r\n", 50) + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			lines, _ := sign(t, s, c.content, 5)
			if lines == "" {
				t.Fatal("not signed")
			}
			for _, v := range verify(t, lines+c.sent, zone(t, all)) {
				if v.Err != nil {
					t.Error(v.Err)
				}
			}
		})
	}
	if lines, _ := sign(t, s, "", 1); lines != "" {
		t.Error("nothing was signed")
	}
}

func TestAbortLeavesNothingRunning(t *testing.T) {
	s, _ := testSigner(t)
	st := s.Begin()
	st.Write([]byte(message))
	st.Abort()
	st.Abort()
	if lines, _, err := st.Sign(); lines != nil || err != nil {
		t.Errorf("after Abort: %q, %v", lines, err)
	}
	s.Begin().Abort()
}

type failing struct{ crypto.Signer }

var errDevice = errors.New("the device is gone")

func (failing) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, errDevice
}

func TestAKeyThatFailsIsTold(t *testing.T) {
	s, err := NewSigner([]Key{{Domain: "example.org", Selector: "s", Private: failing{keys()["ed25519"]}}})
	if err != nil {
		t.Fatal(err)
	}
	st := s.Begin()
	st.Write([]byte("From: a@example.org\r\n\r\nx\r\n"))
	if _, _, err := st.Sign(); !errors.Is(err, errDevice) {
		t.Errorf("got %v", err)
	}
}

func TestNewSignerRefusesWhatReceiversWould(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	short.N.Rsh(short.N, 600)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := keys()["ed25519"]
	for want, list := range map[string][]Key{
		"dkim.key.short":    {{Domain: "example.org", Selector: "s", Private: short}},
		"dkim.key.kind":     {{Domain: "example.org", Selector: "s", Private: other}},
		"dkim.key.none":     {{Domain: "example.org", Selector: "s"}},
		"dkim.key.domain":   {{Domain: "localhost", Selector: "s", Private: ed}},
		"dkim.key.selector": {{Domain: "example.org", Selector: "a b; d=x", Private: ed}},
		"dkim.key.twice":    {{Domain: "example.org", Selector: "s", Private: ed}, {Domain: "EXAMPLE.org.", Selector: "S", Private: ed}},
	} {
		_, err := NewSigner(list)
		var e *i18n.Error
		if !errors.As(err, &e) || e.Key != want {
			t.Errorf("want %s, got %v", want, err)
			continue
		}
		if text := e.Text(i18n.JA) + e.Text(i18n.EN); strings.ContainsAny(text, "{}") {
			t.Errorf("a value is missing: %s", text)
		}
	}
	for _, domain := range []string{"", "a b.org", "example..org", "-x.org", "[192.0.2.1]", "a;b.org", strings.Repeat("a", 64) + ".org"} {
		if _, err := NewSigner([]Key{{Domain: domain, Selector: "s", Private: ed}}); err == nil {
			t.Errorf("%q is taken for a domain", domain)
		}
	}
}

func TestKeysAreWrittenAndReadAgain(t *testing.T) {
	for name, k := range keys() {
		text, err := MarshalPEM(k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePEM(append([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), text...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, _ := MarshalPEM(got); !bytes.Equal(again, text) {
			t.Errorf("%s came back changed", name)
		}
	}
	if got := (&Key{Private: keys()["rsa"]}).Bits(); got != 2048 {
		t.Errorf("Bits = %d", got)
	}
	if got := (&Key{Private: keys()["ed25519"]}).Bits() + (&Key{}).Bits(); got != 0 {
		t.Errorf("Bits = %d", got)
	}
	if _, err := Generate(512); err == nil {
		t.Error("a key of 512 bits was made")
	}
}

func TestRecordIsAnswerableAndItsZoneLineIsCut(t *testing.T) {
	name, value, err := Record(&Key{Domain: "Example.org", Selector: "S1", Private: keys()["rsa"]})
	if err != nil || name != "s1._domainkey.example.org" || !strings.HasPrefix(value, "v=DKIM1; k=rsa; p=") {
		t.Fatalf("%s %s %v", name, value, err)
	}
	line := ZoneLine(name, value)
	parts := strings.Split(line, `"`)
	joined := ""
	for i := 1; i < len(parts); i += 2 {
		if len(parts[i]) > 255 {
			t.Errorf("a string of %d octets", len(parts[i]))
		}
		joined += parts[i]
	}
	if joined != value || len(parts) < 5 || !strings.HasPrefix(line, name+". IN TXT (") {
		t.Errorf("zone line %s", line)
	}
	_, value, err = Record(&Key{Domain: "example.org", Selector: "e", Private: keys()["ed25519"]})
	if pub, ok := keys()["ed25519"].Public().(ed25519.PublicKey); err != nil || !ok || len(pub) != 32 || !strings.HasPrefix(value, "v=DKIM1; k=ed25519; p=") {
		t.Errorf("%s %v", value, err)
	}
}

func FuzzSignVerifies(f *testing.F) {
	f.Add("Subject: x\r\n", "body \r\n\r\n", 3)
	f.Add("To: a\r\n b\r\nTo: c\r\n", "\t\r\n.", 1)
	all := []Key{{Domain: "example.org", Selector: "e", Private: keys()["ed25519"]}}
	s, err := NewSigner(all)
	if err != nil {
		f.Fatal(err)
	}
	crlf := func(in string) string { // what package smtpserver lets in
		in = strings.ReplaceAll(in, "\r", "")
		return strings.ReplaceAll(in, "\n", "\r\n")
	}
	f.Fuzz(func(t *testing.T, header, body string, piece int) {
		if piece &= 255; piece == 0 {
			piece = 1
		}
		content := "From: a@example.org\r\n" + strings.TrimLeft(crlf(header), " \t") + "\r\n\r\n" + crlf(body)
		lines, _ := sign(t, s, content, piece)
		if lines == "" {
			return // the header brought a From or a blank line of its own
		}
		for _, v := range verify(t, lines+content, zone(t, all)) {
			if v.Err != nil && !strings.Contains(strings.ToLower(header), "dkim-signature") {
				t.Fatalf("%v\n%q", v.Err, lines+content)
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, name := range []string{"rsa", "ed25519"} {
		for _, size := range []int{4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%dKB", name, size>>10), func(b *testing.B) {
				s, err := NewSigner([]Key{{Domain: "example.jp", Selector: "s", Private: keys()[name]}})
				if err != nil {
					b.Fatal(err)
				}
				content := []byte(message + strings.Repeat("0123456789 123456789 123456789 123456789 123456789\r\n", size/52))
				b.ReportAllocs()
				for b.Loop() {
					st := s.Begin()
					st.Write(content)
					if _, _, err := st.Sign(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
