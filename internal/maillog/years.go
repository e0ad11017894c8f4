package maillog

import (
	"bytes"
	"io"
	"os"
	"time"
)

// samples is how many places of a file are looked at for turns of the year.
const samples = 256

// firstYear finds the year of the first line of a file without years that nobody rotated for more than one: the file's time of
// change tells the year of its last line, and the turns between are counted at places all over it. It returns 0 where no
// turn is seen, as in a packed file: then the first line lies in the last year that fits.
func firstYear(in *input, loc *time.Location, latest time.Time) int {
	f, err := os.Open(in.path)
	if err != nil || latest.IsZero() {
		return 0
	}
	defer f.Close()
	const start = 2000 // any year: only the turns count
	c := clock{loc: loc, hint: start}
	last := clock{loc: loc, anchor: latest}
	buf := make([]byte, 4096)
	seen := false
	for i := range int64(samples) {
		line := sampled(f, buf, in.size*i/samples)
		if len(line) < 15 || hasPrefix(line, "Feb 29") { // a leap day would move the count to a year that has one
			continue
		}
		if _, n := c.bsd(line); n > 0 {
			last.year = 0
			last.bsdText = [10]byte{}
			last.bsd(line)
			seen = true
		}
	}
	turns := c.year - start
	if !seen || turns < 1 {
		return 0
	}
	return last.year - turns
}

// sampled returns the first whole line behind an offset, nil where there is none.
func sampled(f io.ReaderAt, buf []byte, at int64) []byte {
	n, _ := f.ReadAt(buf, at)
	b := buf[:n]
	if at > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return nil
		}
		b = b[i+1:]
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i]
	}
	return nil
}
