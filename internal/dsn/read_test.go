package dsn

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// TestEachFormIsReadAsExpected reads the mails of testdata/read: reports of all forms, broken ones, and what is no report. What
// is expected stands beside each in a .json file; the test writes it with -update.
func TestEachFormIsReadAsExpected(t *testing.T) {
	files, err := filepath.Glob("testdata/read/*.eml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			got, err := json.MarshalIndent(Read(readFile(t, file)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := strings.TrimSuffix(file, ".eml") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := readFile(t, golden); !bytes.Equal(got, want) {
				t.Errorf("differs from %s (run the test with -update after looking at it):\n%s", golden, got)
			}
		})
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachKindIsRecognised(t *testing.T) {
	for name, want := range map[string]Kind{
		"postfix": Bounce, "delay": Bounce, "success": Success, "arf": Complaint, "receipt": AutoReply, "challenge": AutoReply,
		"vacation-en": AutoReply, "vacation-ja": AutoReply, "vacation-de": AutoReply, "vacation-fr": AutoReply,
		"ordinary-en": Ordinary, "ordinary-ja": Ordinary, "ordinary-about-bounces": Ordinary, "forwarded-attached": Bounce, "forwarded-inline": Bounce,
	} {
		if r := Read(readFile(t, "testdata/read/"+name+".eml")); r.Kind != want {
			t.Errorf("%s is %s, want %s", name, r.Kind, want)
		}
	}
}

// TestOrdinaryMailIsNoReport lets people and shops use the words of reports.
func TestOrdinaryMailIsNoReport(t *testing.T) {
	for subject, body := range map[string]string{
		"Delivery failed: your parcel":         "Dear customer,\n\nyour parcel could not be delivered because nobody was at home.\nQuestions? Write to help@parcels.example.\n",
		"Delivery notification":                "Your order has been shipped and will be delivered tomorrow.\n",
		"Your mailbox":                         "Hi. This is the plumber. The mailbox in front of your house was full of water.\n",
		"the letter":                           "The message that you sent me was lovely. The address was not found by the postman, though.\n",
		"log":                                  "I found this in the log:\n\nremote server returned 550 5.7.1 for info@example.net\n\nWhat does it mean?\n",
		"=?UTF-8?B?44K344K544OG44Og6YCa55+l?=": "処理中にエラーが発生しました。昨日のメールが送信できませんでした。\n",
		"=?UTF-8?B?6YWN6YCB44Gu44GK55+l44KJ44Gb?=": "お荷物をお届けできませんでした。再配達をお申し込みください。\n",
		"Zustellung Ihres Pakets":                  "Ihr Paket konnte nicht zugestellt werden.\nFragen: hilfe@paket.example\n",
		"Votre colis":                              "Votre colis n'a pas pu être remis. Merci de nous contacter.\n",
		"unknown":                                  "Who is the user unknown to you? The recipient address was rejected by the bank.\n",
	} {
		b := "Return-Path: <info@example.com>\nFrom: Shop <info@example.com>\nTo: me@example.org\nSubject: " + subject + "\nContent-Type: text/plain; charset=utf-8\n\n" + body
		if r := Read([]byte(b)); r.Kind != Ordinary {
			t.Errorf("%q is %s (%s): %+v", subject, r.Kind, r.Format, r.Results)
		}
	}
}

// TestAnswersOfMachinesAreNoReports lets automatic answers speak of mail and mailboxes.
func TestAnswersOfMachinesAreNoReports(t *testing.T) {
	for header, body := range map[string]string{
		"Subject: Out of Office: undeliverable\n":                                          "My mailbox is full of mail; I am out of the office.\n",
		"Subject: Re: Order\nAuto-Submitted: auto-replied\n":                               "Your message has been delivered to my assistant.\n",
		"Subject: Re: Order\nX-Autoreply: yes\n":                                           "I will answer soon.\n",
		"Subject: Re: Order\nPrecedence: auto_reply\n":                                     "Thank you.\n",
		"Subject: Automatische Antwort: Bestellung\n":                                      "Ich bin bis Montag nicht da. Ihre Nachricht wird nicht weitergeleitet.\n",
		"Subject: =?UTF-8?B?6Ieq5YuV6L+U5L+h?=\nAuto-Submitted: auto-generated\n":          "お問い合わせありがとうございます。\n",
		"Subject: Lu : Commande\nAuto-Submitted: auto-replied\n":                           "Votre message a été lu.\n",
		"Subject: Respuesta automática: pedido\nContent-Type: text/plain; charset=utf-8\n": "Estoy fuera de la oficina.\n",
	} {
		b := "Return-Path: <>\nFrom: Hanako <hanako@example.net>\nTo: me@example.org\n" + header + "\n" + body
		if r := Read([]byte(b)); r.Kind != AutoReply {
			t.Errorf("%q is %s (%s): %+v", header, r.Kind, r.Format, r.Results)
		}
	}
}

