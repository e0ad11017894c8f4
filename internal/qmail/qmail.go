// Package qmail stands in the place of qmail-remote and takes a refusal for the reputation of the server's address to the
// detour, within the same attempt.
//
// # How qmail delivers
//
// qmail-rspawn starts one qmail-remote for each recipient (qmail-rspawn(8)): arguments host, sender, recipient; the message,
// with LF line ends, on descriptor 0; a report on descriptor 1, which is descriptor 2 as well. The report is texts that end in a
// NUL octet, each with a letter in front (qmail-remote(8), "RESULTS"): one for each recipient, r (taken), h (refused for good)
// or s (not this time); then one for the message, K (taken for the recipients that have an r), D (failed for good) or Z (not
// this time). There may be fewer for the recipients than there are recipients; then what is said of the message holds for the
// others. qmail-remote itself can be given any number of recipients, and so can this package.
//
// qmail-remote always exits 0. What qmail-rspawn makes of anything else decides how this package may fail: killed by a signal
// and exit code 111 are temporary; every other exit code is a bounce. So is a report without a word about the message. Hence
// the two rules here. Trouble of our own is exit code 111, whatever it is; a report is written once, whole, at the very end.
//
// # What is done
//
//   - The original qmail-remote delivers, as ever. What it says goes through untouched unless it is a refusal that package
//     classify takes for one of the address, and another address would help.
//   - Such a recipient is handed to ukai at once, over SMTP. Taken there, it is taken for qmail.
//   - If ukai does not take it, the refusal becomes a temporary one: qmail keeps the message and tries again. It never becomes
//     a bounce because ukai is down.
//   - Content that is refused, and mailboxes that are not there, bounce as they always did.
//
// For hosts that are steered, ukai is asked first and the original stands behind it: whatever ukai does not take for certain, the
// original delivers. In relay mode ukai is asked alone.
//
// # What is never done
//
// A message that may have been taken is not offered a second time. If ukai falls silent after the last dot, nobody knows
// (RFC 1047): that is a temporary failure, as it is for qmail-remote itself ("Possible duplicate!").
package qmail

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// The exit codes that qmail-rspawn knows.
const (
	exitReported  = 0
	exitTemporary = 111
)

// Where things are if nobody says otherwise.
const (
	DefaultSettings = "/var/qmail/control/ukai"
	DefaultOriginal = "/var/qmail/bin/qmail-remote" + OriginalSuffix
	// OriginalSuffix is what the name of qmail's own program gets when it makes room for the wrapper.
	OriginalSuffix = ".ukai-original"
)

// insideEnv is set for the original: a wrapper that it leads back to must not go round in a circle.
const insideEnv = "UKAI_QMAIL_REMOTE"

// Main is the command `ukai qmail-remote`. It returns the exit code.
//
//	qmail-remote host sender recip...
//	qmail-remote [--settings FILE] [--original FILE] -- host sender recip...
//	qmail-remote --check FILE
//
// An option counts only in front of "--". qmail-rspawn gives no other than three arguments, of which the third holds an @, so
// that no address can be taken for options.
func Main(args []string, in io.Reader, out io.Writer) (code int) {
	defer func() {
		if recover() != nil { // Go's own exit code, 2, would be a bounce
			code = exitTemporary
		}
	}()
	if len(args) == 2 && args[0] == "--check" {
		return check(args[1], out)
	}
	c := parseCall(args)
	if os.Getenv(insideEnv) != "" { // two wrappers call each other: nothing can come of it
		return exitTemporary
	}
	s, err := ReadSettings(c.settings)
	if err == nil && s.Original != "" && c.original == "" {
		c.original = s.Original
	}
	if c.original == "" {
		c.original = DefaultOriginal
	}
	message, isFile := in.(*os.File)
	if err != nil || len(c.recips) == 0 || !isFile {
		return c.instead()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d := &delivery{call: c, settings: s, dir: filepath.Dir(c.settings)}
	report, code := d.run(ctx, message)
	if len(report) > 0 {
		if _, err := out.Write(report); err != nil {
			return exitTemporary
		}
	}
	d.tell(ctx)
	return code
}

// call is what qmail-rspawn wants.
type call struct {
	settings, original string
	rest               []string // the arguments of qmail-remote
	host, sender       string
	recips             []string
}

func parseCall(args []string) *call {
	c := &call{settings: DefaultSettings, rest: args}
	for i := 0; i < len(args); i += 2 {
		if args[i] == "--" {
			c.options(args[:i])
			c.rest = args[i+1:]
			break
		}
		if args[i] != "--settings" && args[i] != "--original" {
			break
		}
	}
	if len(c.rest) >= 3 {
		c.host, c.sender, c.recips = c.rest[0], c.rest[1], c.rest[2:]
	}
	return c
}

// options takes pairs of a name and a value.
func (c *call) options(pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "--settings" {
			c.settings = pairs[i+1]
		} else {
			c.original = pairs[i+1]
		}
	}
}

// instead becomes the original: for what is no delivery, and where the wrapper's settings cannot be read. Mail goes out as it did
// before there was a wrapper.
func (c *call) instead() int {
	_ = syscall.Exec(c.original, append([]string{"qmail-remote"}, c.rest...), insideEnviron()) // if it returns, it has failed
	return exitTemporary
}

func insideEnviron() []string { return append(os.Environ(), insideEnv+"=1") }

// check tells whether the settings can be read and the original can be run: connect asks after it has written them.
func check(path string, out io.Writer) int {
	s, err := ReadSettings(path)
	if err == nil && s.Original != "" {
		_, err = exec.LookPath(s.Original)
	}
	if err != nil {
		_, _ = io.WriteString(out, err.Error()+"\n") // the exit code says it too
		return 1
	}
	return exitReported
}
