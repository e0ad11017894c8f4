package cli

import (
	"strings"
	"testing"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/watch"
)

func TestASourceIsToldWithWhatItReadOrWhatKeepsItFromThat(t *testing.T) {
	log := api.Source{Name: "web1", Kind: "log", Where: "/var/log/mail.log", Read: 1200, Counts: watch.Counts{Seen: 34, Refused: 5}}
	box := api.Source{Name: "box", Kind: "imap", Where: "postmaster imap.example.org:993 INBOX", Read: 7, Counts: watch.Counts{Seen: 6, Refused: 2}}
	ill := log
	ill.Trouble = &api.Words{EN: "it may not be read", JA: "読めません"}
	for _, c := range []struct {
		lang i18n.Lang
		s    api.Source
		want []string
	}{
		{i18n.EN, log, []string{`"web1"`, "/var/log/mail.log", "lines read", "34", "5 of them"}},
		{i18n.JA, log, []string{"「web1」", "行を読み", "34 件", "5 件"}},
		{i18n.EN, box, []string{`"box"`, "INBOX", "7 mails", "6 reports", "2 of them"}},
		{i18n.JA, box, []string{"「box」", "7 通", "通知 6 件"}},
		{i18n.EN, ill, []string{`"web1"`, "it may not be read"}},
		{i18n.JA, ill, []string{"「web1」", "読めません"}},
	} {
		var out, errs strings.Builder
		e := at(&out, &errs, nil)
		e.lang = c.lang
		got := e.source(&c.s)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q has no %q", got, want)
			}
		}
	}
}
