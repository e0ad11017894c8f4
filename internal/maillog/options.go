package maillog

import (
	"time"
)

// Options say what the lines themselves do not.
type Options struct {
	// Now is the time at which the log is read: a line without a year lies in the year before it. Zero leaves the year to Year,
	// or to the time of a file's last change.
	Now time.Time
	// Location is the zone of times that are written without one. Nil is the zone of this machine.
	Location *time.Location
	// Year is the year of the first line of each file without years; zero finds it out from Now and from the time of the file's
	// last change. Say it for the copy of an old log, whose time of change is that of the copying.
	Year int
	// MTA is the server to believe in where a line would fit several; zero recognises each line.
	MTA MTA
	// Remember is how many messages are known at once; zero is 32768. See Parser for what is forgotten above it.
	Remember int
	// Progress is told how many octets of how many have been read, as they lie on the disk, about four times per megabyte.
	// The total is zero when something is read whose length nobody knows (standard input).
	Progress func(done, total int64)
}

// MTAs is one more than the last MTA: the length of a table by MTA.
const MTAs = int(OpenSMTPD) + 1

// Stats say what was read and what was not.
type Stats struct {
	Files   int   // that were read, standard input included
	Bytes   int64 // octets of lines, unpacked
	Lines   int64
	Mail    int64       // lines of a mail server
	Unknown int64       // of those: lines whose form is not known; they tell nothing
	Foreign int64       // lines of other programs, and lines that are no log at all
	TooLong int64       // lines above MaxLine that were skipped
	Events  int64       // that were emitted
	PerMTA  [MTAs]int64 // lines by the server that wrote them
	First   time.Time   // time of the first line of a mail server that has one; zero without any
	Last    time.Time   // of the last
	// Skipped says for the operator what was not read and why, each an *i18n.Error: a gzip file that breaks off, a line that is
	// too long, a file that is no mail log.
	Skipped []error
}

// MaxLine is the longest line that is read, in octets. No mail server writes one of a tenth of it; a file without line ends is
// no log.
const MaxLine = 1 << 20

// String returns the name by which people know the server.
func (m MTA) String() string {
	switch m {
	case Postfix:
		return "postfix"
	case Exim:
		return "exim"
	case Sendmail:
		return "sendmail"
	case Qmail:
		return "qmail"
	case OpenSMTPD:
		return "opensmtpd"
	}
	return ""
}

// MarshalText makes an MTA its name in JSON.
func (m MTA) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// ParseMTA reads a name as String returns it; ok is false for any other.
func ParseMTA(name string) (m MTA, ok bool) {
	for m = Postfix; m <= OpenSMTPD; m++ {
		if m.String() == name {
			return m, true
		}
	}
	return 0, false
}

// String returns the kind's name as it stands in JSON.
func (k Kind) String() string {
	switch k {
	case Delivered:
		return "delivered"
	case Deferred:
		return "deferred"
	case Bounced:
		return "bounced"
	case Expired:
		return "expired"
	case Rejected:
		return "rejected"
	case Accepted:
		return "accepted"
	}
	return ""
}

// MarshalText makes a Kind its name in JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
