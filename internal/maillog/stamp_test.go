package maillog

import (
	"testing"
	"time"
)

// day reads "2026-11-22 10:00:00" as UTC.
func day(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateTime, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestALogWithoutYearsGetsThem(t *testing.T) {
	for name, c := range map[string]struct {
		anchor string
		hint   int
		lines  []string // times, and what they are
		want   []string
	}{
		"a log of this year": {"2026-11-22 12:00:00", 0, []string{"Nov 20 10:00:00", "Nov 22 11:59:59"}, []string{"2026-11-20 10:00:00", "2026-11-22 11:59:59"}},
		"a line that is later than the anchor in the year is of last year": {"2026-03-01 00:00:00", 0,
			[]string{"Nov 20 10:00:00", "Dec 31 23:59:59"}, []string{"2025-11-20 10:00:00", "2025-12-31 23:59:59"}},
		"a line that is a few hours after the anchor is of this year": {"2026-03-01 00:00:00", 0, []string{"Mar  1 09:00:00"}, []string{"2026-03-01 09:00:00"}},
		"the year turns": {"2026-01-10 00:00:00", 0,
			[]string{"Dec 31 23:59:59", "Jan  1 00:00:00", "Jan  9 00:00:00"}, []string{"2025-12-31 23:59:59", "2026-01-01 00:00:00", "2026-01-09 00:00:00"}},
		"a line of December that comes late": {"2026-01-10 00:00:00", 0,
			[]string{"Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01"},
			[]string{"2025-12-31 23:59:59", "2026-01-01 00:00:00", "2025-12-31 23:59:59", "2026-01-01 00:00:01"}},
		"lines of two days that cross": {"2026-05-10 00:00:00", 0,
			[]string{"May  1 00:00:00", "Apr 30 23:59:59", "May  1 00:00:01"}, []string{"2026-05-01 00:00:00", "2026-04-30 23:59:59", "2026-05-01 00:00:01"}},
		"a log with gaps of months": {"2026-05-10 00:00:00", 0,
			[]string{"Jun 30 00:00:00", "Dec  1 00:00:00", "May  1 00:00:00"}, []string{"2025-06-30 00:00:00", "2025-12-01 00:00:00", "2026-05-01 00:00:00"}},
		"a leap day is of the last year that has one": {"2026-11-22 12:00:00", 0, []string{"Feb 29 10:00:00"}, []string{"2024-02-29 10:00:00"}},
		"a leap day in a leap year":                   {"2024-11-22 12:00:00", 0, []string{"Feb 29 10:00:00", "Mar  1 10:00:00"}, []string{"2024-02-29 10:00:00", "2024-03-01 10:00:00"}},
		"a year that was given":                       {"2026-11-22 12:00:00", 2019, []string{"Apr 15 09:12:00", "Apr 16 09:12:00"}, []string{"2019-04-15 09:12:00", "2019-04-16 09:12:00"}},
		"a log that is followed over the turn of the year": {"2026-12-30 00:00:00", 0,
			[]string{"Dec 30 00:00:00", "Dec 31 23:59:59", "Jan  3 00:00:00", "Feb  1 00:00:00"},
			[]string{"2026-12-30 00:00:00", "2026-12-31 23:59:59", "2027-01-03 00:00:00", "2027-02-01 00:00:00"}},
		"a log that was put together in the wrong order": {"2026-11-22 00:00:00", 0,
			[]string{"Sep  1 00:00:00", "Mar  1 00:00:00"}, []string{"2026-09-01 00:00:00", "2026-03-01 00:00:00"}},
		"a year that was given turns": {"2026-11-22 12:00:00", 2018, []string{"Dec 31 09:12:00", "Jan  1 09:12:00"}, []string{"2018-12-31 09:12:00", "2019-01-01 09:12:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := clock{loc: time.UTC, anchor: day(t, c.anchor), hint: c.hint}
			for i, text := range c.lines {
				m, n := k.bsd([]byte(text + " host x: y"))
				if got := m.time(time.UTC).Format(time.DateTime); got != c.want[i] || n != len(text) {
					t.Errorf("line %d, %q: %s (%d octets), want %s", i, text, got, n, c.want[i])
				}
			}
		})
	}
}

func TestATimeIsReadInItsZone(t *testing.T) {
	tokyo := time.FixedZone("JST", 9*3600)
	for name, c := range map[string]struct {
		text, want string
		n          int
	}{
		"without a zone, the zone of the log":     {"2026-11-22 10:00:00 x", "2026-11-22 01:00:00", 19},
		"with a zone":                             {"2026-11-22T10:00:00+09:00 x", "2026-11-22 01:00:00", 25},
		"with a zone behind a blank":              {"2026-11-22 10:00:00 -0800 x", "2026-11-22 18:00:00", 25},
		"universal time":                          {"2026-11-22T10:00:00Z x", "2026-11-22 10:00:00", 20},
		"a leap second":                           {"2016-12-31T23:59:60Z x", "2017-01-01 00:00:00", 20},
		"a fraction of eleven digits":             {"2026-11-22T10:00:00.12345678901Z x", "2026-11-22 10:00:00", 32},
		"a month that is none":                    {"2026-13-22T10:00:00Z x", "", 0},
		"a minute that is none":                   {"2026-11-22T10:60:00Z x", "", 0},
		"an ID of a message that looks like one":  {"2026-11-22-10:00:00 x", "", 0},
		"a text that is too short for a time":     {"2026-11-22T10:00", "", 0},
		"a year of letters":                       {"2O26-11-22T10:00:00Z x", "", 0},
		"a zone that is none":                     {"2026-11-22T10:00:00+99:00 x", "2026-11-22 01:00:00", 19},
		"the day of which the month has not many": {"2026-02-30T10:00:00Z x", "2026-03-02 10:00:00", 20},
	} {
		t.Run(name, func(t *testing.T) {
			k := clock{loc: tokyo}
			m, n := k.iso([]byte(c.text))
			got := ""
			if m.ok {
				got = m.time(time.UTC).Format(time.DateTime)
			}
			if got != c.want || n != c.n {
				t.Errorf("%s, %d octets; want %s, %d", got, n, c.want, c.n)
			}
		})
	}
}

func TestALabelOfMultilogIsRead(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a label":                         {"@40000000655dc5501dcd6500 mail", "2023-11-22 09:09:26"},
		"no hexadecimal digits":           {"@4000000037c219bf2ef02e9z mail", ""},
		"too short":                       {"@4000000037c219bf", ""},
		"before 1970":                     {"@0000000037c219bf2ef02e94 mail", ""},
		"a part of a second that is none": {"@40000000655dc550ffffffff mail", "2023-11-22 09:09:26"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := tai([]byte(c.text))
			got := ""
			if m.ok {
				got = m.time(time.UTC).Format(time.DateTime)
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestADelayIsRead(t *testing.T) {
	for name, c := range map[string]struct{ got, want time.Duration }{
		"Postfix, parts of a second": {seconds([]byte("0.05")), 50 * time.Millisecond},
		"Postfix, days":              {seconds([]byte("165276")), 165276 * time.Second},
		"Exim":                       {seconds([]byte("1.2s")), 1200 * time.Millisecond},
		"no number":                  {seconds([]byte("x")), 0},
		"a number that is too large": {seconds([]byte("99999999999999999999")), 0},
		"Sendmail":                   {clockTime([]byte("01:02:03")), time.Hour + 2*time.Minute + 3*time.Second},
		"Sendmail, days":             {clockTime([]byte("3+00:00:01")), 72*time.Hour + time.Second},
		"Sendmail, nonsense":         {clockTime([]byte("1:2:3")), 0},
		"OpenSMTPD":                  {units([]byte("1d2h3m4s")), 26*time.Hour + 3*time.Minute + 4*time.Second},
		"OpenSMTPD, nonsense":        {units([]byte("5y7")), 0},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("%v, want %v", c.got, c.want)
			}
		})
	}
}

func TestAParserThatIsToldTheTimeDatesLinesAfterASilence(t *testing.T) {
	p := NewParser(Options{Now: day(t, "2026-08-01 00:00:00"), Location: time.UTC})
	for _, c := range []struct{ now, line, want string }{
		{"2026-08-01 00:00:00", "Aug  1 00:00:00", "2026-08-01"},
		{"2027-02-01 00:00:00", "Feb  1 00:00:00", "2027-02-01"},
	} {
		p.SetNow(day(t, c.now))
		drain(t, p, c.line+" mail postfix/smtpd[1]: connect from x[192.0.2.1]")
		if got := p.Stats().Last.Format(time.DateOnly); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
