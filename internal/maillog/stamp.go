package maillog

import (
	"bytes"
	"encoding/hex"
	"time"
)

// clock reads the times at the start of lines. A log has many lines of one hour, so the hour is worked out once and kept by its
// text; minutes and seconds are added.
type clock struct {
	loc    *time.Location
	anchor time.Time // no line is much younger than this; zero when nobody knows
	hint   int       // year of the first line, zero when nobody knows

	year     int // of the last line that had none
	last     time.Time
	bsdText  [10]byte // "Nov 22 10:"
	bsdHour  int64
	isoText  [13]byte // "2026-11-22T10"
	isoUTC   int64    // that hour in UTC
	isoLocal int64    // and in the zone of the log
}

// moment is a time in a line.
type moment struct {
	sec  int64
	nsec int32
	ok   bool
}

func (m moment) time(loc *time.Location) time.Time {
	if !m.ok {
		return time.Time{}
	}
	return time.Unix(m.sec, int64(m.nsec)).In(loc)
}

// slack is how far a line may lie after the anchor: zones that are off, clocks that are wrong.
const slack = 36 * time.Hour

func two(b []byte) int64 {
	h, l := b[0]-'0', b[1]-'0'
	if h > 9 || l > 9 {
		return -1
	}
	return int64(h)*10 + int64(l)
}