func TestTheTokenIsAmongTheAddressesOfEveryReport(t *testing.T) {
	files, err := filepath.Glob("testdata/read/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		r := Read(readFile(t, file))
		if !slices.Contains(r.To, "bounce+k3jq9x@example.com") {
			t.Errorf("%s: %q", file, r.To)
		}
	}
}

// TestBrokenReportsSayTheSameAsTheWholeOne compares the broken variants of one report with it.
func TestBrokenReportsSayTheSameAsTheWholeOne(t *testing.T) {
	whole := Read(readFile(t, "testdata/read/postfix.eml")).Results[0]
	for _, name := range []string{"broken-no-boundary", "broken-type", "broken-mixed-ends", "broken-cr-only", "broken-unfolded"} {
		r := Read(readFile(t, "testdata/read/"+name+".eml"))
		if len(r.Results) != 1 {
			t.Errorf("%s has %d results", name, len(r.Results))
			continue
		}
		got := r.Results[0]
		if got.Recipient != whole.Recipient || got.Status != whole.Status || got.Text != whole.Text || got.Host != whole.Host || got.Reply.String() != whole.Reply.String() {
			t.Errorf("%s: %+v\nwant %+v", name, got, whole)
		}
	}
}

func TestAReplyOfManyLinesIsTakenApart(t *testing.T) {
	r := Read(readFile(t, "testdata/read/postfix.eml")).Results[0]
	if r.Reply.Code != 550 || r.Reply.Status != (mail.Status{Class: 5, Subject: 7, Detail: 1}) || len(r.Reply.Lines) != 5 {
		t.Errorf("%d %v %d lines: %q", r.Reply.Code, r.Reply.Status, len(r.Reply.Lines), r.Reply.Lines)
	}
	if !r.PhaseKnown || r.Phase != outcome.EndOfData || r.Host != "aspmx.l.google.com" || r.Given != "hanako@example.org" {
		t.Errorf("%+v", r)
	}
}

func TestTheReplyInATextIsFound(t *testing.T) {
	for text, want := range map[string]string{
		"550 5.1.1 no": "550 5.1.1 no",
		"host mx.example.net[192.0.2.1] said: 550 no (in reply to RCPT TO command)": "550 no",
		"550-first 550-second 550 third":                                            "550 first second third",
		"Unknown address error 550-'5.7.1 no'":                                      "550 '5.7.1 no'",
		"the 550 pages of the report":                                               "0",
		"delivery to 192.0.2.250 failed":                                            "0",
		"error was 451 4.7.1 later":                                                 "451 4.7.1 later",
		"smtp; 421-4.7.0 slow 421 4.7.0 down":                                       "421 4.7.0 slow down",
		"":                                                                          "0",
		"550":                                                                       "550",
		"250 ok":                                                                    "250 ok",
	} {
		got := parseReply(text)
		if got.String() != want {
			t.Errorf("%q: %q, want %q", text, got.String(), want)
		}
	}
}

