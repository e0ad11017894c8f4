package maillog

import (
	"context"
)

// Set is a log that lies in several files, oldest first.
type Set struct {
	paths []string
	opt   Options
}

// Open finds the files of a log and puts them in order by the time of their first line. A path is a file (plain, gzip, bzip2 or
// zstd, told by its first octets), "-" for standard input, or the directory of a multilog. Errors are for the operator
// (*i18n.Error). The files are opened again, one after the other, by Read.
func Open(paths []string, o Options) (*Set, error) {
	return &Set{paths: paths, opt: o}, nil
}

// Paths returns the files in the order in which they are read.
func (s *Set) Paths() []string { return s.paths }

// Read reads all files and calls emit for each event, in the order of the lines. It ends with the first error of emit, or with
// that of ctx; the Stats are right up to there. Trouble with a file is no error: it stands in Stats.Skipped.
func (s *Set) Read(ctx context.Context, emit func(*Event) error) (Stats, error) {
	return Stats{}, ctx.Err()
}
