package mail

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func scan(content string, piece int) HeaderInfo {
	var h HeaderScan
	for len(content) > 0 {
		n := min(piece, len(content))
		h.Write([]byte(content[:n]))
		content = content[n:]
	}
	return h.Info()
}

func TestHeaderScanFindsWhatMatters(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          HeaderInfo
	}{
		{"an everyday message", "Received: from a\r\n\tby b\r\nReceived: from c\r\nMessage-ID: <1@x.org>\r\nDate: Mon, 15 Apr 2019 09:00:00 +0900\r\nFrom: Taro <taro@Example.JP>\r\n\r\nFrom: nobody@else.org\r\n",
			HeaderInfo{MessageID: "1@x.org", FromDomain: "example.jp", FromFields: 1, Received: 2, Date: true, Size: 137, Complete: true}},
		{"no header at all", "\r\nbody", HeaderInfo{Size: 2, Complete: true}},
		{"nothing", "", HeaderInfo{}},
		{"a header without body", "From: a@b.org\r\n", HeaderInfo{FromDomain: "b.org", FromFields: 1, Size: 15}},
		{"a header that ends in the middle of a line", "From: a@b.org", HeaderInfo{FromDomain: "b.org", FromFields: 1, Size: 13}},
		{"lone line feeds", "From: a@b.org\nDate: x\n\nbody", HeaderInfo{FromDomain: "b.org", FromFields: 1, Date: true, Size: 23, Complete: true}},
		{"folded values", "From: \r\n a@\r\n\tb.org\r\nMessage-ID:\r\n <2@\r\n y>\r\n\r\n", HeaderInfo{FromDomain: "b.org", FromFields: 1, MessageID: "2@y", Size: 47, Complete: true}},
		{"names in any case, blanks before the colon", "fROM : a@b.org\r\nmessage-id\t:<3@z>\r\n\r\n", HeaderInfo{FromDomain: "b.org", FromFields: 1, MessageID: "3@z", Size: 37, Complete: true}},
		{"two From fields: the first counts, both are counted", "From: a@one.org\r\nFrom: b@two.org\r\n\r\n", HeaderInfo{FromDomain: "one.org", FromFields: 2, Size: 36, Complete: true}},
		{"two Message-IDs", "Message-ID: <1@a>\r\nMessage-ID: <2@a>\r\n\r\n", HeaderInfo{MessageID: "1@a", Size: 40, Complete: true}},
		{"lines that are no fields", "From root Mon Apr 15\r\n>odd\r\nFrom: a@b.org\r\n\r\n", HeaderInfo{FromDomain: "b.org", FromFields: 1, Size: 45, Complete: true}},
		{"a continuation of a line that is no field", "junk\r\n From: a@b.org\r\n\r\n", HeaderInfo{Size: 24, Complete: true}},
		{"a very long name", strings.Repeat("x", 200) + ": 1\r\nDate: x\r\n\r\n", HeaderInfo{Date: true, Size: 216, Complete: true}},
		{"List-Unsubscribe", "List-Unsubscribe: <https://a/>\r\n\r\n", HeaderInfo{Bulk: true, Size: 34, Complete: true}},
		{"List-Id", "List-ID: x <x.y>\r\n\r\n", HeaderInfo{Bulk: true, Size: 20, Complete: true}},
		{"Precedence bulk", "Precedence: Bulk\r\n\r\n", HeaderInfo{Bulk: true, Size: 20, Complete: true}},
		{"Precedence junk, folded", "Precedence:\r\n junk \r\n\r\n", HeaderInfo{Bulk: true, Size: 23, Complete: true}},
		{"Precedence list, then first-class", "Precedence: list\r\nPrecedence: first-class\r\n\r\n", HeaderInfo{Bulk: true, Size: 45, Complete: true}},
		{"Precedence first-class", "Precedence: first-class\r\n\r\n", HeaderInfo{Size: 27, Complete: true}},
		{"an automatic reply", "Auto-Submitted: auto-replied; owner-email=a@b\r\n\r\n", HeaderInfo{Auto: true, Size: 49, Complete: true}},
		{"typed by a person", "Auto-Submitted: no (really)\r\n\r\n", HeaderInfo{Size: 31, Complete: true}},
		{"a Message-ID with controls and broken UTF-8", "Message-ID: <a\x00b\xff\x7fc\u0085\u3042@d>\r\n\r\n", HeaderInfo{MessageID: "abc\u3042@d", Size: 31, Complete: true}},
		{"a Message-ID without brackets", "Message-ID: 7@z \r\n\r\n", HeaderInfo{MessageID: "7@z", Size: 20, Complete: true}},
		{"a lone CR at a line's start ends nothing", "\rDate: x\r\nFrom: a@b.org\r\n\r\n", HeaderInfo{FromDomain: "b.org", FromFields: 1, Date: true, Size: 27, Complete: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
				if got := scan(c.content, piece); got != c.want {
					t.Errorf("in pieces of %d: got %+v\nwant %+v", piece, got, c.want)
				}
			}
		})
	}
}

