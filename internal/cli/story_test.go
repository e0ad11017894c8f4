package cli

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/journal"
	"ukai/internal/mail"
)

func TestEveryEventOfAMessageIsToldInBothLanguages(t *testing.T) {
	at := time.Date(2026, 4, 15, 9, 0, 0, 0, time.UTC)
	until := at.Add(time.Hour)
	rcpts := []string{"x@gmail.com", "y@gmail.com"}
	attempt := journal.Event{Kind: journal.Attempt, Recipients: rcpts, Egress: "direct", Provider: "google", Host: "mx.example", Phase: "rcpt", Took: 2 * time.Second}
	with := func(change func(e *journal.Event)) journal.Event {
		e := attempt
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		event  journal.Event
		en, ja []string
	}{
		"taken in by network": {
			journal.Event{Kind: journal.Accepted, From: "a@example.jp", Recipients: rcpts, Client: "127.0.0.1", Size: 7, MessageID: "m@example.jp"},
			[]string{"accepted from 127.0.0.1: <a@example.jp> to x@gmail.com, y@gmail.com, 7 octets", "Message-ID: <m@example.jp>"},
			[]string{"127.0.0.1 から受け付けました：<a@example.jp> から x@gmail.com, y@gmail.com 宛、7 オクテット", "Message-ID：<m@example.jp>"},
		},
		"a bounce without Message-ID from an account": {
			journal.Event{Kind: journal.Accepted, Recipients: rcpts[:1], Client: "::1", Account: "shop", Size: 7},
			[]string{"accepted from shop at ::1: <> to x@gmail.com, 7 octets"},
			[]string{"::1 の shop から受け付けました：<> から x@gmail.com 宛、7 オクテット"},
		},
		"a report of ukai itself": {
			journal.Event{Kind: journal.Accepted, Recipients: []string{"a@example.jp"}, Text: "1KP85WTM00000", Why: "dispatch.report.of"},
			[]string{"made by ukai to tell a@example.jp about message 1KP85WTM00000"},
			[]string{"メール 1KP85WTM00000 の件を a@example.jp に知らせるため ukai が作成しました"},
		},
		"a detour chosen": {
			journal.Event{Kind: journal.Decided, Egress: "relay", Preferred: "direct", Provider: "google", Why: "route.why.detour_blocked"},
			[]string{`way chosen: "relay"`, "google refuses mail over direct: the message takes the detour relay."},
			[]string{"経路の選択：「relay」", "google が direct からのメールを拒否しているため、relay に迂回します。"},
		},
		"a detour that would have been": {
			journal.Event{Kind: journal.Decided, Egress: "direct", Preferred: "direct", Would: "relay", Provider: "google", Why: "route.why.observe"},
			[]string{`way chosen: "direct" (observing only; acting, it would have been "relay")`, "google refused the message over direct; in observe mode no detour is taken."},
			[]string{"経路の選択：「direct」（観察のみ。実行モードなら「relay」）", "google が direct からのメールを拒否しましたが、観察モードのため迂回しません。"},
		},
		"delivered": {
			with(func(e *journal.Event) { e.Code, e.Text, e.Class = 250, "250 ok", "delivered" }),
			[]string{`delivered to x@gmail.com, y@gmail.com over "direct": mx.example (google) took it after 2 s: 250 ok`},
			[]string{"x@gmail.com, y@gmail.com に「direct」経由で配送しました：mx.example（google）が 2秒で受け取りました：250 ok"},
		},
		"delivered by a detour": {
			with(func(e *journal.Event) { e.Code, e.Text, e.Detour = 250, "250 ok", true }),
			[]string{`delivered to x@gmail.com, y@gmail.com by the detour "direct": mx.example (google) took it after 2 s: 250 ok`},
			[]string{"x@gmail.com, y@gmail.com に迂回路「direct」経由で配送しました：mx.example（google）が 2秒で受け取りました：250 ok"},
		},
		"delivered as a probe": {
			with(func(e *journal.Event) { e.Code, e.Text, e.Probe = 250, "250 ok", true }),
			[]string{`delivered to x@gmail.com, y@gmail.com over "direct", as a probe of a blocked path: mx.example (google) took it after 2 s: 250 ok`},
			[]string{"x@gmail.com, y@gmail.com に「direct」経由で、遮断中の経路の試験送信として配送しました：mx.example（google）が 2秒で受け取りました：250 ok"},
		},
		"refused, no rule matched": {
			with(func(e *journal.Event) { e.Code, e.Text, e.Class = 550, "550 no.", "user_unknown" }),
			[]string{`refused over "direct" for x@gmail.com, y@gmail.com by mx.example (google) at RCPT TO: 550 no.`,
				"judged as: no such recipient. " + i18n.Text(i18n.EN, "classify.what.user_unknown")},
			[]string{"「direct」経由では x@gmail.com, y@gmail.com 宛を mx.example（google）が拒否しました（RCPT TO）：550 no.",
				"判定：宛先不明。" + i18n.Text(i18n.JA, "classify.what.user_unknown")},
		},
		"refused by a rule": {
			with(func(e *journal.Event) {
				e.Code, e.Text, e.Class, e.Rule, e.Phase = 421, "421 later", "greylisted", "some.rule", "end-of-data"
			}),
			[]string{`refused over "direct" for x@gmail.com, y@gmail.com by mx.example (google) at end of data: 421 later`,
				"judged as: greylisting. " + i18n.Text(i18n.EN, "classify.what.greylisted") + " (rule some.rule)"},
			[]string{"「direct」経由では x@gmail.com, y@gmail.com 宛を mx.example（google）が拒否しました（本文の送信後）：421 later",
				"判定：グレーリスティング。" + i18n.Text(i18n.JA, "classify.what.greylisted") + "（規則 some.rule）"},
		},
		"no reply": {
			with(func(e *journal.Event) { e.Text, e.Phase = "connection refused", "connect" }),
			[]string{`not handed over "direct" for x@gmail.com, y@gmail.com (google) at connection: connection refused`},
			[]string{"「direct」経由では x@gmail.com, y@gmail.com 宛（google）を渡せませんでした（接続）：connection refused"},
		},
		"no receiver": {
			journal.Event{Kind: journal.Attempt, Recipients: rcpts[:1], Phase: "lookup", Text: "no such domain"},
			[]string{"no receiver found for x@gmail.com: no such domain"},
			[]string{"x@gmail.com の受信先が見つかりませんでした：no such domain"},
		},
		"put off": {
			journal.Event{Kind: journal.Deferred, Recipients: rcpts[:1], Until: until},
			[]string{"kept for x@gmail.com; next attempt at 2026-04-15 10:00:00"},
			[]string{"x@gmail.com 宛を保管し、2026-04-15 10:00:00 に再試行します"},
		},
		"put off for a reason": {
			journal.Event{Kind: journal.Deferred, Recipients: rcpts[:1], Provider: "google", Until: until, Why: "route.why.not_allowed"},
			[]string{"kept for x@gmail.com; next attempt at 2026-04-15 10:00:00", "No egress of the pool may carry mail of this sender to google."},
			[]string{"x@gmail.com 宛を保管し、2026-04-15 10:00:00 に再試行します", "この送信者から google へのメールを送れる出口がプールにありません。"},
		},
		"no way is open": {
			journal.Event{Kind: journal.Held, Recipients: rcpts[:1], Provider: "google", Preferred: "direct", Until: until, Why: "route.why.slow"},
			[]string{"waiting for x@gmail.com; looked at again at 2026-04-15 10:00:00 at the latest", "google asks for slower mail over direct: the message waits until 2026-04-15 10:00:00."},
			[]string{"x@gmail.com 宛は待機中です。遅くとも 2026-04-15 10:00:00 に改めて試します", "google が direct からの送信速度を下げるよう求めているため、2026-04-15 10:00:00 まで待ちます。"},
		},
		"given up": {
			journal.Event{Kind: journal.Bounced, Recipients: rcpts[:1], Text: "550 no such user.", Why: "dispatch.bounced.reported"},
			[]string{"given up for x@gmail.com: 550 no such user.", "The sender was told."},
			[]string{"x@gmail.com 宛の配送を断念しました：550 no such user.", "差出人に通知しました。"},
		},
		"the sender was warned": {
			journal.Event{Kind: journal.Warned, Recipients: rcpts[:1]},
			[]string{"the sender was told that x@gmail.com has to wait"},
			[]string{"x@gmail.com 宛が遅れていることを差出人に知らせました"},
		},
		"an order": {
			journal.Event{Kind: journal.Ordered, Why: "journal.order.delete"},
			[]string{"by order of the admin: deleted without a report"},
			[]string{"管理者の指示：通知なしで削除"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.event.At = at
			for l, want := range map[i18n.Lang][]string{i18n.EN: c.en, i18n.JA: c.ja} {
				got := story(l, &api.Story{ID: "1KP85WTM00000", Events: []journal.Event{c.event}})
				got = got[1 : len(got)-1]
				for i := range got {
					got[i] = strings.TrimPrefix(strings.TrimLeft(got[i], " "), "2026-04-15 09:00:00.000  ")
					if hole.MatchString(got[i]) || doubled.MatchString(got[i]) {
						t.Errorf("%s: a hole or a doubled stop in %q", l, got[i])
					}
				}
				if strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("%s:\ngot:\n%s\nwant:\n%s", l, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

var (
	hole    = regexp.MustCompile(`\{[a-z_]+\}|(trace|route|classify|dispatch|journal)\.[a-z]+\.`)
	doubled = regexp.MustCompile(`[.。][.。]|：：|: :|。 \(|\. \.`)
)

func TestEveryReasonOfARouteIsToldWithoutAHole(t *testing.T) {
	all, err := i18n.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for key := range all {
		if !strings.HasPrefix(key, "route.why.") {
			continue
		}
		told++
		e := journal.Event{Kind: journal.Held, Recipients: []string{"x@gmail.com"}, Egress: "relay", Preferred: "direct", Provider: "google", Why: key, Until: time.Unix(0, 0)}
		for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
			for _, line := range tell(l, &e) {
				if hole.MatchString(line) || doubled.MatchString(line) {
					t.Errorf("%s, %s: %q", key, l, line)
				}
			}
		}
	}
	if told < 10 {
		t.Errorf("%d reasons were told", told)
	}
}

func TestEveryVerdictIsToldWithoutAHole(t *testing.T) {
	all, err := i18n.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	for key := range all {
		class, ok := strings.CutPrefix(key, "classify.class.")
		if !ok || class == "delivered" {
			continue
		}
		e := journal.Event{Kind: journal.Attempt, Recipients: []string{"x@gmail.com"}, Egress: "direct", Provider: "google", Host: "mx", Phase: "rcpt", Code: 550, Text: "550 no", Class: class, Rule: "r"}
		for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
			lines := tell(l, &e)
			if len(lines) != 2 || hole.MatchString(lines[1]) || doubled.MatchString(lines[1]) {
				t.Errorf("%s, %s: %q", class, l, lines)
			}
		}
	}
}

func TestWhatIsLeftToDoIsTold(t *testing.T) {
	due := time.Date(2026, 4, 15, 9, 0, 0, 0, time.UTC)
	s := api.Story{ID: mail.ID(1).String(), Queued: &api.Message{Deliveries: []api.Delivery{
		{Recipients: []string{"x@example.net"}, Attempts: 3, Due: due}, {Recipients: []string{"y@example.org"}, Held: true},
	}}}
	for l, want := range map[i18n.Lang]string{
		i18n.EN: "Message 0000000000001|still here for x@example.net: 3 attempts so far, next at 2026-04-15 09:00:00|still here for y@example.org: held by an admin",
		i18n.JA: "メール 0000000000001|x@example.net 宛がまだキューにあります：これまでの試行 3 回、次は 2026-04-15 09:00:00|y@example.org 宛がまだキューにあります：管理者が保留しています",
	} {
		lines := story(l, &s)
		for i := range lines {
			lines[i] = strings.TrimLeft(lines[i], " ")
		}
		if got := strings.Join(lines, "|"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestSizesForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 120_000_000: "120 MB", 5e15: "5000 TB",
	} {
		if got := octets(n); got != want {
			t.Errorf("octets(%d) = %q, want %q", n, got, want)
		}
	}
}
