package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// timeSpan is from..to; zero times are open ends.
type timeSpan struct{ from, to time.Time }

// holds tells whether a time lies in the span. An event without a time lies in every span that asks for nothing.
func (s timeSpan) holds(at time.Time) bool {
	if at.IsZero() {
		return s == timeSpan{}
	}
	return (s.from.IsZero() || !at.Before(s.from)) && (s.to.IsZero() || at.Before(s.to))
}

// span reads --since and --until.
func (e *env) span(f *logsFlags) (s timeSpan, err error) {
	for _, x := range []struct {
		flag, value string
		end         bool
		to          *time.Time
	}{{"--since", f.since, false, &s.from}, {"--until", f.until, true, &s.to}} {
		if x.value == "" {
			continue
		}
		at, ok := when(x.value, e.now(), x.end)
		if !ok {
			return s, usage("cli.logs.when", "flag", x.flag, "value", x.value)
		}
		*x.to = at
	}
	if !s.from.IsZero() && !s.to.IsZero() && !s.from.Before(s.to) {
		return s, usage("cli.logs.span", "since", s.from, "until", s.to)
	}
	return s, nil
}

// The forms of a time without words, in the zone of this machine where they name none.
var whenForms = []struct {
	form  string
	lasts time.Duration // how long what it names lasts: --until means its end
}{
	{time.RFC3339, 0},
	{"2006-01-02T15:04:05", 0},
	{"2006-01-02 15:04:05", 0},
	{"2006-01-02T15:04", 0},
	{"2006-01-02 15:04", 0},
}

// when reads a time: a date, a date with a time, RFC 3339, "yesterday", "today", "now", or how long ago ("90m", "3h", "2d",
// "1w"). Where a whole day is named, end asks for its end.
func when(s string, now time.Time, end bool) (time.Time, bool) {
	now = now.Local()
	day := func(y int, m time.Month, d int) time.Time {
		if end {
			d++
		}
		return time.Date(y, m, d, 0, 0, 0, 0, time.Local)
	}
	y, m, d := now.Date()
	switch strings.ToLower(s) {
	case "now":
		return now, true
	case "today":
		return day(y, m, d), true
	case "yesterday":
		return day(y, m, d-1), true
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return day(t.Date()), true
	}
	for _, f := range whenForms {
		if t, err := time.ParseInLocation(f.form, s, time.Local); err == nil {
			return t, true
		}
	}
	return ago(s, now)
}

// ago reads how long ago.
func ago(s string, now time.Time) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	days := map[byte]int{'d': 1, 'w': 7}[s[len(s)-1]]
	if days > 0 {
		n, err := strconv.Atoi(s[:len(s)-1])
		if err != nil || n < 0 || n > 36500 {
			return time.Time{}, false
		}
		return now.AddDate(0, 0, -n*days), true
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, false
	}
	return now.Add(-d), true
}

// sameFiles knows which files were met, under whatever name.
type sameFiles struct{ met []os.FileInfo }

func newSameFiles() *sameFiles { return &sameFiles{} }

// fresh tells whether a path is a file, or a pipe, with something in it that was not met before.
func (s *sameFiles) fresh(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() && info.Size() == 0 || info.IsDir() {
		return false
	}
	for _, have := range s.met {
		if os.SameFile(have, info) {
			return false
		}
	}
	s.met = append(s.met, info)
	return true
}

// logsBar shows how much has been read.
type logsBar struct {
	*progress
	e *env
}

func (e *env) logsBar() *logsBar { return &logsBar{e.progress(), e} }

// barWidth is how long the bar is, in places.
const barWidth = 30

// tell fits maillog.Options.Progress.
func (b *logsBar) tell(done, total int64) {
	if b.w == nil {
		return
	}
	if total <= 0 {
		b.update(b.e.text("cli.logs.reading", "done", octets(done)))
		return
	}
	part := min(float64(done)/float64(total), 1)
	full := int(part * barWidth)
	b.update(fmt.Sprintf("[%s%s] %3d %%  %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), int(part*100),
		b.e.text("cli.logs.reading.of", "done", octets(done), "total", octets(total))))
}