// sexagesimal reads "04:05" as seconds; -1 for anything else.
func sexagesimal(b []byte) int64 {
	if len(b) < 5 || b[2] != ':' {
		return -1
	}
	m, s := two(b), two(b[3:])
	if m < 0 || m > 59 || s < 0 || s > 60 {
		return -1
	}
	return m*60 + s
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

func month(b []byte) time.Month {
	for i := 0; i < len(months); i += 3 {
		if b[0] == months[i] && b[1] == months[i+1] && b[2] == months[i+2] {
			return time.Month(i/3 + 1)
		}
	}
	return 0
}

// bsd reads the time of RFC 3164, section 4.1.2 ("Nov 22 10:00:00"), at the start of b, and how long it is.
func (c *clock) bsd(b []byte) (m moment, n int) {
	if len(b) < 15 || b[3] != ' ' {
		return m, 0
	}
	if !bytes.Equal(b[:10], c.bsdText[:]) {
		return c.bsdSlow(b)
	}
	s := sexagesimal(b[10:])
	if s < 0 {
		return m, 0
	}
	return c.fraction(moment{sec: c.bsdHour + s, ok: true}, b, 15)
}

// fraction reads the part of a second that some systems write behind it.
func (c *clock) fraction(m moment, b []byte, n int) (moment, int) {
	if n < len(b) && (b[n] == '.' || b[n] == ',') {
		d := digits(b[n+1:])
		m.nsec = nanos(b[n+1 : n+1+d])
		n += 1 + d
	}
	return m, n
}

func nanos(b []byte) int32 {
	var n int32
	for i := range 9 {
		n *= 10
		if i < len(b) {
			n += int32(b[i] - '0')
		}
	}
	return n
}

// bsdSlow works the hour out. It takes a day of one digit without the second blank, too, and a year behind the day.
func (c *clock) bsdSlow(b []byte) (m moment, n int) {
	mon := month(b)
	at := 4
	for at < len(b) && b[at] == ' ' {
		at++
	}
	d := digits(b[at:])
	day, ok := number(b[at : at+d])
	at += d
	if mon == 0 || !ok || day < 1 || day > 31 || at >= len(b) || b[at] != ' ' {
		return m, 0
	}
	at++
	year := 0
	if digits(b[at:]) == 4 && len(b) > at+5 && b[at+4] == ' ' {
		y, _ := number(b[at : at+4])
		year = int(y)
		at += 5
	}
	if len(b) < at+8 || b[at+2] != ':' {
		return m, 0
	}
	h, s := two(b[at:]), sexagesimal(b[at+3:])
	if h < 0 || h > 23 || s < 0 {
		return m, 0
	}
	if year == 0 {
		year = c.yearOf(mon, int(day), int(h))
	}
	t := time.Date(year, mon, int(day), int(h), 0, 0, 0, c.loc)
	if at == 7 { // the usual form: the next line of this hour is quick
		c.bsdText, c.bsdHour = [10]byte(b[:10]), t.Unix()
	}
	return c.fraction(moment{sec: t.Unix() + s, ok: true}, b, at+8)
}

// yearOf finds the year of a line that tells none. The first line lies in the last year that is not after the anchor. Then the
// log goes forward: a step back by more than a month is the turn of a year (a smaller one are lines that crossed), a leap forward
// by eleven months is a line of December that came late.
func (c *clock) yearOf(mon time.Month, day, hour int) int {
	at := func(y int) time.Time { return time.Date(y, mon, day, hour, 0, 0, 0, c.loc) }
	after := func(y int) bool { return !c.anchor.IsZero() && at(y).After(c.anchor.Add(slack)) }
	y := c.year
	if y == 0 {
		if y = c.hint; y == 0 {
			if y = c.anchor.In(c.loc).Year(); c.anchor.IsZero() {
				y = 2000
			}
			if after(y) {
				y--
			}
		}
	} else if d := at(y).Sub(c.last); d < -month31 && (!after(y+1) || c.goesOn(at(y+1))) {
		y++
	} else if d > 334*24*time.Hour {
		y--
	}
	for mon == time.February && day == 29 && !leap(y) { // a 29 February names its year: the last one that has it
		y--
	}
	c.year, c.last = y, at(y)
	return y
}

// month31 is how far back a line may lie without being of the next year.
const month31 = 31 * 24 * time.Hour

// goesOn tells whether a time follows closely on the last line of a log that has reached the present, as a log does that is
// followed while it is written: the anchor of its beginning does not hold it back.
func (c *clock) goesOn(next time.Time) bool {
	return c.last.After(c.anchor.Add(-month31)) && next.Sub(c.last) <= month31
}

func leap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

// restart is called where a file begins: what the last one said about the year does not hold for it.
func (c *clock) restart(anchor time.Time, hint int) {
	c.anchor, c.hint, c.year, c.bsdText = anchor, hint, 0, [10]byte{}
}

// iso reads "2026-11-22T10:00:00.123456+09:00" (RFC 3339) and its relatives: a blank for the T, a comma for the point, no zone,
// a zone without colon or behind a blank (Exim's log_timezone).
func (c *clock) iso(b []byte) (m moment, n int) {
	if len(b) < 19 || b[4] != '-' || b[13] != ':' || !bytes.Equal(b[:13], c.isoText[:]) && !c.isoHour(b) {
		return m, 0
	}
	s := sexagesimal(b[14:])
	if s < 0 {
		return m, 0
	}
	m, n = c.fraction(moment{ok: true}, b, 19)
	east, width, ok := zone(b[n:])
	if !ok {
		m.sec = c.isoLocal + s
		return m, n
	}
	m.sec = c.isoUTC + s - east
	return m, n + width
}

// isoHour works "2026-11-22T10" out.
func (c *clock) isoHour(b []byte) bool {
	y1, y2, mon, day, h := two(b), two(b[2:]), two(b[5:]), two(b[8:]), two(b[11:])
	if y1 < 0 || y2 < 0 || mon < 1 || mon > 12 || day < 1 || day > 31 || h < 0 || h > 23 ||
		b[7] != '-' || b[10] != 'T' && b[10] != ' ' {
		return false
	}
	at := func(loc *time.Location) int64 {
		return time.Date(int(y1*100+y2), time.Month(mon), int(day), int(h), 0, 0, 0, loc).Unix()
	}
	c.isoText, c.isoUTC, c.isoLocal = [13]byte(b[:13]), at(time.UTC), at(c.loc)
	return true
}

// zone reads "Z", "+09:00", "+0900" or " +0900" as seconds east of Greenwich.
func zone(b []byte) (east int64, n int, ok bool) {
	if len(b) > 0 && b[0] == 'Z' {
		return 0, 1, true
	}
	if len(b) > 5 && b[0] == ' ' {
		b, n = b[1:], 1
	}
	if len(b) < 5 || b[0] != '+' && b[0] != '-' {
		return 0, 0, false
	}
	rest := 3
	if b[3] == ':' {
		rest = 4
	}
	if len(b) < rest+2 {
		return 0, 0, false
	}
	h, m := two(b[1:]), two(b[rest:])
	if h < 0 || h > 14 || m < 0 || m > 59 {
		return 0, 0, false
	}
	east = h*3600 + m*60
	if b[0] == '-' {
		east = -east
	}
	return east, n + rest + 2, true
}

// tai reads the label of a TAI64N stamp, "@" and 24 hexadecimal digits. Labels count from 2^62 seconds before 1970 TAI. multilog
// has no table of leap seconds: it adds the ten of 1972 to the clock of the machine and no others, and so they are taken off.
func tai(b []byte) (m moment, n int) {
	if len(b) < 25 || b[0] != '@' {
		return m, 0
	}
	var raw [12]byte
	if _, err := hex.Decode(raw[:], b[1:25]); err != nil {
		return m, 0
	}
	var s uint64
	for _, c := range raw[:8] {
		s = s<<8 | uint64(c)
	}
	const zero = 1<<62 + 10
	if s < zero || s > zero+1<<40 {
		return m, 0
	}
	ns := uint32(raw[8])<<24 | uint32(raw[9])<<16 | uint32(raw[10])<<8 | uint32(raw[11])
	if ns >= 1e9 {
		ns = 0
	}
	return moment{sec: int64(s - zero), nsec: int32(ns), ok: true}, 25
}

// epoch reads "1574422800.123456", as splogger and old loggers write it.
func epoch(b []byte) (m moment, n int) {
	d := digits(b)
	if d < 9 || d > 10 || d == len(b) || b[d] != '.' {
		return m, 0
	}
	s, _ := number(b[:d])
	f := digits(b[d+1:])
	return moment{sec: s, nsec: nanos(b[d+1 : d+1+f]), ok: true}, d + 1 + f
}
