package cli

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/steer"
)

// door is the name of a command that mail servers start for each session, not people: standard input, output and error may all
// be the connection. It is in a hurry: no tree of commands is made for it.
const door = "door"

// runDoor does as it is told by arguments of which nothing has to be said; done is false for others.
func runDoor(a []string, in io.Reader, out io.Writer) (done bool) {
	if len(a) == 0 || a[0] != door {
		return false
	}
	flags := flag.NewFlagSet(door, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var o steer.DoorOptions
	flags.StringVar(&o.To, "to", "", "")
	flags.DurationVar(&o.Greet, "greet", 0, "")
	flags.DurationVar(&o.Idle, "idle", 0, "")
	if err := flags.Parse(a[1:]); err != nil || flags.NArg() > 0 || !leads(o.To) {
		return false
	}
	steer.Door(context.Background(), connection(in, out), o)
	return true
}

// leads tells whether an address is one to connect to.
func leads(to string) bool {
	_, port, err := net.SplitHostPort(to)
	return err == nil && port != ""
}

// newDoor is the same for whoever asks for help, or says something else.
func newDoor(e *env) *cobra.Command {
	var o steer.DoorOptions
	cmd := e.command(door, "cli.door.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		if !leads(o.To) {
			return usage("cli.door.no_address")
		}
		steer.Door(cmd.Context(), connection(e.in, e.out), o)
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&o.To, "to", "", e.text("cli.door.flag.to"))
	flags.DurationVar(&o.Greet, "greet", 2*time.Second, e.text("cli.door.flag.greet"))
	flags.DurationVar(&o.Idle, "idle", time.Minute, e.text("cli.door.flag.idle"))
	return cmd
}

// connection returns the connection that a program is given as its standard input and output: a socket, or two ends of pipes.
func connection(in io.Reader, out io.Writer) io.ReadWriteCloser {
	if f, ok := in.(*os.File); ok {
		if conn, err := net.FileConn(f); err == nil {
			return conn
		}
	}
	return &ends{in, out}
}

// ends are a connection made of two.
type ends struct {
	io.Reader
	io.Writer
}

// Close closes those that can be closed.
func (p *ends) Close() error {
	var errs []error
	for _, end := range []any{p.Reader, p.Writer} {
		if c, ok := end.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