func TestCharsetsAreDecoded(t *testing.T) {
	jis := "\x1b$B%a!<%k\x1b(B"
	for name, c := range map[string]struct{ label, in, want string }{
		"ISO-2022-JP":                     {"iso-2022-jp", jis, "メール"},
		"ISO-2022-JP under a wrong label": {"us-ascii", jis, "メール"},
		"Shift_JIS":                       {"shift_jis", "\x83\x81\x81\x5b\x83\x8b", "メール"},
		"Shift_JIS without label":         {"", "\x83\x81\x81\x5b\x83\x8b\x82\xcc", "メールの"},
		"EUC-JP":                          {"euc-jp", "\xa5\xe1\xa1\xbc\xa5\xeb", "メール"},
		"EUC-JP that says ASCII":          {"us-ascii", "\xa5\xe1\xa1\xbc\xa5\xeb\xa4\xce", "メールの"},
		"UTF-8 that says Latin-1":         {"iso-8859-1", "メール", "メール"},
		"Latin-1 that says UTF-8":         {"utf-8", "Empf\xe4nger", "Empfänger"},
		"windows-1252":                    {"windows-1252", "\x93caf\xe9\x94", "“café”"},
		"cp1251":                          {"cp1251", "\xdf\xf9\xe8\xea", "Ящик"},
		"KOI8-R":                          {"koi8-r", "\xf1\xdd\xc9\xcb", "Ящик"},
		"GB2312":                          {"gb2312", "\xcd\xcb\xd0\xc5", "退信"},
		"Big5":                            {"big5", "\xb0\x68\xab\x48", "退信"},
		"EUC-KR":                          {"ks_c_5601-1987", "\xb9\xdd\xbc\xdb", "반송"},
		"ISO-2022-KR":                     {"iso-2022-kr", "\x1b$)C\x0e9]<[\x0f", "반송"},
		"UTF-7":                           {"utf-7", "a+AEA-b +- c", "a@b + c"},
		"UTF-7 of Exchange":               {"unicode-1-1-utf-7", "+MOEw/DDr-", "メール"},
		"a label that nobody knows":       {"x-nobody", "caf\xe9", "café"},
		"plain ASCII under any label":     {"euc-jp", "plain", "plain"},
	} {
		if got := string(toUTF8([]byte(c.in), c.label)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestHeaderTextsAreDecoded(t *testing.T) {
	for in, want := range map[string]string{
		"=?UTF-8?B?44Oh44O844Or?= =?UTF-8?B?44Ko44Op44O8?=": "メールエラー",
		"=?iso-8859-1?Q?Empf=E4nger_weg?= ok":               "Empfänger weg ok",
		"=?us-ascii*en?Q?language?=":                        "language",
		"=?broken":                                          "=?broken",
		"=?utf-8?X?abc?=":                                   "=?utf-8?X?abc?=",
		"plain\n folded":                                    "plain folded",
		"\x1b$B%a!<%k\x1b(B":                                "メール",
	} {
		if got := headerText([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestParametersOfRFC2231AreRead(t *testing.T) {
	m := parseMedia([]byte("Multipart/Report; report-type=\"delivery-status\";\n\tboundary*0=\"ab\"; boundary*1=cd; charset*=us-ascii'en'utf%2D8"))
	if m.kind != "multipart/report" || string(m.boundary) != "abcd" || m.report != "delivery-status" || m.charset != "utf-8" {
		t.Errorf("%+v %q", m, m.boundary)
	}
}

// TestWhatWeWriteWeRead builds reports of any recipients and reads them: nothing may get lost on the way.
func TestWhatWeWriteWeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := failure()
		r.Recipients = nil
		n := rapid.IntRange(1, 5).Draw(t, "recipients")
		for i := range n {
			code := rapid.SampledFrom([]int{550, 552, 554, 421, 451}).Draw(t, "code")
			st := mail.Status{Class: code / 100, Subject: rapid.IntRange(0, 7).Draw(t, "subject"), Detail: rapid.IntRange(1, 30).Draw(t, "detail")}
			words := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,9}( [a-z]{1,9}){0,6}`), 1, 4).Draw(t, "lines")
			for k := range words {
				words[k] = st.String() + " " + words[k]
			}
			act := Failed
			if code < 500 {
				act = Delayed
			}
			r.Recipients = append(r.Recipients, Recipient{
				Recipient: mail.Recipient{Addr: rapid.StringMatching(`[a-z][a-z0-9+.-]{0,8}[a-z0-9]`).Draw(t, "local") + string(rune('a'+i)) + "@example.net"},
				Action:    act, Status: st, Reply: mail.Reply{Code: code, Status: st, Lines: words}, Host: "mx.example.net",
			})
		}
		m, err := Build(then, r)
		if err != nil {
			t.Fatal(err)
		}
		got := Read(m.Content)
		if got.Kind != Bounce || got.Original.MessageID != "1@example.jp" || got.Original.EnvID != "QQ314159" || got.Reporter != "relay.example.net" || len(got.Results) != n {
			t.Fatalf("%+v", got)
		}
		for i, x := range got.Results {
			want := r.Recipients[i]
			if x.Recipient != want.Addr || x.Action != want.Action || x.Status != want.Status || x.Host != want.Host || x.Reply.Code != want.Reply.Code || !slices.Equal(x.Reply.Lines, want.Reply.Lines) {
				t.Fatalf("%+v\nwant %+v", x, want)
			}
		}
	})
}

func TestOurUnicodeReportIsReadBack(t *testing.T) {
	m, err := Build(then, unicodeReport())
	if err != nil {
		t.Fatal(err)
	}
	r := Read(m.Content)
	if len(r.Results) != 1 || r.Results[0].Recipient != "花子@例え.jp" || r.Results[0].Given != "花子+x@例え.jp" || !strings.Contains(r.Results[0].Text, "花子: 不明") {
		t.Errorf("%+v", r.Results)
	}
}

func TestReadFromKeepsToItsLimit(t *testing.T) {
	b := readFile(t, "testdata/read/postfix.eml")
	in := bytes.NewReader(append(b, make([]byte, 100)...))
	r, err := ReadFrom(in, int64(len(b)))
	if err != nil || r.Kind != Bounce || len(r.Skipped) != 1 {
		t.Fatalf("%v %s %q", err, r.Kind, r.Skipped)
	}
	broken := errors.New("broken")
	r, err = ReadFrom(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken)), 0)
	if !errors.Is(err, broken) || r.Kind != Bounce {
		t.Fatalf("%v %s", err, r.Kind)
	}
}

func TestWhatIsReadOwnsItsStrings(t *testing.T) {
	b := readFile(t, "testdata/read/postfix.eml")
	r := Read(b)
	before, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 'X'
	}
	if after, err := json.Marshal(r); err != nil || !bytes.Equal(before, after) {
		t.Errorf("%v: the reading changed with the mail", err)
	}
}

func TestTheVocabularyCanBeRead(t *testing.T) {
	v, err := newVocabulary(formsFile)
	if err != nil || len(v.phrases) < 500 || len(v.find.found) > 1<<16-1 || v.find.width > 250 {
		t.Fatalf("%v: %d phrases, %d states, %d classes", err, len(v.phrases), len(v.find.found), v.find.width)
	}
	var f forms
	if err := toml.Unmarshal(formsFile, &f); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{f.Ends, f.Noise, f.Says, f.Labels, f.Trailing, f.Hosts, f.Delays, f.Replies, f.Complains, f.Senders} {
		for i, s := range list {
			if s == "" || s != strings.ToLower(s) || strings.Contains(s, "*") || strings.Contains(s, "  ") || slices.Contains(list[:i], s) {
				t.Errorf("a bad phrase, or one that stands twice: %q", s)
			}
		}
	}
	if _, err := newVocabulary([]byte("[[form]\n")); err == nil {
		t.Error("a broken file was taken")
	}
}

// FuzzRead holds Read to its promise for anything: it ends, within its limits, and gives what can be printed.
func FuzzRead(f *testing.F) {
	for _, dir := range []string{"testdata/*.eml", "testdata/read/*.eml"} {
		files, err := filepath.Glob(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		copied := bytes.Clone(b)
		r := Read(b)
		if !bytes.Equal(b, copied) {
			t.Fatal("the mail was written to")
		}
		checkReading(t, r)
		if again := Read(b); again.Kind != r.Kind || len(again.Results) != len(r.Results) {
			t.Fatal("read differently the second time")
		}
	})
}

// checkReading fails the test for a reading that no mail may give.
func checkReading(t *testing.T, r *Reading) {
	t.Helper()
	switch r.Kind {
	case Bounce, Success, Complaint:
		if len(r.Results) == 0 && r.Format != "rfc3464" && r.Format != "ses" {
			t.Fatalf("%s without results", r.Kind)
		}
	case AutoReply, Ordinary:
		if len(r.Results) > 0 {
			t.Fatalf("%s with results", r.Kind)
		}
	default:
		t.Fatalf("kind %q", r.Kind)
	}
	if len(r.Results) > MaxResults || len(r.To) > maxAddrs || len(r.Words) > 2*MaxReason || len(r.Skipped) > 64 {
		t.Fatalf("beyond the limits: %d results, %d addresses, %d octets of words", len(r.Results), len(r.To), len(r.Words))
	}
	for _, x := range r.Results {
		if len(x.Text) > 2*MaxReason || strings.ContainsAny(x.Text+x.Recipient+x.Host, "\r\n") || len(x.Reply.Lines) > maxLines {
			t.Fatalf("a bad result: %+v", x)
		}
	}
}
