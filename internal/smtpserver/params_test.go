package smtpserver

import (
	"strings"
	"testing"

	"ukai/internal/mail"
)

func TestMailParams(t *testing.T) {
	for in, want := range map[string]mail.Envelope{
		"":                                   {},
		" ":                                  {},
		"  size=12 ":                         {Size: 12},
		" SIZE=00000000000000000012":         {Size: 12},
		" SIZE=99999999999999999999":         {Size: 1<<63 - 1},
		" BODY=8bitmime":                     {EightBit: true},
		" body=7BIT":                         {},
		" SMTPUTF8 REQUIRETLS":               {UTF8: true, RequireTLS: true},
		" RET=Full ENVID=+41b+2B":            {Ret: "FULL", EnvID: "Ab+"},
		" AUTH=<>":                           {},
		" AUTH=a+2Bb@test BODY=7BIT":         {},
		" ENVID=" + strings.Repeat("x", 100): {EnvID: strings.Repeat("x", 100)},
	} {
		var got mail.Envelope
		if f := parseMailParams([]byte(in), &got, true); f != paramOK || got.Size != want.Size || got.EightBit != want.EightBit || got.UTF8 != want.UTF8 ||
			got.RequireTLS != want.RequireTLS || got.Ret != want.Ret || got.EnvID != want.EnvID {
			t.Errorf("%q: %d, %+v", in, f, got)
		}
	}
	for in, want := range map[string]paramFault{
		" SIZE=-1": paramSyntax, " SIZE=": paramSyntax, " SIZE": paramSyntax, " SIZE=1=2": paramSyntax, " SIZE=000000000000000000001": paramSyntax,
		" SIZE=1 SIZE=1": paramSyntax, " SMTPUTF8=1": paramSyntax, " REQUIRETLS=1": paramSyntax, " SMTPUTF8 SMTPUTF8": paramSyntax,
		" BODY": paramSyntax, " BODY=8": paramSyntax, " BODY=BinaryMIME": paramUnknown, " BODY=7BIT BODY=8BITMIME": paramSyntax,
		" RET=ALL": paramSyntax, " RET": paramSyntax, " ENVID=": paramSyntax, " ENVID=+4": paramSyntax, " ENVID=+0A": paramSyntax, " ENVID=+4g": paramSyntax,
		" ENVID=+": paramSyntax, " ENVID=+FF": paramSyntax, " ENVID=" + strings.Repeat("x", 101): paramSyntax, " AUTH": paramSyntax, " AUTH=+": paramSyntax,
		" AUTH=ü": paramSyntax, " AUTH=ü+41": paramSyntax, " X": paramUnknown, " X=y": paramUnknown, " X-Y=z": paramUnknown, " -X=z": paramSyntax, " X_Y": paramSyntax,
		"X=1": paramSyntax, " =1": paramSyntax, " X=\x01": paramSyntax, " X=\xff": paramSyntax, " X=\x7f": paramSyntax, " SIZE=1\tBODY=7BIT": paramSyntax,
	} {
		var got mail.Envelope
		if f := parseMailParams([]byte(in), &got, true); f != want {
			t.Errorf("%q: %d, want %d", in, f, want)
		}
	}
	if f := parseMailParams([]byte(" REQUIRETLS"), &mail.Envelope{}, false); f != paramUnknown {
		t.Errorf("REQUIRETLS without TLS: %d", f)
	}
}

func TestRcptParams(t *testing.T) {
	for in, want := range map[string]mail.Recipient{
		"":                                  {},
		" notify=never":                     {Notify: mail.NotifyNever},
		" NOTIFY=SUCCESS,failure,DELAY":     {Notify: mail.NotifySuccess | mail.NotifyFailure | mail.NotifyDelay},
		" ORCPT=rfc822;a+2Bb@test":          {ORcpt: "rfc822;a+b@test"},
		" ORCPT=RFC822;a@test NOTIFY=DELAY": {ORcpt: "RFC822;a@test", Notify: mail.NotifyDelay},
		` ORCPT=utf-8;\x{6F22}+\x{e4}@test`: {ORcpt: "utf-8;漢+ä@test"},
		" ORCPT=utf-8;漢@test":               {ORcpt: "utf-8;漢@test"},
	} {
		var got mail.Recipient
		if f := parseRcptParams([]byte(in), &got); f != paramOK || got != want {
			t.Errorf("%q: %d, %+v", in, f, got)
		}
	}
	for in, want := range map[string]paramFault{
		" NOTIFY": paramSyntax, " NOTIFY=": paramSyntax, " NOTIFY=NEVER,DELAY": paramSyntax, " NOTIFY=ALWAYS": paramSyntax, " NOTIFY=DELAY,": paramSyntax,
		" NOTIFY=DELAY NOTIFY=DELAY": paramSyntax, " ORCPT=a@b": paramSyntax, " ORCPT=;a": paramSyntax, " ORCPT=rfc822;": paramSyntax, " ORCPT": paramSyntax,
		" ORCPT=rfc822;ü": paramSyntax, " ORCPT=rfc(822;a": paramSyntax, " ORCPT=rfc822;+0D+0A": paramSyntax, " ORCPT=rfc822;" + strings.Repeat("x", 500): paramSyntax,
		` ORCPT=utf-8;\x{41`: paramSyntax, ` ORCPT=utf-8;\41`: paramSyntax, ` ORCPT=utf-8;\x{}`: paramSyntax, ` ORCPT=utf-8;\x{D800}`: paramSyntax,
		` ORCPT=utf-8;\x{xy}`: paramSyntax, ` ORCPT=utf-8;\x{0000041}`: paramSyntax, ` ORCPT=utf-8;\x{0A}`: paramSyntax, " SIZE=1": paramUnknown, "x": paramSyntax,
	} {
		var got mail.Recipient
		if f := parseRcptParams([]byte(in), &got); f != want {
			t.Errorf("%q: %d, want %d", in, f, want)
		}
	}
}

// FuzzParams: what is accepted holds nothing that could break a line of a report or of a command.
func FuzzParams(f *testing.F) {
	f.Add([]byte(" SIZE=1 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb AUTH=<>"))
	f.Add([]byte(` NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\x{6F22}@x`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var env mail.Envelope
		if parseMailParams(b, &env, true) == paramOK && (!isPrintable(env.EnvID) || env.Size < 0 || env.Ret != "" && env.Ret != "FULL" && env.Ret != "HDRS") {
			t.Fatalf("%q: %+v", b, env)
		}
		var r mail.Recipient
		if parseRcptParams(b, &r) == paramOK && (!isPrintable(r.ORcpt) || r.Notify&mail.NotifyNever != 0 && r.Notify != mail.NotifyNever) {
			t.Fatalf("%q: %+v", b, r)
		}
	})
}