func TestFirstMailboxDomain(t *testing.T) {
	for in, want := range map[string]string{
		"a@b.org":                             "b.org",
		" a@B.Org. ":                          "b.org",
		"Taro Yamada <taro@example.jp>":       "example.jp",
		`"Yamada, Taro" <taro@example.jp>`:    "example.jp",
		`Yamada, Taro <taro@example.jp>`:      "example.jp",
		`"a\"<x@evil.org>" <taro@example.jp>`: "example.jp",
		"service@bank.example <x@evil.org>":   "evil.org", // the display name is not the address
		"=?utf-8?B?5bGx55Sw?= <y@e.jp>":       "e.jp",
		"=?utf-8?Q?a=40b.org?=":               "",
		"(c (nested) \\) x@y.org) a@b.org":    "b.org",
		"a@b.org (x@y.org)":                   "b.org",
		"a@(c)b.(d)org":                       "b.org",
		"a@b . org":                           "b.org",
		"a@b.org other words":                 "b.org",
		"a@b.org, c@d.org":                    "b.org",
		"Friends: a@b.org, c@d.org;":          "b.org",
		"Undisclosed recipients:;":            "",
		"Nobody:; , a@b.org":                  "b.org",
		"<@hop.org,@hop2.org:a@b.org>":        "b.org",
		`"a@b"@c.org`:                         "c.org",
		`<"a>b"@c.org>`:                       "c.org",
		"a@[192.0.2.1]":                       "",
		"a@[IPv6:2001:db8::1]":                "",
		"<>":                                  "",
		"":                                    "",
		"root":                                "",
		"root, a@b.org":                       "b.org",
		"a@":                                  "",
		"a@b..org":                            "",
		"a@.org":                              "",
		"a@b!c":                               "",
		"太郎@例え.JP":                            "例え.jp",
		"a@\xff\xfe.org":                      "",
		`"never closed <a@b.org>`:             "b.org",
		"(never closed <a@b.org>":             "b.org",
		"<a@b.org":                            "b.org",
		"a@" + strings.Repeat("x", 300):       "",
		"x@a_b-c.org":                         "a_b-c.org",
	} {
		if got := firstMailboxDomain([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestHeaderScanStopsAtItsLimit(t *testing.T) {
	long := "X: " + strings.Repeat("a", MaxHeader) + "\r\nFrom: a@b.org\r\n\r\n"
	got := scan(long, 4096)
	if got.Complete || got.Size != MaxHeader || got.FromDomain != "" {
		t.Errorf("got %+v", got)
	}
	var h HeaderScan
	h.Write([]byte(long))
	if !h.Done() {
		t.Error("it goes on above its limit")
	}
	if n, err := h.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("Write after the end: %d, %v", n, err)
	}
	h.Reset()
	if h.Done() || h.Info() != (HeaderInfo{}) {
		t.Error("Reset leaves something behind")
	}
}

func TestHeaderScanTakesALongFromFieldInPieces(t *testing.T) {
	from := "From: " + strings.Repeat("\"x\" \r\n ", 4000) + "<a@b.org>\r\n\r\n"
	if got := scan(from, 1000); got.FromDomain != "" || !got.Complete { // the address stands above maxFieldValue
		t.Errorf("got %+v", got)
	}
	from = "From: " + strings.Repeat("\"x\" \r\n ", 400) + "<a@b.org>\r\n\r\n"
	if got := scan(from, 1000); got.FromDomain != "b.org" {
		t.Errorf("got %+v", got)
	}
}

func TestHeaderScanAllocatesOnlyItsResults(t *testing.T) {
	content := []byte(everyday)
	var h HeaderScan
	if n := testing.AllocsPerRun(100, func() { h.Reset(); h.Write(content); h.Info() }); n > 3 { // From domain, Message-ID and its bytes
		t.Errorf("%v allocations", n)
	}
}

func FuzzHeaderScan(f *testing.F) {
	f.Add([]byte(everyday), 3)
	f.Add([]byte("From: \"a\\\"(<b@c>\r\n\t@x\r\nMessage-Id: <\r\n\r\n"), 1)
	f.Add([]byte("From:((((((((\"\"\"\"@\r\n\r\n"), 2)
	f.Fuzz(func(t *testing.T, content []byte, piece int) {
		if piece = piece & 1023; piece == 0 {
			piece = 1
		}
		whole, parts := scan(string(content), len(content)+1), scan(string(content), piece)
		if whole != parts {
			t.Fatalf("in one piece %+v, in pieces of %d %+v", whole, piece, parts)
		}
		if whole.Size > len(content) || !utf8.ValidString(whole.FromDomain) || !utf8.ValidString(whole.MessageID) || len(whole.FromDomain) > maxDomain {
			t.Fatalf("impossible: %+v", whole)
		}
		if strings.ContainsAny(whole.FromDomain+whole.MessageID, " \r\n\t\x00") {
			t.Fatalf("blanks or controls in %+v", whole)
		}
	})
}

func BenchmarkHeaderScan(b *testing.B) {
	content := []byte(everyday)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	var h HeaderScan
	for b.Loop() {
		h.Reset()
		h.Write(content)
		_ = h.Info()
	}
}

const everyday = "Return-Path: <taro@example.jp>\r\n" +
	"Received: from mail.example.jp (mail.example.jp [192.0.2.10])\r\n\tby relay.example.net (ukai) with ESMTPS id 01J0000000000;\r\n\tMon, 15 Apr 2019 09:00:00 +0900\r\n" +
	"Received: by mail.example.jp (Postfix, from userid 1000)\r\n\tid 4B1C2A0001; Mon, 15 Apr 2019 08:59:59 +0900 (JST)\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.jp;\r\n\ts=s1; t=1555286399; bh=g3zLYH4xKxcPrHOD18z9YfpQcnk/GaJedfustWU5uGs=;\r\n\th=From:To:Subject:Date:Message-ID; b=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n" +
	"Date: Mon, 15 Apr 2019 08:59:59 +0900\r\nFrom: =?UTF-8?B?5bGx55Sw5aSq6YOO?= <taro@example.jp>\r\nTo: hanako@gmail.com\r\n" +
	"Subject: =?UTF-8?B?5rOo5paH44GM56K66KqN44GV44KM44G+44GX44Gf?=\r\nMessage-ID: <20190415085959.4B1C2A0001@mail.example.jp>\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nhello\r\n"
