package cli

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/survey"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2019, 4, 16, 12, 30, 0, 0, time.Local)
	for s, want := range map[string][2]string{ // as a beginning, as an end
		"2019-04-15":                {"2019-04-15 00:00:00", "2019-04-16 00:00:00"},
		"2019-04-15 09:00":          {"2019-04-15 09:00:00", "2019-04-15 09:00:00"},
		"2019-04-15 09:00:30":       {"2019-04-15 09:00:30", "2019-04-15 09:00:30"},
		"2019-04-15T09:00:00+09:00": {"2019-04-15 00:00:00", "2019-04-15 00:00:00"},
		"3h":                        {"2019-04-16 09:30:00", "2019-04-16 09:30:00"},
		"2d":                        {"2019-04-14 12:30:00", "2019-04-14 12:30:00"},
		"1w":                        {"2019-04-09 12:30:00", "2019-04-09 12:30:00"},
		"yesterday":                 {"2019-04-15 00:00:00", "2019-04-16 00:00:00"},
		"today":                     {"2019-04-16 00:00:00", "2019-04-17 00:00:00"},
		"now":                       {"2019-04-16 12:30:00", "2019-04-16 12:30:00"},
	} {
		for i, end := range []bool{false, true} {
			if got, ok := when(s, now, end); !ok || got.Local().Format(time.DateTime) != want[i] {
				t.Errorf("%s (end %v): %v %v, want %s", s, end, got, ok, want[i])
			}
		}
	}
	for _, s := range []string{"", "d", "-3h", "-2d", "soon", "2019-13-01", "3x", "99999999d"} {
		if got, ok := when(s, now, false); ok {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestASpanHoldsItsBeginningAndNotItsEnd(t *testing.T) {
	a, b := time.Unix(100, 0), time.Unix(200, 0)
	for _, c := range []struct {
		s    timeSpan
		at   time.Time
		want bool
	}{
		{timeSpan{a, b}, a, true}, {timeSpan{a, b}, b, false}, {timeSpan{a, b}, time.Unix(150, 0), true}, {timeSpan{a, b}, time.Time{}, false},
		{timeSpan{}, time.Time{}, true}, {timeSpan{}, a, true}, {timeSpan{from: b}, a, false}, {timeSpan{to: a}, b, false},
	} {
		if got := c.s.holds(c.at); got != c.want {
			t.Errorf("%v holds %v: %v", c.s, c.at, got)
		}
	}
}

func TestTheUsualLogsAreFoundWithTheRotatedOnesEachOnce(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"mail.log": "x", "mail.log.1": "x", "mail.log.2.gz": "x", "mail.log-20190415": "x", "mail.log.bak": "x", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("mail.log", filepath.Join(dir, "maillog")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, path := range logsAmong([]string{filepath.Join(dir, "none"), filepath.Join(dir, "mail.log"), filepath.Join(dir, "maillog"), filepath.Join(dir, "empty"), dir}) {
		got = append(got, filepath.Base(path))
	}
	if want := "mail.log mail.log.1 mail.log.2.gz mail.log-20190415"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestSharesAreRoundedSoThatLittleIsNotNothing(t *testing.T) {
	for x, want := range map[float64]string{0: "0 %", 0.003: "0.3 %", 0.1: "10 %", 0.5: "50 %", 0.98: "98 %", 0.991: "99.1 %", 0.9999: "99.9 %", 1: "100 %"} {
		if got := share(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

func TestTheBusiestAndTheRefusingAreShown(t *testing.T) {
	var rows []survey.Provider
	for i := range 20 {
		rows = append(rows, survey.Provider{ID: fmt.Sprint(i), Totals: survey.Counts{Delivered: int64(i)}})
	}
	rows[0].Trouble = []survey.Episode{{}}
	kept := busiest(rows, 4)
	if len(kept) != 4 || kept[0].ID != "0" {
		t.Errorf("%v", kept)
	}
}

// sent is one message in the log of a Postfix.
func sent(b *strings.Builder, at time.Time, i int, to, relay, result string) {
	stamp := at.Format("2006-01-02T15:04:05-07:00")
	fmt.Fprintf(b, "%s mail postfix/qmgr[9]: 4A%06X: from=<info@shop.example>, size=1200, nrcpt=1 (queue active)\n", stamp, i)
	fmt.Fprintf(b, "%s mail postfix/smtp[8]: 4A%06X: to=<%s>, relay=%s[198.51.100.1]:25, delay=2, delays=0.1/0/1/0.9, %s\n", stamp, i, to, relay, result)
	fmt.Fprintf(b, "%s mail postfix/qmgr[9]: 4A%06X: removed\n", stamp, i)
}

func TestAPackedLogThatBreaksOffIsReadToThere(t *testing.T) {
	t.Chdir(t.TempDir())
	var b strings.Builder
	for i := range 20000 {
		sent(&b, time.Unix(1555290000+int64(i), 0).UTC(), i, "a@gmail.com", "gmail-smtp-in.l.google.com", fmt.Sprintf("dsn=2.0.0, status=sent (250 OK %d)", i*i))
	}
	f, err := os.Create("mail.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	size, err := f.Seek(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size / 2); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for lang, want := range map[string]string{"en": "breaks off", "ja": "途中で壊れています"} {
		var out, errs strings.Builder
		if code := run([]string{"--lang", lang, "logs", "mail.log.gz"}, at(&out, &errs, nil)); code != exitDone || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "google") {
			t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
		}
	}
}

func TestTheReportAsJSONHasWhatThePagePromises(t *testing.T) {
	t.Chdir(t.TempDir())
	var b strings.Builder
	for i := range 60 {
		result := "dsn=2.0.0, status=sent (250 OK)"
		if i >= 40 {
			result = "dsn=5.7.1, status=bounced (host gmail-smtp-in.l.google.com[198.51.100.1] said: 550-5.7.1 [192.0.2.25      18] Our system has detected that this message is 550-5.7.1 likely suspicious due to the very low reputation of the sending IP 550-5.7.1 address. (in reply to end of DATA command))"
		}
		sent(&b, time.Unix(1555290000+int64(60*i), 0).UTC(), i, "a@gmail.com", "gmail-smtp-in.l.google.com", result)
	}
	if err := os.WriteFile("mail.log", []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if code := run([]string{"--json", "logs", "mail.log"}, at(&out, &errs, nil)); code != exitFailed {
		t.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
	}
	var r struct {
		Files []string
		Read  struct {
			Lines   int64
			Servers map[string]int64
		}
		Totals    struct{ Delivered, Bounced int64 }
		Providers []struct {
			ID      string
			Refused int64
			IPs     []string
			Trouble []struct {
				Since  time.Time
				Share  float64
				Before float64
				Until  *time.Time
			}
			Causes []struct {
				Class       string
				DetourHelps bool `json:"detour_helps"`
				Messages    int64
			}
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	p := r.Providers[0]
	switch {
	case r.Read.Lines != 180 || r.Read.Servers["postfix"] != 180 || r.Totals.Delivered != 40 || r.Totals.Bounced != 20:
		t.Errorf("%+v", r)
	case p.ID != "google" || p.Refused != 20 || len(p.IPs) != 1 || p.IPs[0] != "192.0.2.25":
		t.Errorf("%+v", p)
	case len(p.Trouble) != 1 || p.Trouble[0].Since.Unix() != 1555290000+40*60 || p.Trouble[0].Share != 1 || p.Trouble[0].Until != nil:
		t.Errorf("%+v", p.Trouble)
	case p.Causes[0].Class != "ip_reputation" || !p.Causes[0].DetourHelps || p.Causes[0].Messages != 20:
		t.Errorf("%+v", p.Causes)
	}
}
